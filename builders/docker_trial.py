"""Try an image out: run a program in a container of it that sees no network."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .docker_run import Command, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient


@dataclass(frozen=True)
class Said:
    """What a program said, and its exit code."""

    code: int
    output: str
    errors: str


def try_out(image: str, program: tuple[str, ...], engine: DockerClient) -> Said:
    """Run the program. Raises EngineError, Unreachable."""
    output, errors = io.BytesIO(), io.BytesIO()
    code = run(image, Command(program, network="none"), engine, (output, errors))
    return Said(code, *(stream.getvalue().decode(errors="replace") for stream in (output, errors)))


@contextmanager
def succeeding(name: str, engine: DockerClient) -> Iterator[None]:
    """Whatever `name` is before and not any more afterwards is removed from the engine, unless it is used."""
    before = _id_of(name, engine)
    yield
    if before and before != _id_of(name, engine):
        _remove(before, engine)


def _id_of(name: str, engine: DockerClient) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return engine.images.get(name).id
    except ImageNotFound:
        return None


def _remove(image: str, engine: DockerClient) -> None:
    from docker.errors import APIError

    try:
        engine.images.remove(image)
    except APIError as error:  # gone already (404), or it has another name or a container (409)
        if error.status_code not in (404, 409):
            raise
