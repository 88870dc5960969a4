"""What a task file declares: ACR's steps, volumes and networks, as values.

Texts may hold tokens in place of secrets (see template.py); only who runs a step reveals them.
Source: https://learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .template import reveal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .places import Place

WORKSPACE = "/workspace"


@dataclass(frozen=True)
class Build:
    """`docker build` by its command line; `extra` is what only BuildKit understands."""

    tags: tuple[str, ...]
    context: str
    dockerfile: str | None = None
    target: str | None = None
    platform: str | None = None
    network: str | None = None
    arguments: tuple[tuple[str, str | None], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    cache_from: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    buildkit: bool = False
    """`DOCKER_BUILDKIT=1` stands in the step's env."""
    extra: tuple[str, ...] = ()
    kind = "build"


@dataclass(frozen=True)
class Push:
    """Images to push, each with its tag, each once."""

    images: tuple[str, ...]
    kind = "push"


@dataclass(frozen=True)
class Command:
    """An image and what its container is to run."""

    image: str
    arguments: tuple[str, ...] = ()
    kind = "cmd"


@dataclass(frozen=True)
class Mount:
    """A volume of the task at a path of the container."""

    name: str
    path: str


@dataclass(frozen=True)
class Container:
    """How a step's container differs from others."""

    env: tuple[tuple[str, str], ...] = ()
    folder: str | None = WORKSPACE
    """None leaves it to the image."""
    entry_point: tuple[str, ...] = ()
    user: str | None = None
    network: str | None = None
    cpus: float | None = None
    ports: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    privileged: bool = False
    pull: bool = False
    pull_retries: int = 0
    pull_retry_delay: int = 0
    detach: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Attempts:
    """How often a step is tried; delays in seconds."""

    retries: int = 0
    delay: int = 5
    on_errors: tuple[str, ...] = ()
    """If any: retry only when the output holds one of them."""
    repeat: int = 0


@dataclass(frozen=True)
class Step:
    """One step; `parents` are the ids of the steps that end before it starts. Times in seconds."""

    id: str
    action: Build | Push | Command
    parents: tuple[str, ...]
    place: Place
    timeout: int = 600
    start_delay: int = 0
    ignore_errors: bool = False
    attempts: Attempts = Attempts()
    container: Container = Container()


@dataclass(frozen=True)
class Volume:
    """Files, base64 in the task file, that steps may mount."""

    name: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Network:
    """A Docker network for the run's containers."""

    name: str
    driver: str = "bridge"
    ipv6: bool = False
    skip_creation: bool = False
    is_default: bool = False


@dataclass(frozen=True)
class TaskFile:
    """A task, rendered. `secrets` has what the tokens in its texts stand for."""

    path: Path
    version: str
    steps: tuple[Step, ...]
    volumes: tuple[Volume, ...] = ()
    networks: tuple[Network, ...] = ()
    warnings: tuple[str, ...] = ()
    commit: str = ""
    """The commit of what is built, if that is known."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Every text that no log may show: values of secrets and what was rendered of them."""

    def reveal(self, text: str) -> str:
        """The text with its secrets, for the engine alone."""
        return reveal(text, self.secrets)
