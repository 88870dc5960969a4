"""Which blobs a tier was seen to hold a moment ago: an empty file each, its time the time of the sight.

Believed for less than any registry's garbage collection lets an unused blob live. A belief that turns out
wrong is dropped by whoever finds out, so that the next look asks again. A blob that was there but corrupt
(`HEX.bad`) counts as missing for a day, or until it was put again.
"""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from .store import BlobNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .digest import Digest
    from .oci import Descriptor
    from .store import BlobStore

SECONDS = 3600.0
_DISTRUST_SECONDS = 86_400.0


class Remembered:
    """A BlobStore that is not asked twice within `seconds` whether it holds a blob."""

    def __init__(self, blobs: BlobStore, folder: Path, seconds: float = SECONDS) -> None:
        self._blobs = blobs
        self._folder = folder
        self._seconds = seconds

    def __str__(self) -> str:
        return str(self._blobs)

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob. Raises BlobNotFound."""
        try:
            return self._blobs.open(digest)
        except BlobNotFound:
            self._forget(digest)
            raise

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store a blob; all or nothing, idempotent. One that was corrupt is discarded first."""
        bad = self._bad(blob.digest)
        if bad.exists():
            self._blobs.discard(blob.digest)
        self._blobs.put(blob, open_blob)
        bad.unlink(missing_ok=True)
        self._remember(blob)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not there; those seen a moment ago are."""
        asked = list(blobs)
        bad = {blob.digest for blob in asked if _younger(self._bad(blob.digest), _DISTRUST_SECONDS)}
        doubtful = [blob for blob in asked if not _younger(self._good(blob), self._seconds)]
        gone = self._blobs.missing(doubtful) if doubtful else set()
        for blob in doubtful:
            if blob.digest not in gone:
                self._remember(blob)
        return gone | bad

    def discard(self, digest: Digest) -> None:
        """What is there is corrupt: it counts as missing until it is put again."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._bad(digest).touch()

    def _forget(self, digest: Digest) -> None:
        for seen in self._folder.glob(f"{digest.hex}-*"):
            seen.unlink(missing_ok=True)

    def _remember(self, blob: Descriptor) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._good(blob).touch()

    def _good(self, blob: Descriptor) -> Path:
        return self._folder / f"{blob.digest.hex}-{blob.size}"

    def _bad(self, digest: Digest) -> Path:
        return self._folder / f"{digest.hex}.bad"


def _younger(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime < seconds
    except FileNotFoundError:
        return False
