"""Run a command in an environment: in a container of its image, or from a prefix on this machine.

In two steps, so that progress has left the terminal when the command starts to speak.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..builders.resolve import resolve
from ..errors import DefinitionError
from .destination import Destination
from .ensure import ensure

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace


@dataclass(frozen=True)
class Command:
    """What to run: arguments, where, and the container's network mode if not the engine's default."""

    arguments: tuple[str, ...]
    local: bool = False
    network: str | None = None


def prepare(
    environment: Environment, request: Request, command: Command, workspace: Workspace, progress: Progress
) -> Callable[[], int]:
    """Make the environment ready; what is returned runs the command and gives its exit code."""
    how = _prepare_local if command.local else _prepare_container
    return how(environment, request, command, workspace, progress)


def _prepare_container(
    environment: Environment, request: Request, command: Command, workspace: Workspace, progress: Progress
) -> Callable[[], int]:
    from ..builders import docker, docker_run

    here = replace(request, destination=Destination("docker", "prebake/run:latest"))
    built = ensure(environment, here, workspace, progress)
    asked = docker_run.Command(command.arguments, network=command.network)

    def run() -> int:
        with docker.connect(workspace.docker_host, workspace.docker_certificates) as engine:
            output = (sys.stdout.buffer, sys.stderr.buffer)
            return docker_run.run(built.delivered.image_id, asked, engine, output)

    return run


def _prepare_local(
    environment: Environment, request: Request, command: Command, workspace: Workspace, progress: Progress
) -> Callable[[], int]:
    from ..builders.local import ensure_prefix, run_local

    world = workspace.world(request, progress.step)
    resolved = resolve(environment, world, workspace.recipe.prefix)
    if resolved.lock is None:
        raise DefinitionError(
            "an image cannot run without an image",
            facts={"environment": environment.title},
            hint="drop --local, or declare conda packages",
        )
    progress.step("installing on this machine")
    prefix = ensure_prefix(resolved.lock, world)
    variables = dict(workspace.environ) | resolved.variables
    return lambda: run_local(prefix, command.arguments, variables)
