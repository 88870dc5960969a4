"""What an engine says while it builds, pulls and pushes, and what a container says: line by line, endable."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from ..errors import EngineError
from .docker import engine_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from docker import DockerClient

    from .docker_task_room import RoomPlan, Say
    from .stop import Stop


class Lines:
    """Text in pieces becomes whole lines; the last one may lack its end."""

    def __init__(self, say: Say) -> None:
        self._say, self._rest = say, b""

    def add(self, piece: bytes) -> None:
        """Say the lines that are whole now."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._say(_text(line))

    def end(self) -> None:
        """Say what is left."""
        if self._rest:
            self._say(_text(self._rest))
            self._rest = b""


def _text(line: bytes) -> str:
    """What a terminal would show last of a line that overwrites itself."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


@contextmanager
def endable(plan: RoomPlan, stop: Stop, attempt: str, facts: Mapping[str, object]) -> Iterator[DockerClient]:
    """A connection of its own, cut when `stop` is asked: the engine then gives up what it does for it.

    Raises Stopped, or EngineError about `attempt`.
    """
    answers: list[Any] = []

    def cut() -> None:
        for answer in answers:
            with suppress(OSError, ValueError, RuntimeError):  # it has ended by itself
                answer.shutdown()

    with plan.connect() as engine, engine_errors(attempt, facts):
        engine.api.hooks["response"].append(lambda answer, **_: answers.append(answer.raw))
        try:
            with stop.through(cut):
                yield engine
        except (RequestException, HTTPError):
            stop.check()
            raise
        stop.check()


def follow(events: Iterable[Mapping[str, Any]], say: Say, failed: Callable[[str], EngineError]) -> list[Any]:
    """Say what an engine tells of its progress; gives its results. Raises what `failed` makes of an error."""
    results, lines = [], Lines(say)
    for event in events:
        if "error" in event:
            lines.end()
            raise failed(str(event["error"]))
        if "aux" in event:
            results.append(event["aux"])
        elif "stream" in event:
            lines.add(event["stream"].encode())
        elif event.get("status") and not event.get("progressDetail"):
            say(": ".join(filter(None, [event.get("id"), event["status"]])))
    lines.end()
    return results


def pull(engine: DockerClient, image: str, say: Say) -> None:
    """Pull an image with Docker's credentials. Raises EngineError."""

    def failed(reason: str) -> EngineError:
        facts = {"image": image, "reason": reason}
        hint = "check its name, and `docker login` to its registry"
        return EngineError("the Docker Engine cannot pull an image", facts=facts, hint=hint)

    repository, tag = repository_and_tag(image)
    follow(engine.api.pull(repository, tag=tag, stream=True, decode=True), say, failed)


def repository_and_tag(image: str) -> tuple[str, str]:
    """As the engine wants them: a digest takes the tag's place."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, slash, tail = image.rpartition("/")
    base, _, tag = tail.partition(":")
    return head + slash + base, tag or "latest"
