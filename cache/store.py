"""What a store of bytes and a store of traces can do; implementations are in files of their own.

A miss is a value (`Miss`, or `BlobNotFound` where bytes were promised); every other failure is raised
with the store's name. A trace is written after its blobs, never before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ..errors import IntegrityError, RegistryError
from .digest import Bytes, DiffId, Digest, Hasher, Json, Key, as_recorded, canonical
from .oci import Descriptor, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import IO


class BlobNotFound(IntegrityError):
    """A blob that was promised is not in the store."""

    def __init__(self, digest: Digest, store: object) -> None:
        super().__init__("a blob is missing", facts={"digest": digest, "store": store})
        self.digest = digest


class DamagedCopy(RegistryError):
    """A store holds a damaged copy of a blob and takes no other."""


@dataclass(frozen=True)
class Trace:
    """Record key -> inputs + outputs. Constructive: `outputs` is the result, not a hint at it.

    `blobs` are the blobs the outputs need; a trace whose blobs are gone is no trace. `notes` are told to
    people and decide nothing: what making it cost, who wrote it and when, that writer's signature.
    """

    key: Key
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    blobs: tuple[Descriptor, ...] = ()
    notes: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> Json:
        """The trace as stores keep it, its key aside."""
        blobs = [blob.to_json() for blob in self.blobs]
        return {"inputs": self.inputs, "outputs": self.outputs, "blobs": blobs, "notes": self.notes}


class Reason(Enum):
    """Why a look-up found nothing, in words for people."""

    NEVER = "never built here"
    DAMAGED = "its trace is damaged"
    COLLISION = "its key is taken by other inputs"
    BLOBS_GONE = "its blobs are gone"
    UNTRUSTED = "no trusted writer signed it"


@dataclass(frozen=True)
class Miss:
    """A look-up that found nothing to stand behind; all but NEVER are worth a report."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value} ({self.detail})" if self.detail else self.reason.value


def read_trace(key: Key, data: bytes, inputs: Mapping[str, Json]) -> Trace | Miss:
    """What a store kept under `key` (`Trace.to_json`), if it is the trace of `inputs`."""
    try:
        raw = json.loads(data)
        blobs = tuple(Descriptor.from_json(blob) for blob in raw["blobs"])
        trace = Trace(key, dict(raw["inputs"]), dict(raw["outputs"]), blobs, dict(raw["notes"]))
        same = as_recorded(trace.inputs) == canonical(inputs)
    except (ValueError, KeyError, TypeError, AttributeError, IntegrityError) as error:
        return Miss(Reason.DAMAGED, type(error).__name__)
    return trace if same else Miss(Reason.COLLISION)


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

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store a blob that `open_blob` streams; all or nothing, idempotent.

        Raises IntegrityError if the stream is not what the blob's digest and size say; nothing is stored.
        """

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not here with their size."""

    def discard(self, digest: Digest) -> None:
        """Set a blob aside that was read and found corrupt, so that the next `put` stores it anew."""


class TraceStore(Protocol):
    """Traces by key."""

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if it was made from `inputs`; whether its blobs are there is not asked."""

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are stored already; it takes the place of what was there."""


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
