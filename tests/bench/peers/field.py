"""Everybody who takes part, with the services they need, ready to be asked.

with field(world) as assembled:
    for contender in assembled.contenders: ...
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import settings
from bench.peers import base
from bench.peers.contenders import Buildah, Contender, Dockerfiles, Engine, OldEngine, Prebake, Single, engine
from bench.peers.installed import install
from bench.peers.memory import in_memory
from bench.peers.room import opened
from bench.peers.wanted import PIP, UV, Installer, Mount, cache_mount, no_cache
from world.services import dockerd, static

_ZSTD = "--output=type=image,name={to},push=true,compression=zstd,compression-level=1,oci-mediatypes=true"
_GZIP = "--output=type=image,name={to},push=true"


@dataclass(frozen=True, slots=True)
class Field:
    """`node` is an engine that builds nothing: where images are pulled to. `base` has tags `v1` and `v2`."""

    contenders: tuple[Contender, ...]
    node: Engine
    base: Path

    def singles(self, *names: str) -> list[Single]:
        """Contenders of those names; builds of others take several commands."""
        return [one for one in self.contenders if isinstance(one, Single) and one.name in names]


@contextmanager
def field(world: Path) -> Iterator[Field]:
    with ExitStack() as stack:
        stack.enter_context(in_memory())
        room = stack.enter_context(opened(world / "bench-room"))
        url = stack.enter_context(static(world))
        old = stack.enter_context(dockerd(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        plain, stored, node = (
            stack.enter_context(engine(room, name, {"containerd-snapshotter": containerd}))
            for name, containerd in (("plain", False), ("stored", True), ("node", False))
        )
        program = install(room.work / "installed")
        pip = next((world / ".downloads" / "pypi").glob("pip-*.whl"))
        layout = base.make_layout(room, base.make_tar(world, pip), _sources(url))

        def files(name: str, installer: Installer, mount: Mount = cache_mount) -> Dockerfiles:
            return Dockerfiles(room.work / f"files-{name}", installer, mount)

        yield Field(
            (
                Prebake("prebake", program, room.work / "prebake", settings.sources(url)),
                Engine("BuildKit, zstd, uv", room, stored, files("zstd", UV), _ZSTD),
                Engine("BuildKit, uv", room, plain, files("gzip", UV), _GZIP),
                Engine("BuildKit, pip", room, plain, files("pip", PIP), _GZIP),
                OldEngine("old BuildKit, uv", old, files("old", UV), "1"),
                OldEngine("classic, pip", old, files("classic", PIP, no_cache), "0"),
                Buildah("buildah, uv", room, files("buildah", UV)),
            ),
            Engine("node", room, node, files("node", UV), ""),
            layout,
        )


def _sources(url: str) -> dict[str, str]:
    index = f"{url}/index/simple"
    return {"CONDA_CHANNEL": f"{url}/channel", "UV_DEFAULT_INDEX": index, "PIP_INDEX_URL": index}
