"""The demo has one digest: on any store, temporary folder, umask, number of jobs, locale, zone and day."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from building import DEMO, Job, Result

if TYPE_CHECKING:
    from conftest import SampleWorld


@pytest.fixture(scope="module")
def first(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Result]:
    job = Job(world, DEMO, tmp_path_factory.mktemp("first") / "store", extra=(("PREBAKE_JOBS", "1"),))
    return job, job.run()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on another device than the other stores."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def same(one: Result, other: Result) -> None:
    assert other.diff_ids == one.diff_ids, "the content differs"
    assert other.layers == one.layers, "only the compression differs"
    assert other.data["key"] == one.data["key"]
    assert other.digest == one.digest


def test_another_machine_gives_the_same_image(
    world: SampleWorld, first: tuple[Job, Result], memory: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    extra = {
        "PREBAKE_JOBS": "4",
        "TMPDIR": str(tmp_path / "tmp"),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONHASHSEED": "7",
        "HOME": str(tmp_path),
        "SOURCE_DATE_EPOCH": "0",
    }
    store = memory / "a store with a long name and a blank"
    other = Job(world, DEMO, store, extra=tuple(extra.items()), umask=0o077)
    result = other.run()
    assert result.built()
    same(first[1], result)


@pytest.mark.parametrize("kept", [["cache"], ["blobs"], ["cache", "blobs"]], ids=" ".join)
def test_what_is_in_the_caches_changes_nothing(
    first: tuple[Job, Result], kept: list[str], tmp_path: Path
) -> None:
    """Fetched packages, extracted ones and layers are there or not; traces are not, so all is built."""
    store = tmp_path / "store"
    for name in kept:
        shutil.copytree(first[0].store / name, store / name, symlinks=True)
    result = replace(first[0], store=store).run()
    assert len(result.built()) == sum(len(layer["packages"]) for layer in first[1].data["layers"])
    same(first[1], result)


def test_cached_packages_may_be_on_another_device(
    first: tuple[Job, Result], memory: Path, tmp_path: Path
) -> None:
    """Files are then copied and not hard-linked."""
    store = tmp_path / "store"
    store.mkdir()
    (memory / "cache").mkdir()
    (store / "cache").symlink_to(memory / "cache")
    same(first[1], replace(first[0], store=store).run())
