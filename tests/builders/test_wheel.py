"""Wheels as entries: what `installer` writes to a disk, path by path; hostile wheels are refused."""

from __future__ import annotations

import os
import random
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from prebake.builders.encode import inflate
from prebake.builders.entry import FIXED_MTIME, Entry, ZipMember
from prebake.builders.prefix import Prefix
from prebake.builders.wheel import INSTALLER, wheel_entries
from prebake.errors import PackageError

if TYPE_CHECKING:
    from conftest import SampleWorld

PREFIX = Prefix("/opt/prebake/env", "3.11", "lib/python3.11/site-packages")
SITE = "opt/prebake/env/lib/python3.11/site-packages"
NAME = "demo-1.0-py3-none-any.whl"
GOLDEN = Path(__file__).parent.parent / "golden" / "wheel"
GOOD = {
    "demo.py": b"x = 1\n",
    "demo-1.0.data/scripts/run": b"#!python\nprint(1)\n",
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\nhi = demo:main\n",
    "demo-1.0.dist-info/RECORD": b"demo.py,,\ndemo-1.0.dist-info/RECORD,,\n",
}


def data_of(entry: Entry) -> bytes:
    if isinstance(entry.content, ZipMember):
        return b"".join(inflate(entry.content, entry.size))
    assert isinstance(entry.content, bytes)
    return entry.content


def installed(archive: Path, root: Path) -> dict[str, tuple[int, bytes]]:
    """The oracle: the installer with its own destination."""
    with WheelFile.open(archive) as source:
        schemes = {name: f"/{path}" for name, path in PREFIX.schemes(source.distribution).items()}
        target = SchemeDictionaryDestination(schemes, PREFIX.interpreter, "posix", destdir=str(root))
        install(source, target, {"INSTALLER": INSTALLER})
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        path.relative_to(root).as_posix(): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in files
    }


def test_entries_are_what_the_installer_writes(world: SampleWorld, tmp_path: Path) -> None:
    archives = sorted((world.root / "index" / "files").glob("*.whl"))
    archives = [archive for archive in archives if not archive.name.startswith("torch-")]
    assert len(archives) > 40
    before = os.umask(0o022)
    try:
        for archive in archives:
            expected = installed(archive, tmp_path / archive.name)
            entries = wheel_entries(archive, archive.name, PREFIX)
            assert {e.path: (e.mode, data_of(e)) for e in entries} == expected, archive.name
            assert len(entries) == len(expected), archive.name
            assert {(e.mtime, e.owner) for e in entries} == {(FIXED_MTIME, archive.name)}
    finally:
        os.umask(before)


def wheel(folder: Path, members: dict[str, bytes], extra: Iterable[zipfile.ZipInfo] = ()) -> Path:
    path = folder / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
        for item in extra:
            archive.writestr(item, b"/etc/passwd")
    return path


def refused(path: Path, name: str = NAME) -> PackageError:
    with pytest.raises(PackageError) as caught:
        wheel_entries(path, name, PREFIX)
    return caught.value


def test_a_small_wheel_is_installed_whole(tmp_path: Path) -> None:
    entries = {entry.path: entry for entry in wheel_entries(wheel(tmp_path, GOOD), NAME, PREFIX)}
    scripts = {name: entries[f"opt/prebake/env/bin/{name}"] for name in ("hi", "run")}
    assert all(entry.executable for entry in scripts.values())
    assert all(data_of(entry).startswith(b"#!/opt/prebake/env/bin/python\n") for entry in scripts.values())
    assert b"../../../bin/run,sha256=" in data_of(entries[f"{SITE}/demo-1.0.dist-info/RECORD"])


def symlink(name: str) -> zipfile.ZipInfo:
    item = zipfile.ZipInfo(name)
    item.external_attr = (stat.S_IFLNK | 0o777) << 16
    return item


OUTSIDE = {
    "parent": [zipfile.ZipInfo("../x")],
    "absolute": [zipfile.ZipInfo("/etc/x")],
    "symlink": [symlink("demo/link")],
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_what_points_outside_is_refused_with_a_plain_message(case: str, tmp_path: Path) -> None:
    error = refused(wheel(tmp_path, GOOD, OUTSIDE[case]))
    assert f"{error}\n" == (GOLDEN / f"{case}.txt").read_text()


@pytest.mark.parametrize(
    "name",
    [
        "demo/../../x",
        "demo-1.0.data/scripts/../../x",
        "demo-1.0.data/data/../../../etc/x",
        "demo\\x",
        "a\tb",
        "a\nb",
        "demo-1.0.data/scripts/..",
    ],
)
def test_hostile_paths_are_refused(name: str, tmp_path: Path) -> None:
    assert "could write outside" in str(refused(wheel(tmp_path, GOOD, [zipfile.ZipInfo(name)])))


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = wheel(tmp_path, GOOD, [zipfile.ZipInfo("demo.py")])
    assert "the same path twice" in str(refused(path))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, GOOD)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in str(refused(path))


def test_another_compression_is_refused(tmp_path: Path) -> None:
    item = zipfile.ZipInfo("demo/x")
    item.compress_type = zipfile.ZIP_LZMA
    assert "neither stored nor deflated" in str(refused(wheel(tmp_path, GOOD, [item])))


@pytest.mark.parametrize("missing", ["RECORD", "WHEEL", "METADATA"])
def test_a_wheel_without_its_metadata_is_refused(missing: str, tmp_path: Path) -> None:
    members = {name: data for name, data in GOOD.items() if not name.endswith(missing)}
    if missing == "METADATA":  # nothing in an installation needs it
        assert wheel_entries(wheel(tmp_path, members), NAME, PREFIX)
    else:
        assert "cannot be installed" in str(refused(wheel(tmp_path, members)))


def test_the_dist_info_of_another_wheel_is_refused(tmp_path: Path) -> None:
    members = {name.replace("demo-1.0.dist-info", "evil-1.0.dist-info"): data for name, data in GOOD.items()}
    assert "cannot be installed" in str(refused(wheel(tmp_path, members)))


def test_an_unknown_scheme_is_refused(tmp_path: Path) -> None:
    assert "cannot be installed" in str(refused(wheel(tmp_path, GOOD | {"demo-1.0.data/nowhere/x": b""})))


def test_a_truncated_wheel_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, GOOD)
    data = path.read_bytes()
    for size in range(0, len(data), 40):
        path.write_bytes(data[:size])
        refused(path)


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"<html>404</html>")
    assert "cannot be installed" in str(refused(tmp_path / NAME))
    assert "cannot be installed" in str(refused(tmp_path / "absent.whl"))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**9), count=st.integers(1, 4))
def test_a_damaged_wheel_is_never_a_traceback(damaged: Path, seed: int, count: int) -> None:
    path = wheel(damaged, GOOD)
    data, dice = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(count):
        data[dice.randrange(len(data))] = dice.randrange(256)
    path.write_bytes(data)
    try:
        for entry in wheel_entries(path, NAME, PREFIX):
            data_of(entry)
    except PackageError:
        return
