"""A real server in a container, asked at the routes that its image names; and servers that fail one each."""

from __future__ import annotations

from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from prebake.errors import DefinitionError, EngineError
from prebake.flows.jobs.serve import Question, Server, check
from prebake.flows.progress import Silent
from prebake.flows.wiring import Workspace
from world.services import free_port

SERVER = """\
import http.server, json, sys

bad = sys.argv[2:]
gets = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        gets.append(self.path)
        early = self.path == "/ready" and gets.count("/ready") < 3
        self.say(503 if early or self.path in bad else 200, "up")

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.say(500 if self.path in bad else 200, json.dumps({"sum": sum(data["data"])}))

    def say(self, code, text):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ENVIRONMENT = """\
image: HOST/debian:12
conda_file: {channels: [conda-forge], dependencies: [python=3.11]}
inference_config:
  liveness_route: {path: /live, port: PORT}
  readiness_route: {path: /ready, port: PORT}
  scoring_route: {path: /score, port: PORT}
"""
QUESTION = Question('{"data": [1, 2]}')
HASTY = Question('{"data": [1, 2]}', 1)


@pytest.fixture
def port() -> int:
    """The sample engine has no network but the host's, so each server needs a port that is free there."""
    return free_port()


@pytest.fixture
def environment(world: SampleWorld, tmp_path: Path, port: int) -> prebake.Environment:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/server.py").write_text(SERVER)
    text = ENVIRONMENT.replace("HOST", world.registry).replace("PORT", str(port))
    (tmp_path / "env.yml").write_text(text)
    return prebake.load(tmp_path / "env.yml")


def _server(tmp_path: Path, port: int, *bad: str, file: str = "server.py") -> Server:
    return Server(f"exec python {file} {port} {' '.join(bad)}", tmp_path / "app", "host")


def test_all_routes_answer(
    environment: prebake.Environment, engine: Workspace, tmp_path: Path, port: int
) -> None:
    answers = check(environment, _server(tmp_path, port), QUESTION, engine, Silent())
    assert [(answer.route, answer.status, answer.body) for answer in answers] == [
        ("liveness", 200, "up"),
        ("readiness", 200, "up"),
        ("scoring", 200, '{"sum": 3}'),
    ]


@pytest.mark.parametrize(
    ("bad", "route", "gave"),
    [
        ("/live", "liveness", "503 up"),
        ("/ready", "readiness", "503 up"),
        ("/score", "scoring", '500 {"sum": 3}'),
    ],
)
def test_a_route_that_fails_is_named(
    bad: str,
    route: str,
    gave: str,
    environment: prebake.Environment,
    engine: Workspace,
    tmp_path: Path,
    port: int,
) -> None:
    with pytest.raises(EngineError, match=f"the {route} route gives no good answer") as caught:
        check(environment, _server(tmp_path, port, bad), HASTY, engine, Silent())
    assert caught.value.facts["gave"] == gave
    assert bad in caught.value.facts["request"]
    assert "server" not in caught.value.facts, "it was still up"


def test_a_server_that_ends_is_not_waited_for(
    environment: prebake.Environment, engine: Workspace, tmp_path: Path, port: int
) -> None:
    server = _server(tmp_path, port, file="absent.py")
    with pytest.raises(EngineError, match="the liveness route") as caught:
        check(environment, server, Question(timeout=1000), engine, Silent())
    assert caught.value.facts["server"] == "ended with exit code 2"
    assert "absent.py" in caught.value.facts["log"]


def test_an_environment_without_routes(world: SampleWorld, engine: Workspace, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(f"image: {world.base}\n")
    with pytest.raises(DefinitionError, match="serves nothing") as caught:
        check(prebake.load(tmp_path / "env.yml"), Server(), QUESTION, engine, Silent())
    assert "inference_config" in caught.value.hint
