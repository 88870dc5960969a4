"""Layer tars as a pure function of their entries.

Entries sorted by path, every parent folder once with fixed metadata, uid and gid 0, no user names. Hard
links, whiteouts and extended attributes are never written.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from ..cache.aside import AsideHasher
from ..cache.digest import CHUNK, Bytes, DiffId
from ..errors import IntegrityError
from .encode import DEFLATED, PACKED_CHUNK, Archives, Encoder, inflate, inflate_small
from .entry import FIXED_MTIME, Entry, Symlink, ZipMember
from .tar_header import BLOCK, header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .gate import Gate

# Below this a spliced member's header and the flush it forces cost more than compressing afresh.
SPLICE_FROM = 64 << 10


@dataclass(frozen=True, slots=True)
class TarResult:
    """What one layer unpacks to, and a line per entry: `path mode content-xxh3 owner`."""

    diff_id: DiffId
    listing: bytes


class LayerWriter:
    """Writes entries, sorted by path, as a tar through an encoder."""

    def __init__(self, encoder: Encoder, gate: Gate | None = None) -> None:
        self._gate = gate
        self._encoder = encoder
        self._hasher = AsideHasher()
        self._archives = Archives()
        self._folders: set[str] = set()
        self._listing: list[str] = []

    def write_all(self, entries: Iterable[Entry]) -> TarResult:
        """Write all entries and the end of the archive."""
        with self._hasher, closing(self._archives):
            self._write_sorted(sorted(entries, key=lambda entry: entry.path))
            self._write(bytes(2 * BLOCK))
            self._encoder.close()
            return TarResult(self._hasher.diff_id(), "\n".join(self._listing).encode())

    def _write_sorted(self, entries: Iterable[Entry]) -> None:
        last = None
        for entry in entries:
            if entry.path == last:  # of another package; the listing tells whether they agree
                self._list(entry, _mark(entry))
                continue
            self._write_folders(entry.path)
            self._write_entry(entry)
            last = entry.path

    def _write(self, data: Bytes) -> None:
        self._hasher.update(data)
        self._encoder.write(data)

    def _write_folders(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._write_folders(folder)
            self._folders.add(folder)
            self._write(header(folder + "/", b"5", 0o755, 0, FIXED_MTIME))

    def _write_entry(self, entry: Entry) -> None:
        content = entry.content
        if self._gate:
            target = content.target if isinstance(content, Symlink) else ""
            self._gate.check(f"{entry.path}\0{target}".encode(), entry.path)
        if isinstance(content, Symlink):
            self._write(header(entry.path, b"2", entry.mode, 0, entry.mtime, content.target))
            mark = _mark(entry)
        else:
            self._write(header(entry.path, b"0", entry.mode, entry.size, entry.mtime))
            mark = self._write_content(entry, content)
            self._write(bytes(-entry.size % BLOCK))
        self._list(entry, mark)

    def _list(self, entry: Entry, mark: str) -> None:
        path = entry.path.replace("\n", "\\n")
        self._listing.append(f"{path}\t{entry.mode:o}\t{mark}\t{entry.owner}")

    def _write_content(self, entry: Entry, content: bytes | Path | ZipMember) -> str:
        if isinstance(content, ZipMember) and content.method == DEFLATED and entry.size >= SPLICE_FROM:
            return self._splice(entry, content)
        hasher = xxhash.xxh3_64()
        for chunk in self._scanned(entry, self._chunks(content, entry.size)):
            hasher.update(chunk)
            self._write(chunk)
        return hasher.hexdigest()

    def _chunks(self, content: bytes | Path | ZipMember, size: int) -> Iterable[bytes]:
        if isinstance(content, ZipMember) and size < SPLICE_FROM and content.packed_size <= PACKED_CHUNK:
            return [inflate_small(content, size, self._archives.read(content))]
        return _chunks(content, size)

    def _scanned(self, entry: Entry, chunks: Iterable[bytes]) -> Iterable[bytes]:
        if self._gate is None:
            return chunks
        return self._gate.scanned(entry.path, chunks)

    def _splice(self, entry: Entry, member: ZipMember) -> str:
        hasher = xxhash.xxh3_64()
        for chunk in self._scanned(entry, self._encoder.splice(member, entry.size)):
            hasher.update(chunk)
            self._hasher.update(chunk)
        return hasher.hexdigest()


def _mark(entry: Entry) -> str:
    content = entry.content
    hasher = xxhash.xxh3_64()
    for chunk in [content.target.encode()] if isinstance(content, Symlink) else _chunks(content, entry.size):
        hasher.update(chunk)
    return hasher.hexdigest()


def _chunks(content: bytes | Path | ZipMember, size: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, ZipMember):
        yield from inflate(content, size)
    else:
        yield from _read(content, size)


def _read(path: Path, size: int) -> Iterator[bytes]:
    """A file's bytes, by as few calls as can be: most files are small, and there are many."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while size and (chunk := os.read(descriptor, min(size, CHUNK))):
            size -= len(chunk)
            yield chunk
    finally:
        os.close(descriptor)
    if size:
        raise IntegrityError("a file changed while it was read", facts={"file": path})
