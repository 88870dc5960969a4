"""What a store of bytes and a store of traces can do; implementations are in files of their own.

A miss is a value (`None`, or `BlobNotFound` where bytes were promised); every other failure is raised
with the store's name. A trace is written after its blobs, never before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import IntegrityError
from .digest import Bytes, DiffId, Digest, Hasher, Json, Key
from .oci import Descriptor, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import IO


class BlobNotFound(IntegrityError):
    """A blob that was promised is not in the store."""

    def __init__(self, digest: Digest, store: object) -> None:
        super().__init__("a blob is missing", facts={"digest": digest, "store": store})
        self.digest = digest


@dataclass(frozen=True)
class Trace:
    """Record key -> inputs + outputs. Constructive: `outputs` is the result, not a hint at it.

    `blobs` are the blobs the outputs need; a trace whose blobs are gone is no trace.
    """

    key: Key
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    blobs: tuple[Descriptor, ...] = ()


class HashingWriter:
    """Passes bytes on to a file and hashes them on the way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hasher = Hasher()

    def write(self, data: Bytes) -> int:
        """Write and hash `data`."""
        self.hasher.update(data)
        return self._stream.write(data)


class BlobStore(Protocol):
    """Content-addressed bytes."""

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob. Raises BlobNotFound."""

    def put(self, write: Callable[[HashingWriter], object]) -> tuple[Digest, int]:
        """Store what `write` writes; all or nothing, idempotent. Returns digest and size."""

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not here with their size."""


class TraceStore(Protocol):
    """Traces by key."""

    def get(self, key: Key, inputs: Mapping[str, Json]) -> Trace | None:
        """The trace of `key`, if its recorded inputs are `inputs` and its blobs are here."""

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are stored already."""


def layer_to_json(layer: Layer) -> dict[str, Json]:
    """A layer inside a trace's outputs."""
    return {
        "mediaType": layer.descriptor.media_type,
        "digest": str(layer.digest),
        "size": layer.descriptor.size,
        "diffId": str(layer.diff_id),
    }


def layer_from_json(data: Mapping[str, Json]) -> Layer:
    """Read what `layer_to_json` wrote."""
    descriptor = Descriptor.from_json(data)
    return Layer(descriptor, DiffId.parse(str(data["diffId"])))
