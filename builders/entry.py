"""What a layer holds, as values: files and symbolic links, and where their bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# 1980-01-01: the oldest time a zip file can hold; 0 is refused by some tools.
FIXED_MTIME = 315532800


@dataclass(frozen=True, slots=True)
class ZipMember:
    """Where a wheel keeps a file: method 0 (stored) or 8 (deflated), offset and packed size in bytes."""

    archive: Path
    method: int
    offset: int
    packed_size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Symlink:
    """Content of a symbolic link."""

    target: str


Content = bytes | Path | ZipMember | Symlink


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or symbolic link of a layer; `path` is relative to the root, without leading slash."""

    path: str
    content: Content
    size: int
    executable: bool = False
    mtime: int = FIXED_MTIME
    owner: str = ""

    @property
    def mode(self) -> int:
        """Permission bits as they are written."""
        return 0o777 if isinstance(self.content, Symlink) else 0o755 if self.executable else 0o644
