"""What is there is not built again; what changes rebuilds its own layer and no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from building import SMALL, Job, Result
from world import services

if TYPE_CHECKING:
    from conftest import SampleWorld


@dataclass(frozen=True)
class Warm:
    """A job whose image is in the store, and the log of a channel and index of its own."""

    job: Job
    first: Result
    log: Path

    def requests(self) -> int:
        return len(self.log.read_text().splitlines())

    def write(self, text: str) -> Job:
        path = self.job.file.with_name("changed.yml")
        path.write_text(text)
        return replace(self.job, file=path)


@pytest.fixture(scope="module")
def warm(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    folder = tmp_path_factory.mktemp("warm")
    path = folder / "conda.yml"
    path.write_text(SMALL)
    with services.static(world.root, folder) as url:
        own = replace(world, static=url)
        job = Job(own, path, folder / "store")
        yield Warm(job, job.run(), folder / "access.log")


def test_a_second_build_asks_nobody(warm: Warm) -> None:
    before = warm.requests()
    again = warm.job.run()
    assert (again.digest, again.built()) == (warm.first.digest, [])
    assert warm.requests() == before > 0


def test_a_new_wheel_builds_its_group(warm: Warm) -> None:
    result = warm.write(SMALL + "      - pyjokes\n").run()
    assert result.built() == ["pyjokes 0.8.3"]
    assert set(warm.first.layers) < set(result.layers)


def test_a_new_conda_package_builds_its_group(warm: Warm) -> None:
    result = warm.write(SMALL.replace("- six\n", "- six\n  - clobber-b\n")).run()
    assert "clobber-b 1.0" in result.built()
    assert len(set(result.layers) - set(warm.first.layers)) == 1


def test_a_patched_base_builds_no_layer(warm: Warm) -> None:
    result = replace(warm.job, image="debian:12-patched").run()
    assert (result.built(), result.layers) == ([], warm.first.layers)
    assert result.digest != warm.first.digest


def test_a_variable_builds_no_layer(warm: Warm) -> None:
    before = warm.requests()
    result = warm.write(f"{SMALL}variables:\n  OMP_NUM_THREADS: '2'\n").run()
    assert (result.built(), result.layers) == ([], warm.first.layers)
    assert result.digest != warm.first.digest
    assert warm.requests() == before


def test_a_name_or_comment_changes_nothing(warm: Warm) -> None:
    result = warm.write(f"# a comment\nname: other\n{SMALL}").run()
    assert (result.built(), result.digest) == ([], warm.first.digest)


def test_a_lost_layer_is_built_again_alone(warm: Warm) -> None:
    for layer in warm.first.data["layers"]:
        blob = warm.job.store / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        blob.unlink()
        result = warm.job.run()
        assert (result.built(), result.digest) == (layer["packages"], warm.first.digest)
        assert blob.exists()
