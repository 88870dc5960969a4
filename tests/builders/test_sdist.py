"""A source distribution of the sample index becomes a wheel, once."""

import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.local import ensure_prefix
from prebake.builders.lock import Lock
from prebake.builders.pip_solve import Sdist
from prebake.builders.plan import prefix_of
from prebake.builders.recipe import Recipe
from prebake.builders.sdist import build_wheel, python_closure
from prebake.builders.wheel import wheel_entries
from prebake.builders.world import World
from prebake.cache.digest import Digest
from prebake.errors import PackageError, SolveError


@pytest.fixture(scope="module")
def lock(bench: Any) -> Lock:
    made: Lock = bench.lock("python=3.11", "numpy", pip=("docopt",))
    return made


@pytest.fixture(scope="module")
def docopt(bench: Any, world: Any) -> Sdist:
    archive = world.root / "index/files/docopt-0.6.2.tar.gz"
    url = f"{world.static}/index/files/docopt-0.6.2.tar.gz"
    return Sdist("docopt", "0.6.2", url, Digest.of(archive.read_bytes()))


def _sdist(folder: Path, setup: str) -> Sdist:
    archive = folder / "broken-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("broken-1.0/setup.py")
        member.size = len(setup.encode())
        tar.addfile(member, io.BytesIO(setup.encode()))
    return Sdist("broken", "1.0", archive.as_uri(), Digest.of(archive.read_bytes()))


def test_an_allowed_sdist_is_locked_as_the_wheel_built_of_it(lock: Lock, bench: Any) -> None:
    (wheel,) = lock.pip
    assert (wheel.name, wheel.version) == ("docopt", "0.6.2")
    assert wheel.file_name.startswith("docopt-0.6.2-") and wheel.url.endswith("none-any.whl")
    assert "/docopt-0.6.2.tar.gz/" in wheel.url
    path = bench.world.store.local.path(wheel.sha256)
    assert path.stat().st_size == wheel.size
    entries = wheel_entries(path, wheel.file_name, prefix_of(lock, Recipe()))
    assert "opt/prebake/env/lib/python3.11/site-packages/docopt.py" in {entry.path for entry in entries}


def test_the_built_wheel_is_installed_like_any(lock: Lock, bench: Any) -> None:
    prefix = ensure_prefix(lock, bench.world)
    assert (prefix / "lib/python3.11/site-packages/docopt.py").exists()


def test_it_is_built_once(docopt: Sdist, lock: Lock, bench: Any) -> None:
    first = build_wheel(docopt, lock, bench.world)
    before = bench.world.store.local.path(first.sha256).stat().st_ino
    assert build_wheel(docopt, lock, bench.world) == first
    assert bench.world.store.local.path(first.sha256).stat().st_ino == before


def test_the_same_bytes_on_a_machine_that_never_built_it(
    docopt: Sdist, lock: Lock, bench: Any, fresh: World
) -> None:
    wheel = build_wheel(docopt, lock, fresh)
    assert wheel == build_wheel(docopt, lock, bench.world)
    with zipfile.ZipFile(fresh.store.local.path(wheel.sha256)) as archive:
        assert {each.date_time[0] for each in archive.infolist()} == {1980}


def test_a_pruned_wheel_is_built_again(docopt: Sdist, lock: Lock, bench: Any) -> None:
    wheel = build_wheel(docopt, lock, bench.world)
    bench.world.store.local.path(wheel.sha256).unlink()
    assert build_wheel(docopt, lock, bench.world) == wheel
    assert bench.world.store.local.path(wheel.sha256).exists()


def test_python_and_what_it_needs(lock: Lock) -> None:
    names = {package.name for package in python_closure(lock).conda}
    assert {"python", "openssl", "libzlib"} <= names
    assert "numpy" not in names
    assert python_closure(lock).pip == ()


def test_a_build_that_fails_shows_the_end_of_its_log(lock: Lock, bench: Any, tmp_path: Path) -> None:
    lines = "for n in range(40): print('line', n, file=sys.stderr)\n"  # uv mixes two outputs as it likes
    setup = f"import sys\n{lines}raise SystemExit('no compiler for this')\n"
    with pytest.raises(PackageError, match="`broken` cannot be built") as caught:
        build_wheel(_sdist(tmp_path, setup), lock, bench.world)
    log = caught.value.facts["log"].splitlines()
    assert len(log) == 15
    assert any("no compiler for this" in line for line in log)
    assert str(bench.world.store.local.root) not in caught.value.facts["log"]
    assert not list(bench.world.store.local.tmp.iterdir())


def test_an_sdist_that_was_replaced(docopt: Sdist, lock: Lock, bench: Any) -> None:
    with pytest.raises(PackageError, match="not the one that was locked"):
        build_wheel(replace(docopt, sha256=Digest.of(b"another")), lock, bench.world)


def test_without_a_python(docopt: Sdist, lock: Lock, bench: Any) -> None:
    with pytest.raises(SolveError, match="needs a python"):
        build_wheel(docopt, replace(lock, conda=()), bench.world)
