"""Serve with an environment: its image in a container, asked at the routes of its `inference_config`.

The routes are labels of the image, so what is checked is what any server of that image would find.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import urllib3

from ...builders.docker import connect
from ...builders.docker_run import Command, Mount, created, run
from ...config.definition import Route
from ...errors import DefinitionError, EngineError
from ..destination import Destination
from ..ensure import ensure
from ..wiring import Request
from .places import CODE

if TYPE_CHECKING:
    from pathlib import Path

    from ...config.definition import Environment
    from ..progress import Progress
    from ..wiring import Workspace

_ROUTES = ("liveness", "readiness", "scoring")
_LABEL = "io.prebake.inference."
_PAUSE = 0.2
_ANSWER_SECONDS = 10
_SHOWN = 500


@dataclass(frozen=True)
class Server:
    """What to start: the image's own command or a line for the shell, in the folder of `code`."""

    command: str = ""
    code: Path | None = None
    network: str | None = None


@dataclass(frozen=True)
class Question:
    """What to ask: `data` for the scoring route, JSON; `timeout` in seconds, for each route to answer."""

    data: str = "{}"
    timeout: float = 60


@dataclass(frozen=True)
class Answer:
    """What a route gave; `status` 0 means nobody answered, then `body` tells why."""

    route: str
    request: str
    status: int
    body: str
    seconds: float

    def __str__(self) -> str:
        took, body = f"{self.seconds:5.2f} s", " ".join(self.body.split())[:80]
        return f"{self.route:<10} {self.request:<40} {self.status}  {took}  {body}".rstrip()


def check(
    environment: Environment, server: Server, question: Question, workspace: Workspace, progress: Progress
) -> tuple[Answer, ...]:
    """Start the server and ask each route once it answers. Raises EngineError telling which gave what."""
    image = _image(environment, workspace, progress)
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        routes = _routes(engine.images.get(image).labels, environment)
        command = _command(server, routes)
        progress.step("starting the server")
        with created(image, command, engine) as container:
            container.start()
            return tuple(_ask(name, routes[name], question, container, server) for name in _ROUTES)


def serve(
    environment: Environment,
    server: Server,
    output: tuple[IO[bytes], IO[bytes]],
    workspace: Workspace,
    progress: Progress,
) -> int:
    """Serve until the server ends or is interrupted; returns its exit code."""
    image = _image(environment, workspace, progress)
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        routes = _routes(engine.images.get(image).labels, environment)
        for name, route in routes.items():
            progress.step(f"{name} at port {route.port}, {route.path}")
        return run(image, _command(server, routes), engine, output)


def _image(environment: Environment, workspace: Workspace, progress: Progress) -> str:
    built = ensure(environment, Request(Destination("docker", "prebake/serve:latest")), workspace, progress)
    return built.delivered.image_id


def _routes(labels: dict[str, str], environment: Environment) -> dict[str, Route]:
    """The routes that the image itself names. Raises DefinitionError when it names none."""
    try:
        texts = {name: labels[f"{_LABEL}{name}"].partition("/") for name in _ROUTES}
    except KeyError as error:
        raise DefinitionError(
            "the environment serves nothing",
            facts={"environment": environment.title, "missing": f"label {error.args[0]}"},
            hint="add `inference_config:` with its three routes",
        ) from error
    return {name: Route(f"{slash}{path}", int(port)) for name, (port, slash, path) in texts.items()}


def _command(server: Server, routes: dict[str, Route]) -> Command:
    published = server.network != "host"
    return Command(
        ("/bin/sh", "-c", server.command) if server.command else (),
        mounts=(Mount(server.code.resolve(), CODE, read_only=True),) if server.code else (),
        folder=CODE if server.code else None,
        network=server.network,
        ports=tuple(sorted({route.port for route in routes.values()})) if published else (),
    )


def _ask(name: str, route: Route, question: Question, container: Any, server: Server) -> Answer:
    """The route's answer, as soon as it is a good one. Raises EngineError."""
    start = time.monotonic()
    while True:
        url = f"http://127.0.0.1:{_port(route, container, server)}{route.path}"
        answer = _answer(name, url, question.data, start)
        if 200 <= answer.status < 300:
            return answer
        if _ended(container) or name == "scoring" or time.monotonic() - start > question.timeout:
            raise _no_good(answer, container)
        time.sleep(_PAUSE)


def _port(route: Route, container: Any, server: Server) -> int:
    if server.network == "host":
        return route.port
    container.reload()  # the engine publishes ports when it starts a container
    published = container.ports.get(f"{route.port}/tcp") or [{"HostPort": 0}]
    return int(published[0]["HostPort"])


def _answer(name: str, url: str, data: str, start: float) -> Answer:
    method, body = ("POST", data.encode()) if name == "scoring" else ("GET", None)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    request = f"{method} {url}"
    try:
        found = urllib3.request(
            method, url, body=body, headers=headers, retries=False, timeout=_ANSWER_SECONDS
        )
    except urllib3.exceptions.HTTPError as error:
        return Answer(name, request, 0, str(error), time.monotonic() - start)
    text = found.data.decode(errors="replace").strip()
    return Answer(name, request, found.status, text[:_SHOWN], time.monotonic() - start)


def _ended(container: Any) -> bool:
    container.reload()
    return bool(container.status != "running")


def _no_good(answer: Answer, container: Any) -> EngineError:
    facts: dict[str, object] = {"request": answer.request, "gave": answer.body or "nothing"}
    if answer.status:
        facts["gave"] = f"{answer.status} {answer.body}".rstrip()
    if container.status != "running":
        facts["server"] = f"ended with exit code {container.attrs['State']['ExitCode']}"
    facts["waited"] = f"{answer.seconds:.1f} s"
    facts["log"] = container.logs(tail=10).decode(errors="replace").strip() or "empty"
    hint = "correct the route in `inference_config`, or the server; --timeout gives it longer"
    return EngineError(f"the {answer.route} route gives no good answer", facts=facts, hint=hint)
