"""Try an image out: run a program in a container of it that sees no network."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .docker_run import Command, run

if TYPE_CHECKING:
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


def remove(name: str, engine: DockerClient) -> None:
    """Remove an image's name, and the image if that was its last one and nothing uses it."""
    from docker.errors import APIError

    try:
        engine.images.remove(name)
    except APIError as error:  # not there any more (404), or a container uses it (409)
        if error.status_code not in (404, 409):
            raise
