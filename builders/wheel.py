"""Wheels become layer entries without being unpacked.

`installer` decides where each file goes and writes RECORD, scripts and INSTALLER as the wheel
specification says (packaging.python.org, "Binary distribution format"); here its source yields places in
the archive instead of bytes, and its destination collects entries instead of writing files.
"""

from __future__ import annotations

import base64
import io
import posixpath
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry, parse_record_file
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import construct_record_file, fix_shebang

from ..cache.digest import Hasher
from ..errors import PackageError
from .encode import DEFLATED, inflate
from .entry import Entry, ZipMember

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from installer.scripts import ScriptSection
    from installer.utils import Scheme

    from .prefix import Prefix

INSTALLER = b"prebake\n"
# What installer and zipfile raise for a wheel that is not as it should be.
_UNUSABLE = (
    InstallerError, zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, AssertionError,
    EOFError, NotImplementedError, OSError,
)  # fmt: skip


def wheel_entries(archive: Path, file_name: str, prefix: Prefix) -> list[Entry]:
    """What installing the wheel at `archive` puts into the layer.

    Raises PackageError for a wheel that is damaged or tries to write outside of its folders.
    """
    try:
        with zipfile.ZipFile(archive) as wheel:
            wheel.filename = file_name  # a blob is named by digest, and WheelFile reads its name
            refuse_hostile(wheel, file_name)
            source = _Source(wheel, archive)
            placement = _Placement(prefix, source.distribution, file_name)
            install(source, placement, {"INSTALLER": INSTALLER})
    except _UNUSABLE as error:
        facts = {"wheel": file_name, "reason": error}
        raise PackageError("a wheel cannot be installed", facts=facts, hint="ask its publisher") from error
    return placement.entries


def refuse_hostile(wheel: zipfile.ZipFile, file_name: str) -> None:
    """Raise PackageError for members that could end up outside of the wheel's folders."""
    seen: set[str] = set()
    for item in wheel.infolist():
        if reason := _hostile(item, seen):
            raise PackageError(
                "a wheel is refused: it could write outside of its folder",
                facts={"wheel": file_name, "member": item.filename, "reason": reason},
                hint="do not install it; report it to the index it came from",
            )
        seen.add(item.filename)


def _hostile(item: zipfile.ZipInfo, seen: set[str]) -> str | None:
    name = item.orig_filename
    if name.startswith("/") or "\\" in name or min(name, default=" ") < " ":
        return "absolute path, back slash or control character"
    if ".." in name.split("/"):
        return "path with `..`"
    if stat.S_IFMT(item.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "symbolic link or special file"
    if item.filename in seen:
        return "the same path twice"
    if item.compress_type not in (zipfile.ZIP_STORED, DEFLATED) or item.flag_bits & 1:
        return "neither stored nor deflated, or encrypted"
    return None


class _Member(io.BytesIO):
    """A file inside the wheel: where it is and its RECORD line; bytes are read only when a script asks."""

    def __init__(self, place: ZipMember, size: int, record: tuple[str, str, str]) -> None:
        super().__init__()
        self.place, self.size, self.record = place, size, record

    def load(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        return inflate(self.place, self.size)


class _Source(WheelFile):
    """A wheel whose contents are places in its archive."""

    def __init__(self, wheel: zipfile.ZipFile, archive: Path) -> None:
        super().__init__(wheel)
        self._archive = archive

    def get_contents(self) -> Iterator[tuple[tuple[str, str, str], BinaryIO, bool]]:
        lines = self.read_dist_info("RECORD").splitlines()
        records = {record[0]: record for record in parse_record_file(lines)}
        with self._archive.open("rb", buffering=0) as stream:
            for item in self._zipfile.infolist():
                if not item.is_dir():
                    record = records.get(item.filename, (item.filename, "", ""))
                    mode = item.external_attr >> 16
                    yield (
                        record,
                        _Member(_locate(stream, item, self._archive), item.file_size, record),
                        bool(stat.S_ISREG(mode) and mode & 0o111),
                    )


def _locate(stream: io.FileIO, item: zipfile.ZipInfo, archive: Path) -> ZipMember:
    """The member's data lies behind its local header, whose name and extra field may be of other length."""
    stream.seek(item.header_offset)
    local = stream.read(30) or b""
    if len(local) < 30 or not local.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile(f"no local header for {item.filename}")
    name, extra = struct.unpack_from("<HH", local, 26)
    offset = item.header_offset + 30 + name + extra
    return ZipMember(archive, item.compress_type, offset, item.compress_size, item.CRC)


class _Placement(WheelDestination):
    """Collects entries instead of writing files."""

    def __init__(self, prefix: Prefix, distribution: str, owner: str) -> None:
        self.entries: list[Entry] = []
        self._interpreter = prefix.interpreter
        self._schemes = prefix.schemes(distribution)
        self._owner = owner

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        file_name, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        return self._add_bytes(cast("Scheme", "scripts"), file_name, data, executable=True)

    def write_file(
        self, scheme: Scheme, path: str | object, stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        if not isinstance(stream, _Member):
            return self._add_bytes(scheme, str(path), stream.read(), executable=is_executable)
        if scheme == "scripts":
            with fix_shebang(io.BytesIO(stream.load()), self._interpreter) as script:
                return self._add_bytes(scheme, str(path), script.read(), executable=True)
        where = self._where(scheme, str(path))
        self.entries.append(Entry(where, stream.place, stream.size, is_executable, owner=self._owner))
        return _record(str(path), stream)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        with construct_record_file(records, lambda other: self._relative(other, scheme)) as stream:
            self._add_bytes(scheme, record_file_path, stream.read(), executable=False)

    def _relative(self, scheme: Scheme, root: Scheme) -> str | None:
        if scheme == root:
            return None
        return posixpath.relpath(self._schemes[scheme], self._schemes[root]) + "/"

    def _where(self, scheme: Scheme, path: str) -> str:
        folder = self._schemes[scheme]
        where = posixpath.normpath(f"{folder}/{path}")
        if not where.startswith(f"{folder}/"):
            raise ValueError(f"{path} is outside of {scheme}")
        return where

    def _add_bytes(self, scheme: Scheme, path: str, data: bytes, *, executable: bool) -> RecordEntry:
        where = self._where(scheme, path)
        self.entries.append(Entry(where, data, len(data), executable, owner=self._owner))
        return RecordEntry(path, _sha256([data]), len(data))


def _record(path: str, member: _Member) -> RecordEntry:
    """RECORD's own hash where it has a sha256: the wheel as a whole is pinned by digest already."""
    _, recorded, _ = member.record
    if recorded.startswith("sha256="):
        return RecordEntry(path, Hash.parse(recorded), member.size)
    return RecordEntry(path, _sha256(member.chunks()), member.size)


def _sha256(chunks: Iterable[bytes]) -> Hash:
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    packed = bytes.fromhex(hasher.digest().hex)
    return Hash("sha256", base64.urlsafe_b64encode(packed).rstrip(b"=").decode())
