"""The local store: a directory that is an OCI image layout plus traces.

    STORE/
      oci-layout  index.json         OCI image layout 1.0.0 (image-layout.md); the index stays empty:
                                     traces are the index, and a list of all images would be contended
      blobs/sha256/HEX               bytes by digest
      traces/KE/KEY.json             traces by key
      quarantine/HEX                 blobs that were not what their digest says
      pins/  tombstones/  trash/     what prune keeps, what it evicted, what it is about to (see sweep.py)
      requests/                      who asked for what (see flows/requests.py); warming/ and bases/ alike
      presence/                      what remote tiers were seen to hold (see presence.py)
      leases.db  prune.lock          who makes what just now; who prunes
      tmp/                           half-written files; nobody reads them, a day later they go

Invariant: a name appears only by rename of a complete file, so a process killed at any moment leaves a
store that works, and any number of processes may write at once. Files are not fsynced (it would cost more
than the build: 40 ms a file on a cloud disk): after a power cut a file may be short or empty, which its
size, its digest or its canonical inputs give away, and it counts as a miss.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import xxhash

from ..errors import IntegrityError
from .digest import CHUNK, Digest, Json, Key, canonical, digest_stream
from .files import new_name, replacing, store_errors, touch
from .oci import Descriptor
from .store import BlobNotFound, HashingWriter, Miss, Reason, Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CHECK = "io.prebake.xxh3-64"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_EMPTY_INDEX = b'{"manifests":[],"schemaVersion":2}'
_LEFTOVER_SECONDS = 86_400


def _remove(path: Path) -> None:
    from shutil import rmtree

    rmtree(path) if path.is_dir() else path.unlink()


class DirectoryStore:
    """BlobStore and TraceStore in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp = root / "tmp"
        self._blobs = root / "blobs" / "sha256"
        self._traces = root / "traces"
        with store_errors(root):
            self._make_folders()
            self._sweep()

    def __str__(self) -> str:
        return f"store {self.root}"

    def _make_folders(self) -> None:
        if (self.root / "oci-layout").exists():
            return
        for folder in (self.tmp, self._blobs, self._traces):
            folder.mkdir(parents=True, exist_ok=True)
        for name, data in (("index.json", _EMPTY_INDEX), ("oci-layout", LAYOUT)):
            with replacing(self.root / name, self.tmp) as stream:
                stream.write(data)

    def _sweep(self) -> None:
        """Remove what killed processes left behind; younger files may belong to a build that runs."""
        long_ago = time.time() - _LEFTOVER_SECONDS
        for left in self.tmp.iterdir() if self.tmp.exists() else ():  # a foreign layout has none
            with contextlib.suppress(FileNotFoundError):  # another process sweeps too
                if left.lstat().st_mtime < long_ago:
                    _remove(left)

    def path(self, digest: Digest) -> Path:
        """Where the blob `digest` is, or would be."""
        return self._blobs / digest.hex

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob. Raises BlobNotFound; the reader checks the digest (see `read`)."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise BlobNotFound(digest, self) from error

    def read(self, digest: Digest) -> bytes:
        """A whole small blob, digest checked. Raises BlobNotFound, IntegrityError."""
        with self.open(digest) as stream:
            data = stream.read()
        if Digest.of(data) != digest:
            raise IntegrityError("a blob is corrupt", facts={"digest": digest, "store": self})
        return data

    def create(self, write: Callable[[HashingWriter], object]) -> tuple[Digest, int]:
        """Store what `write` writes; all or nothing, idempotent. Returns digest and size in bytes."""
        return self._create(write, lambda digest, size: None)

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store the blob that `open_blob` streams. Raises IntegrityError if it is another; stores nothing."""

        def copy(writer: HashingWriter) -> None:
            with contextlib.closing(open_blob()) as stream:
                while chunk := stream.read(CHUNK):
                    writer.write(chunk)

        def check(found: Digest, size: int) -> None:
            if (found, size) != (blob.digest, blob.size):
                expected = f"{blob.digest}, {blob.size} bytes"
                facts = {"expected": expected, "found": f"{found}, {size} bytes", "store": self}
                raise IntegrityError("a blob's bytes are not what its digest says", facts=facts)

        if self.claim([blob]):
            self._create(copy, check)

    def put_expected(
        self, expected: Digest, write: Callable[[HashingWriter], object], wrong: Callable[[Digest], Exception]
    ) -> None:
        """Store what `write` writes if its digest is `expected`; else raise `wrong(found)`, store nothing."""

        def check(found: Digest, size: int) -> None:
            if found != expected:
                raise wrong(found)

        self._create(write, check)

    def _create(
        self, write: Callable[[HashingWriter], object], check: Callable[[Digest, int], None]
    ) -> tuple[Digest, int]:
        with store_errors(self.root), self.temporary() as draft:
            with draft.open("wb", buffering=1 << 20) as stream:
                writer = HashingWriter(stream)
                write(writer)
            digest = writer.hasher.digest()
            check(digest, writer.hasher.size)
            draft.chmod(0o644)
            draft.replace(self.path(digest))
        return digest, writer.hasher.size

    def put_bytes(self, data: bytes) -> Digest:
        """Store bytes in memory."""
        return self.create(lambda writer: writer.write(data))[0]

    def keep(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small blob; its descriptor carries a checksum that `read_small` can do with."""
        check = {CHECK: xxhash.xxh3_64_hexdigest(data)}
        return Descriptor(media_type, self.put_bytes(data), len(data), check)

    def read_small(self, blob: Descriptor) -> bytes:
        """A blob that `keep` stored, compared with its checksum. Raises BlobNotFound, IntegrityError.

        On a hit this spares the import of OpenSSL (25 ms); whoever can forge the blob can forge the trace.
        """
        if CHECK not in blob.annotations:
            return self.read(blob.digest)
        with self.open(blob.digest) as stream:
            data = stream.read()
        if xxhash.xxh3_64_hexdigest(data) != blob.annotations[CHECK]:
            raise IntegrityError("a blob is corrupt", facts={"digest": blob.digest, "store": self})
        return data

    def check_writable(self) -> None:
        """Raise StoreError if nothing can be written: whoever tries later may blame another for it."""
        with store_errors(self.root), self.temporary():
            pass

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A path on the store's file system that is gone afterwards."""
        draft = new_name(self.tmp)
        try:
            draft.touch(mode=0o600, exist_ok=False)
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the store's file system that is gone afterwards."""
        from tempfile import TemporaryDirectory

        with store_errors(self.root), TemporaryDirectory(dir=self.tmp) as name:
            yield Path(name)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not here, with their size and, if `keep` gave it, checksum."""
        return {blob.digest for blob in blobs if not self._has(blob)}

    def claim(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The same for one who relies on those that are here: they count as used, and prune lets them be.

        Whoever found a trace that reaches them need not: that was touched.
        """
        return {blob.digest for blob in blobs if not self._has(blob) or not self._touch(blob)}

    def _has(self, blob: Descriptor) -> bool:
        try:
            if CHECK in blob.annotations:
                self.read_small(blob)
            # a hit asks for twenty, and a Path costs 30 us
            return os.stat(f"{self._blobs}/{blob.digest.hex}").st_size == blob.size  # noqa: PTH116
        except (FileNotFoundError, IntegrityError):
            return False

    def _touch(self, blob: Descriptor) -> bool:
        try:
            touch(self.path(blob.digest))
        except FileNotFoundError:
            return False
        return True

    def set_aside_corrupt(self) -> list[Digest]:
        """Read every blob and move those that are not what their digest says to quarantine.

        For when a destination refused a blob: as missing, they are made again.
        """
        found = []
        for path in sorted(self._blobs.iterdir()):
            digest = Digest(path.name)
            with path.open("rb") as stream:
                whole = digest_stream(stream)[0] == digest
            if not whole:
                self.discard(digest)
                found.append(digest)
        return found

    def discard(self, digest: Digest) -> None:
        """Move a corrupt blob to quarantine."""
        (self.root / "quarantine").mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).replace(self.root / "quarantine" / digest.hex)

    def _trace_path(self, key: Key) -> Path:
        return self._traces / key.hex[:2] / f"{key.hex}.json"

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if it was made from `inputs`; being found counts as being used."""
        path = self._trace_path(key)
        try:
            data = path.read_bytes()
            touch(path)
        except FileNotFoundError:
            return Miss(Reason.NEVER)
        return read_trace(key, data, inputs)

    def record(self, trace: Trace) -> None:
        """Write a trace whose blobs are stored already."""
        with store_errors(self.root), replacing(self._trace_path(trace.key), self.tmp) as stream:
            stream.write(canonical(trace.to_json()))
