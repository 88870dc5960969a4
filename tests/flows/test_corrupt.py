"""Blobs that kept their size and lost their bytes: noticed, reported, made again."""

from __future__ import annotations

from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from prebake.cache.digest import Digest
from prebake.cache.directory import DirectoryStore
from prebake.flows.wiring import Workspace, open_workspace

DEFINITION = """\
image: {base}
conda_file:
  channels: [conda-forge]
  dependencies: [python=3.11, small-demo]
"""


@pytest.fixture
def workspace(world: SampleWorld, tmp_path: Path) -> Workspace:
    return open_workspace(world.environ(tmp_path / "store"), tmp_path)


@pytest.fixture
def environment(world: SampleWorld, tmp_path: Path) -> prebake.Environment:
    file = tmp_path / "env.yml"
    file.write_text(DEFINITION.format(base=world.base))
    return prebake.load(file)


def flip(store: DirectoryStore, digest: Digest) -> None:
    path = store.path(digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_layer_that_a_registry_refuses_is_made_again(
    world: SampleWorld, workspace: Workspace, environment: prebake.Environment
) -> None:
    first = prebake.ensure(environment, workspace=workspace)
    broken = first.image.layers[0].layer.digest
    flip(workspace.local, broken)
    second = prebake.ensure(environment, to=f"{world.registry}/corrupt:layer", workspace=workspace)
    assert second.image.digest == first.image.digest
    assert [layer.outcome for layer in second.image.layers].count("built") == 1
    assert (workspace.local.root / "quarantine" / broken.hex).exists()
    assert prebake.verify(f"{world.registry}/corrupt:layer", workspace=workspace).ok


@pytest.mark.parametrize("small", ["manifest", "config"])
def test_a_small_blob_counts_as_missing(
    workspace: Workspace, environment: prebake.Environment, small: str
) -> None:
    first = prebake.ensure(environment, workspace=workspace)
    config = first.image.manifest.config.digest
    flip(workspace.local, first.image.digest if small == "manifest" else config)
    second = prebake.ensure(environment, workspace=workspace)
    assert second.image.digest == first.image.digest
    assert workspace.local.read(first.image.digest)
    assert workspace.local.read(config)


def test_every_small_blob_may_be_damaged(workspace: Workspace, environment: prebake.Environment) -> None:
    first = prebake.ensure(environment, workspace=workspace)
    for path in sorted((workspace.local.root / "blobs" / "sha256").iterdir()):
        if path.stat().st_size < 100_000:
            flip(workspace.local, Digest(path.name))
            assert prebake.ensure(environment, workspace=workspace).image.digest == first.image.digest
