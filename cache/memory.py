"""A store in memory: for tests and for processes that keep nothing."""

from __future__ import annotations

import contextlib
import io
from typing import IO, TYPE_CHECKING

from ..errors import IntegrityError
from .digest import CHUNK, Digest, Hasher, Json, Key, canonical
from .store import BlobNotFound, Miss, Reason, Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .oci import Descriptor


class MemoryStore:
    """BlobStore and TraceStore in two dicts, as bytes: who changes what it stored changes nothing here."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.traces: dict[Key, bytes] = {}

    def __str__(self) -> str:
        return "store in memory"

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob. Raises BlobNotFound."""
        try:
            return io.BytesIO(self.blobs[digest])
        except KeyError:
            raise BlobNotFound(digest, self) from None

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store the blob that `open_blob` streams. Raises IntegrityError if it is another; stores nothing."""
        if self.missing([blob]):
            with contextlib.closing(open_blob()) as stream:
                self.blobs[blob.digest] = b"".join(checked(blob, stream, CHUNK, self))

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not here with their size."""
        return {b.digest for b in blobs if b.digest not in self.blobs or len(self.blobs[b.digest]) != b.size}

    def discard(self, digest: Digest) -> None:
        """Drop a corrupt blob."""
        self.blobs.pop(digest, None)

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if it was made from `inputs`."""
        data = self.traces.get(key)
        return Miss(Reason.NEVER) if data is None else read_trace(key, data, inputs)

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are stored already."""
        self.traces[trace.key] = canonical(trace.to_json())


def checked(blob: Descriptor, stream: IO[bytes], piece_bytes: int, store: object) -> Iterator[bytes]:
    """`stream` in pieces, all full but the last; nothing for an empty one.

    Raises IntegrityError, after the last piece at the latest, if it is not `blob` by digest and size.
    """
    hasher = Hasher()
    while hasher.size <= blob.size and (piece := _full(stream, piece_bytes)):
        hasher.update(piece)
        yield piece
    size, found = hasher.size, hasher.digest()
    if (found, size) != (blob.digest, blob.size):
        facts = {"expected": f"{blob.digest}, {blob.size} bytes", "found": f"{found}, {size} bytes"}
        raise IntegrityError("a blob's bytes are not what its digest says", facts=facts | {"store": store})


def _full(stream: IO[bytes], size: int) -> bytes:
    """The next `size` bytes, fewer only at the end: sockets and pipes give what they have."""
    chunks = []
    while size and (chunk := stream.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
