"""Bytes are compared with their digest whenever they are read.

Invariant: the last chunk is handed out only after all of them were compared, so whoever reads the whole blob
has the right one or an IntegrityError.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from ..errors import IntegrityError
from .digest import CHUNK, Hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .digest import Digest
    from .oci import Descriptor
    from .store import BlobStore


class Verified:
    """A BlobStore whose streams check themselves."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def __str__(self) -> str:
        return str(self._blobs)

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob. Raises BlobNotFound at once, IntegrityError before the last bytes."""
        return verified(self._blobs.open(digest), digest, self)

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store a blob; stores check what they are given."""
        self._blobs.put(blob, open_blob)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not there with their size."""
        return self._blobs.missing(blobs)

    def discard(self, digest: Digest) -> None:
        """Set a corrupt blob aside."""
        self._blobs.discard(digest)


def verified(stream: IO[bytes], digest: Digest, store: object) -> IO[bytes]:
    """`stream`, which raises IntegrityError instead of its last bytes if it is not the blob `digest`.

    For a blob of one chunk that is here already.
    """
    return io.BufferedReader(_Checked(stream, digest, store), CHUNK)


class _Checked(io.RawIOBase):
    """Reads one chunk ahead, to know the last one before it is given away."""

    def __init__(self, stream: IO[bytes], digest: Digest, store: object) -> None:
        self._stream = stream
        self._digest = digest
        self._store = store
        self._hasher = Hasher()
        self._now = memoryview(b"")
        self._next = self._pull()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._now and self._next:
            self._now, self._next = memoryview(self._next), self._pull()
        size = min(len(buffer), len(self._now))
        buffer[:size] = self._now[:size]
        self._now = self._now[size:]
        return size

    def _pull(self) -> bytes:
        chunk = self._stream.read(CHUNK)
        if chunk:
            self._hasher.update(chunk)
        elif (found := self._hasher.digest()) != self._digest:
            facts = {"expected": self._digest, "found": found, "store": self._store}
            raise IntegrityError("a blob is corrupt", facts=facts)
        return chunk

    def close(self) -> None:
        self._stream.close()
        super().close()
