"""The conda channel: packages in parallel, then repodata as a pure function of them.

rattler's own indexer is not used: it stamps each record with the time of indexing.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from world import downloads, native
from world.conda_package import Package, bz2_archive, conda_archive
from world.digests import md5, sha256
from world.fixtures import fixture_packages, legacy_package
from world.wheel_package import wheel_package

WHEELS = Path(__file__).with_name("conda-wheels.txt")
_SUBDIRS = ("linux-64", "noarch")
_WITHOUT_SHA256 = {"nosha-demo"}


@dataclass(frozen=True, slots=True)
class _Indexed:
    """An archive in the channel and its record in repodata."""

    subdir: str
    file: str
    record: dict[str, Any]


def build_channel(folder: Path, cache: Path) -> dict[str, Any]:
    for subdir in _SUBDIRS:
        (folder / subdir).mkdir(parents=True)
    wheels = downloads.wheels(downloads.read_pins(WHEELS), cache / "pypi")
    debs = downloads.debs(native.DEBS, cache / "debs")
    # largest first, so that no process is left alone with scipy at the end
    wheels.sort(key=lambda path: -path.stat().st_size)
    indexed = list(_write_all(wheels, debs, folder))
    for subdir in _SUBDIRS:
        _write_repodata(folder / subdir, (item for item in indexed if item.subdir == subdir))
    return {"packages": len(indexed), "subdirs": _SUBDIRS}


def _write_all(wheels: list[Path], debs: dict[str, Path], folder: Path) -> Iterator[_Indexed]:
    # threads: zlib, zstd and SHA-256 let go of the interpreter lock, and processes would outlive a kill -9
    with ThreadPoolExecutor() as pool:
        converted = [pool.submit(_write_wheel, path, folder) for path in wheels]
        yield from _write_native(debs, folder)
        for future in converted:
            yield future.result()


def _write_native(debs: dict[str, Path], folder: Path) -> Iterator[_Indexed]:
    for package in [*native.native_packages(debs), *fixture_packages()]:
        yield _write(package, folder)
    legacy = legacy_package()
    yield _indexed(legacy, f"{legacy.stem}.tar.bz2", bz2_archive(legacy), folder)


def _write_wheel(path: Path, folder: Path) -> _Indexed:
    return _write(wheel_package(path), folder)


def _write(package: Package, folder: Path) -> _Indexed:
    return _indexed(package, f"{package.stem}.conda", conda_archive(package), folder)


def _indexed(package: Package, file: str, archive: bytes, folder: Path) -> _Indexed:
    (folder / package.subdir / file).write_bytes(archive)
    record = {key: value for key, value in package.index().items() if value is not None}
    record |= {"md5": md5(archive), "size": len(archive)}
    if package.name not in _WITHOUT_SHA256:
        record["sha256"] = sha256(archive)
    return _Indexed(package.subdir, file, record)


def _write_repodata(folder: Path, indexed: Iterable[_Indexed]) -> None:
    packages: dict[str, dict[str, Any]] = {"packages": {}, "packages.conda": {}}
    for item in indexed:
        packages["packages.conda" if item.file.endswith(".conda") else "packages"][item.file] = item.record
    document = {"info": {"subdir": folder.name}, **packages, "removed": [], "repodata_version": 1}
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    (folder / "repodata.json").write_bytes(data)
    (folder / "repodata.json.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
