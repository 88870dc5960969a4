"""How the Docker Engine is reached that builds Dockerfiles; the SDK is not imported for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..cache.credentials import Credentials


@dataclass(frozen=True)
class Access:
    """How a Docker Engine is reached and used: None means its usual socket.

    `network` is the network of a Dockerfile's RUN (empty: the engine's default), `labels` are put on what is
    built there, `environ` is what the `docker` command sees, `credentials` gives a registry's.
    """

    host: str | None = None
    certificates: Path | None = None
    network: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Callable[[str], Credentials | None] = lambda registry: None
