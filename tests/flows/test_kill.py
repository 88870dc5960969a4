"""A build may be killed at any moment, and any number may share a store: the next one finds it whole."""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from building import SMALL, Job, Result, damaged_files, finish

if TYPE_CHECKING:
    from conftest import SampleWorld

KILLS = 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "conda.yml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def clean(world: SampleWorld, small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, float]:
    start = time.perf_counter()
    result = Job(world, small, tmp_path_factory.mktemp("clean")).run()
    return result, time.perf_counter() - start


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether it was still running then."""
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True


def test_a_killed_build_leaves_a_store_that_works(
    world: SampleWorld, small: Path, clean: tuple[Result, float], tmp_path: Path
) -> None:
    """Each kill finds what the ones before it left, but for some traces, so that there is work to do."""
    expected, duration = clean
    job, dice = Job(world, small, tmp_path / "store"), random.Random(20)
    killed = 0
    for _ in range(KILLS):
        killed += kill_after(job.start(), dice.uniform(0.1, 0.8) * duration)
        assert damaged_files(job.store) == []
        for trace in sorted((job.store / "traces").rglob("*.json")):
            if dice.random() < 0.7:
                trace.unlink()
    assert killed > KILLS // 4
    after = job.run()
    assert (after.digest, after.layers) == (expected.digest, expected.layers)
    assert job.run().built() == []
    assert damaged_files(job.store) == []


def test_builds_at_once_in_one_store_agree(
    world: SampleWorld, small: Path, clean: tuple[Result, float], tmp_path: Path
) -> None:
    more = tmp_path / "more.yml"
    more.write_text(SMALL + "      - pyjokes\n")
    job = Job(world, small, tmp_path / "store")
    jobs = [job, replace(job, file=more)] * 4
    with ThreadPoolExecutor(len(jobs)) as pool:
        results = list(pool.map(finish, [each.start() for each in jobs]))
    assert {result.digest for result in results[::2]} == {clean[0].digest}
    assert len({result.digest for result in results[1::2]}) == 1
    assert damaged_files(job.store) == []
    assert [each.run().built() for each in jobs[:2]] == [[], []]
