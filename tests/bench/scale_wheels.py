"""Wheels and conda packages by the hundred or by the gigabyte, made in seconds, and the pages that list them.

names = small_wheels(folder, 500)         # 20 files each, 150 kB
bulk_wheels(folder, 50)                   # 100 MB each, half of it noise
write_index(folder)                       # folder/simple, PEP 503, beside folder/files
conda_packages(folder / "channel", 500)
"""

from __future__ import annotations

import random
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from world.channel import _write, _write_repodata
from world.conda_package import Entry, Package
from world.digests import sha256_file
from world.simple_index import _write_page

FILES, FILE_BYTES = 20, 7_500
BULK_BYTES = 100 << 20
_WHEEL = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
_BLOCK = 1 << 20


def small_wheels(folder: Path, names: list[str]) -> None:
    """Pure Python packages of usual size: half of their bytes compress."""
    for name in names:
        with zipfile.ZipFile(_path(folder, name), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
            for path, data in _files(name):
                wheel.writestr(f"{name}/{path}", data)
            _describe(wheel, name, [f"{name}/{path}" for path, _ in _files(name)])


def bulk_wheels(folder: Path, names: list[str]) -> None:
    """Wheels of one file each, compressed once for all of them: the same bytes below another name."""
    block = _half_noise(_BLOCK, random.Random("bulk"))
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    whole = squeezer.compress(block) + squeezer.flush(zlib.Z_FULL_FLUSH)  # on its own, so it may be repeated
    squeezed = whole * (BULK_BYTES // _BLOCK) + squeezer.flush()
    checksum = zlib.crc32(block * (BULK_BYTES // _BLOCK))
    for name in names:
        with zipfile.ZipFile(_path(folder, name), "w") as wheel:
            member = zipfile.ZipInfo(f"{name}/data.bin")
            member.compress_type, member.CRC = zipfile.ZIP_DEFLATED, checksum
            member.file_size, member.compress_size = BULK_BYTES, len(squeezed)
            _append(wheel, member, squeezed)
            _describe(wheel, name, [member.filename])


def write_index(folder: Path) -> None:
    """A page for each wheel below `folder`/files."""
    for path in sorted((folder / "files").glob("*.whl")):
        anchor = f'<a href="../../files/{path.name}#sha256={sha256_file(path)}">{path.name}</a>'
        _write_page(folder / "simple" / path.name.partition("-")[0], [anchor])


def conda_packages(channel: Path, names: list[str]) -> None:
    """A channel of packages like the small wheels."""
    for subdir in ("linux-64", "noarch"):
        (channel / subdir).mkdir(parents=True)
    made = (
        Package(name, "1.0", [Entry(f"share/{name}/{path}", data) for path, data in _files(name)])
        for name in names
    )
    _write_repodata(channel / "linux-64", [_write(package, channel) for package in made])
    _write_repodata(channel / "noarch", [])


def _files(name: str) -> Iterator[tuple[str, bytes]]:
    dice = random.Random(name)
    return ((f"part{number:02}.py", _half_noise(FILE_BYTES, dice)) for number in range(FILES))


def _half_noise(size: int, dice: random.Random) -> bytes:
    return dice.randbytes(size // 2) + bytes(size - size // 2)


def _path(folder: Path, name: str) -> Path:
    (folder / "files").mkdir(parents=True, exist_ok=True)
    return folder / "files" / f"{name}-1.0-py3-none-any.whl"


def _describe(wheel: zipfile.ZipFile, name: str, paths: list[str]) -> None:
    info = f"{name}-1.0.dist-info"
    wheel.writestr(f"{info}/METADATA", _METADATA.format(name=name))
    wheel.writestr(f"{info}/WHEEL", _WHEEL)
    listed = [*paths, *(f"{info}/{file}" for file in ("METADATA", "WHEEL", "RECORD"))]
    wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in listed))


def _append(wheel: zipfile.ZipFile, member: zipfile.ZipInfo, squeezed: bytes) -> None:
    """Add a member that is compressed already, which zipfile itself has no way for."""
    assert wheel.fp
    member.header_offset = wheel.fp.tell()
    wheel.fp.write(member.FileHeader())
    wheel.fp.write(squeezed)
    wheel.start_dir = wheel.fp.tell()
    wheel.filelist.append(member)
    wheel.NameToInfo[member.filename] = member
