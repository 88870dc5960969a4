"""A conda package as a value, and the two archive formats as pure functions of it.

Invariant: equal packages give equal bytes, on any day and machine: sorted members, fixed times, owner 0,
one zstd thread. Formats: https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html

>>> Package("demo", "1.0", [Entry("share/demo", b"x")]).stem
'demo-1.0-h5e60164_0'
"""

import bz2
import functools
import io
import json
import posixpath
import tarfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import xxhash
import zstandard

from world import EPOCH
from world.digests import sha256

# as long as conda-build's, so that binary replacement has the room real packages have
PLACEHOLDER = ("/opt/fixture/feedstock_root/_h_env_" + "placehold_" * 30)[:255]
_ZSTD_LEVEL = 6  # 9 takes half as long again for 3 % fewer bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or, with `link`, a symlink at a path relative to the prefix."""

    path: str
    data: bytes = b""
    executable: bool = False
    link: str | None = None
    placeholder: Literal["text", "binary"] | None = None


@dataclass(frozen=True)
class Package:
    """What a recipe would have produced. The build string follows from the content unless given."""

    name: str
    version: str
    entries: list[Entry]
    depends: list[str] = field(default_factory=list)
    constrains: list[str] = field(default_factory=list)
    noarch: Literal["python", "generic"] | None = None
    entry_points: list[str] = field(default_factory=list)
    license: str = "NOASSERTION"
    build_prefix: str = ""
    fixed_build: str = ""
    site_packages: str | None = None

    @property
    def subdir(self) -> str:
        return "noarch" if self.noarch else "linux-64"

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @functools.cached_property
    def build(self) -> str:
        return self.fixed_build or f"{self.build_prefix}h{self._content()[:7]}_0"

    def _content(self) -> str:
        seen = xxhash.xxh3_128()
        for entry in self.sorted_entries():
            seen.update(repr((entry.path, entry.executable, entry.link, entry.placeholder)).encode())
            seen.update(entry.data)
        seen.update(repr((self.depends, self.constrains, self.entry_points)).encode())
        return seen.hexdigest()

    def sorted_entries(self) -> list[Entry]:
        return sorted(self.entries, key=lambda entry: entry.path)

    def index(self) -> dict[str, Any]:
        """info/index.json, which is also the record's part that does not depend on the archive."""
        optional = {"noarch": self.noarch, "python_site_packages_path": self.site_packages}
        return {
            "arch": None if self.noarch else "x86_64",
            "build": self.build,
            "build_number": 0,
            "constrains": self.constrains,
            "depends": self.depends,
            "license": self.license,
            "name": self.name,
            "platform": None if self.noarch else "linux",
            "subdir": self.subdir,
            "timestamp": EPOCH * 1000,
            "version": self.version,
        } | {key: value for key, value in optional.items() if value}


def conda_archive(package: Package) -> bytes:
    """The .conda format: a zip of two zstd tars, the info one readable by itself."""
    members = {
        "metadata.json": _json({"conda_pkg_format_version": 2}),
        f"pkg-{package.stem}.tar.zst": _zstd(_tar(package.sorted_entries())),
        f"info-{package.stem}.tar.zst": _zstd(_tar(_info(package))),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            header = zipfile.ZipInfo(name, date_time=time.gmtime(EPOCH)[:6])
            header.external_attr = 0o644 << 16
            archive.writestr(header, data)
    return buffer.getvalue()


def bz2_archive(package: Package) -> bytes:
    """The .tar.bz2 format of before 2019."""
    return bz2.compress(_tar([*_info(package), *package.sorted_entries()]))


def _info(package: Package) -> list[Entry]:
    entries = package.sorted_entries()
    documents = {
        "info/about.json": {"license": package.license, "summary": f"sample package {package.name}"},
        "info/index.json": package.index(),
        "info/paths.json": {"paths": _paths(entries), "paths_version": 1},
    }
    if package.noarch == "python":
        link = {"type": "python", "entry_points": package.entry_points}
        documents["info/link.json"] = {"noarch": link, "package_metadata_version": 1}
    replaced = [f'"{PLACEHOLDER}" {e.placeholder} "{e.path}"' for e in entries if e.placeholder]
    lists = {"info/files": [e.path for e in entries], "info/has_prefix": replaced}
    info = [Entry(path, _json(document)) for path, document in documents.items()]
    info += [Entry(path, "\n".join([*lines, ""]).encode()) for path, lines in lists.items() if lines]
    return sorted(info, key=lambda entry: entry.path)


def _paths(entries: list[Entry]) -> list[dict[str, Any]]:
    files = {entry.path: entry for entry in entries if entry.link is None}
    return [_path(entry, files) for entry in entries]


def _path(entry: Entry, files: dict[str, Entry]) -> dict[str, Any]:
    if entry.link is not None:
        # conda-build records the target's content, and nothing's for a dangling link
        target = files.get(posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link)))
        return _path_of(entry.path, "softlink", target.data if target else b"")
    replaced = (
        {"file_mode": entry.placeholder, "prefix_placeholder": PLACEHOLDER} if entry.placeholder else {}
    )
    return _path_of(entry.path, "hardlink", entry.data) | replaced


def _path_of(path: str, kind: str, data: bytes) -> dict[str, Any]:
    return {"_path": path, "path_type": kind, "sha256": sha256(data), "size_in_bytes": len(data)}


def _tar(entries: Iterable[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.TarFile(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            header = tarfile.TarInfo(entry.path)
            header.mtime = EPOCH
            if entry.link is not None:
                header.type, header.linkname, header.mode = tarfile.SYMTYPE, entry.link, 0o777
            else:
                header.size, header.mode = len(entry.data), 0o755 if entry.executable else 0o644
            archive.addfile(header, io.BytesIO(entry.data))
    return buffer.getvalue()


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=0).compress(data)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode()
