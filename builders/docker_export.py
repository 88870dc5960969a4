"""Take an image's own layers and its config out of a Docker Engine.

`docker save` streams every layer, the base's too, in an order of its own. So each is spooled and hashed, one
at a time, and what no base has is packed by our encoder. A layer is known by its diff_id and nothing else,
which every engine keeps that does not keep its images in containerd.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from typing import IO, TYPE_CHECKING, Any, cast

from ..cache.digest import CHUNK, DiffId, Hasher
from ..cache.oci import Descriptor, Layer, to_bytes
from ..errors import EngineError
from .docker import engine_errors
from .encode import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

    from ..cache.store import HashingWriter
    from .world import World

# Fields of the OCI image config; the classic builder adds some that tell of the container it used.
_FIELDS = ("architecture", "author", "config", "created", "history", "os", "os.version", "rootfs", "variant")
_OF_A_CONTAINER = (
    "AttachStderr", "AttachStdin", "AttachStdout", "Domainname", "Hostname", "Image", "OpenStdin",
    "StdinOnce", "Tty",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """An image's own layers, bottom first, and its config."""

    layers: tuple[Layer, ...]
    config: Mapping[str, Any]

    def config_without(self, labels: Mapping[str, str]) -> bytes:
        """The config as OCI has it; `labels` are of the build and not of the image."""
        given = self.config.get("config") or {}
        own = {name: value for name, value in given.items() if name not in (*_OF_A_CONTAINER, "Labels")}
        left = {name: value for name, value in (given.get("Labels") or {}).items() if name not in labels}
        config = {name: value for name, value in self.config.items() if name in _FIELDS}
        return to_bytes(config | {"config": own | ({"Labels": left} if left else {})})


def export(
    engine: DockerClient, image_id: str, base: Mapping[str, Any], world: World, compression: str
) -> Exported:
    """What the image has on top of the image whose config is `base`. Raises EngineError."""
    facts = {"image": image_id}
    with engine_errors("give the image back", facts):
        image = engine.images.get(image_id)
        own = _on_top(image.attrs["RootFS"].get("Layers") or [], base["rootfs"]["diff_ids"])
        found: dict[str, Layer] = {}
        config: dict[str, Any] | None = None
        for spooled, diff_id in _members(image.save(chunk_size=CHUNK), world):
            if str(diff_id) == image_id:
                config = json.loads(spooled.read_bytes())
            elif str(diff_id) in own:
                found[str(diff_id)] = _stored(spooled, diff_id, world, compression)
            if config and len(found) == len(set(own)):
                return Exported(tuple(found[each] for each in own), config)
    hint = "use an engine that keeps its images in a graph driver, not in containerd"
    raise EngineError("the Docker Engine gives back another image than it built", facts=facts, hint=hint)


def _on_top(diff_ids: list[str], base: list[str]) -> list[str]:
    if diff_ids[: len(base)] != base:
        raise EngineError(
            "the Docker Engine built on another base than the pinned one",
            facts={"expected": ", ".join(base), "found": ", ".join(diff_ids)},
            hint="build without squashing, on an engine for the target's platform",
        )
    return diff_ids[len(base) :]


def _members(chunks: Iterator[bytes], world: World) -> Iterator[tuple[Path, DiffId]]:
    """Each file of the archive, as a file that is gone with the next one, and its digest."""
    stream = BufferedReader(_Chunks(chunks), CHUNK)
    with tarfile.open(None, "r|", cast("IO[bytes]", stream), bufsize=CHUNK) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content:
                with world.store.local.temporary() as spooled:
                    yield spooled, _spool(content, spooled)


def _spool(content: IO[bytes], spooled: Path) -> DiffId:
    hasher = Hasher()
    with spooled.open("wb") as stream:
        while chunk := content.read(CHUNK):
            hasher.update(chunk)
            stream.write(chunk)
    return hasher.diff_id()


def _stored(spooled: Path, diff_id: DiffId, world: World, compression: str) -> Layer:
    """The layer in the local store, scanned for credentials on its way."""
    kind = ENCODERS[compression]

    def write(writer: HashingWriter) -> None:
        encoder = kind(writer.write)
        with spooled.open("rb", buffering=0) as stream:
            chunks = iter(lambda: stream.read(CHUNK), b"")
            for chunk in world.gate.scanned("a layer of the Dockerfile", chunks) if world.gate else chunks:
                encoder.write(chunk)
        encoder.close()

    digest, size = world.store.local.create(write)
    return Layer(Descriptor(kind.media_type, digest, size), diff_id)


class _Chunks(RawIOBase):
    """The engine's chunks as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
