"""`prebake serve`, and jobs in containers, from the command line: answers, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import docker
import pytest

from conftest import SampleWorld
from prebake.builders.docker import connect
from world.services import free_port

from .conftest import PREBAKE

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
DEADLINE = 60.0
SERVER = """\
import http.server, sys


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.rfile.read(int(self.headers["content-length"])))


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def port(tmp_path: Path, definition: Definition) -> int:
    """The port of a server whose environment and code are here."""
    found = free_port()
    routes = {f"{name}_route": {"path": "/", "port": found} for name in ("liveness", "readiness", "scoring")}
    (tmp_path / "env.yml").write_text(f"{definition()}inference_config: {json.dumps(routes)}\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/server.py").write_text(SERVER)
    return found


@pytest.fixture
def client(world: SampleWorld) -> Iterator[docker.DockerClient]:
    with connect(world.docker) as opened:
        yield opened


def _arguments(port: int) -> tuple[str, ...]:
    return ("env.yml", "--code", "app", "--network", "host", "--start", f"python server.py {port}")


def test_check(prebake: Prebake, world: SampleWorld, port: int) -> None:
    command = ("serve", *_arguments(port), "--check", "--data", '{"a": 1}')
    people = prebake(*command, "-q", DOCKER_HOST=world.docker)
    assert people.returncode == 0, people.stderr
    assert [line.split()[0] for line in people.stdout.splitlines()] == ["liveness", "readiness", "scoring"]
    scripts = json.loads(prebake(*command, "--json", DOCKER_HOST=world.docker).stdout)
    assert [route["status"] for route in scripts["routes"]] == [200, 200, 200]
    assert json.loads(scripts["routes"][2]["body"]) == {"a": 1}


def test_data_that_is_not_json(prebake: Prebake, golden: Any, port: int) -> None:
    golden("serve-data-wrong", prebake("serve", *_arguments(port), "--check", "--data", "{a: 1}"), 2)


@pytest.fixture
def begin(world: SampleWorld, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command that talks to the engine, and go on."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": world.docker}
        environ = own | world.environ(tmp_path / "store")
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [PREBAKE, *arguments], cwd=tmp_path, env=environ, stdout=pipe, stderr=pipe, text=True
        )

    return start


def _interrupted(process: subprocess.Popen[str], said: str, stream: Any) -> int:
    """Interrupt a command when it has said so much; returns its exit code."""
    for line in stream:
        if said in line:
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=DEADLINE)
    return process.returncode


def test_an_interrupted_job_leaves_no_container(
    begin: Any, prebake: Prebake, port: int, client: docker.DockerClient
) -> None:
    script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done"
    arguments = ("--env", "env.yml", "--code", "app", "--network", "host", "--", "sh", "-c", script)
    process = begin("submit", *arguments)
    assert _interrupted(process, "begun", process.stdout) == 130
    (job,) = json.loads(prebake("jobs", "list", "--json").stdout)["jobs"]
    assert (job["state"], job["error"]) == ("Canceled", "canceled")
    assert not client.containers.list(all=True, filters={"label": f"io.prebake.job={job['id']}"})


def test_serving_until_interrupted(begin: Any, port: int, client: docker.DockerClient) -> None:
    process = begin("serve", *_arguments(port))
    deadline = time.monotonic() + DEADLINE
    while not client.containers.list():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, said
    assert f"scoring at port {port}, /" in said
    assert not client.containers.list(all=True)
