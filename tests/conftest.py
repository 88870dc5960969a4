"""The sample world for all tests: made once, served by real servers, one set of them per test process."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from prebake.builders.sources import Sources
from world import services
from world.make import make

ROOT = Path(__file__).parent.parent
CONDA_FORGE = "https://conda.anaconda.org/conda-forge"


@dataclass(frozen=True)
class SampleWorld:
    """Where the sample channel, index, base image and engine are; the engine starts on first use."""

    root: Path
    logs: Path
    static: str
    registry: str
    _stack: ExitStack = field(repr=False)

    @property
    def channel_url(self) -> str:
        return f"{self.static}/channel"

    @property
    def index_url(self) -> str:
        return f"{self.static}/index/simple"

    @property
    def base(self) -> str:
        return f"{self.registry}/debian:12"

    @functools.cached_property
    def docker(self) -> str:
        """Base URL of a Docker Engine; its containers need the host's network."""
        return self._stack.enter_context(services.dockerd(self.logs / "dockerd")).url

    @property
    def sources(self) -> Sources:
        return Sources(mirrors=((CONDA_FORGE, self.channel_url),), pip_index=self.index_url)

    def environ(self, store: Path) -> dict[str, str]:
        """Settings of a workspace in this world."""
        return {
            "PREBAKE_STORE": str(store),
            "PREBAKE_MIRRORS": f"{CONDA_FORGE}={self.channel_url}",
            "PREBAKE_PIP_INDEX": self.index_url,
        }


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleWorld]:
    root = ROOT / ".world"
    make(root, ("base", "channel", "index"))
    scratch = tmp_path_factory.mktemp("services")
    with ExitStack() as stack:
        static = stack.enter_context(services.static(root, scratch))
        registry = stack.enter_context(services.registry(scratch / "registry"))
        services.push_base(root, registry.host)
        yield SampleWorld(root, scratch, static, registry.host, stack)


@pytest.fixture
def gate() -> Iterator[socket.socket]:
    """Where a RUN waits: it goes on when its connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        opened.settimeout(120)
        yield opened
