"""Whether a layer's tar keeps the promises of tar.py; nothing of it is unpacked."""

from __future__ import annotations

import tarfile
from typing import IO, TYPE_CHECKING

from ..cache.digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_REASONS = 5
_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)


def broken_promises(tar_stream: IO[bytes], prefix: str) -> Iterator[str]:
    """What is wrong with a layer's tar: the first few findings. Raises tarfile.TarError, OSError."""
    order = _Order(prefix.strip("/"))
    count = 0
    with tarfile.open(None, "r|", tar_stream, bufsize=CHUNK) as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header: not flat
            for reason in order.reasons(member):
                count += 1
                if count <= _MOST_REASONS:
                    yield f"{member.name}: {reason}"


class _Order:
    """The order that was kept so far; what memory it takes goes by the number of folders."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._folders = {""}
        self._last = ""

    def reasons(self, member: tarfile.TarInfo) -> Iterator[str]:
        path = member.name
        parent, _, name = path.rpartition("/")
        if member.type not in _KINDS:
            yield "neither file, folder nor symbolic link"
        if name.startswith(".wh."):
            yield "a whiteout"
        if member.uid or member.gid or member.uname or member.gname:
            yield "it belongs to somebody"
        if not self._belongs(path, member.isdir()):
            yield "outside of the environment"
        if parent not in self._folders or path in self._folders:
            yield "before its folder, or twice"
        if member.isdir():
            self._folders.add(path)
        elif path <= self._last:
            yield "not in order, or twice"
        else:
            self._last = path

    def _belongs(self, path: str, is_folder: bool) -> bool:
        inside = path == self._prefix or path.startswith(f"{self._prefix}/")
        return (inside or (is_folder and self._prefix.startswith(f"{path}/"))) and ".." not in path.split("/")
