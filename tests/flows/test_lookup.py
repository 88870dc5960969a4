"""`explain` tells where a layer was looked for, what came nearest, what evicted it and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import prebake
from prebake.errors import PrebakeError
from prebake.flows.progress import Silent
from prebake.flows.pruning import Asked, prune
from prebake.flows.wiring import Workspace, open_workspace

if TYPE_CHECKING:
    from conftest import SampleWorld


@pytest.fixture
def workspace(world: SampleWorld, tmp_path: Path) -> Workspace:
    place = f"{world.registry}/{tmp_path.name}/cache"
    settings = {"PREBAKE_OUTLIER_BYTES": "1", "PREBAKE_WORKSPACE": place}
    return open_workspace(world.environ(tmp_path / "store") | settings, tmp_path)


def environment(world: SampleWorld, folder: Path, version: str) -> prebake.Environment:
    file = folder / "env.yml"
    packages = f"[python=3.11, small-demo={version}]"
    file.write_text(
        f"image: {world.base}\nconda_file: {{channels: [conda-forge], dependencies: {packages}}}\n"
    )
    return prebake.load(file)


def layer(explained: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [told for title, told in explained["layers"].items() if title == f"conda: {name}"]
    return dict(found)


def test_a_hit_names_its_tier_and_what_it_cost(
    world: SampleWorld, workspace: Workspace, tmp_path: Path
) -> None:
    wanted = environment(world, tmp_path, "1.0")
    prebake.ensure(wanted, workspace=workspace)
    here = layer(prebake.explain(wanted, workspace=workspace), "small-demo")
    assert here["tiers"] == {"local": "hit"}
    assert here["cost"]["seconds"] > 0
    assert here["cost"]["bytes"] > 0
    (tmp_path / "store").rename(tmp_path / "gone")
    other = open_workspace(dict(workspace.environ), tmp_path)
    there = layer(prebake.explain(wanted, workspace=other), "small-demo")
    assert there["tiers"] == {"local": "never built here", "workspace": "hit"}
    assert there["cost"] == here["cost"]


def test_a_miss_names_the_nearest_trace(world: SampleWorld, workspace: Workspace, tmp_path: Path) -> None:
    prebake.ensure(environment(world, tmp_path, "1.0"), workspace=workspace)
    told = prebake.explain(environment(world, tmp_path, "2.0"), workspace=workspace)
    missed = layer(told, "small-demo")
    assert missed["tiers"] == {"local": "never built here", "workspace": "never built here"}
    [(path, differs)] = missed["nearest"]["differs"].items()
    assert path == "inputs.packages"
    assert "small-demo-1.0" in str(differs["was"])
    assert "small-demo-2.0" in str(differs["is"])
    assert missed["cost"]["bytes"] > 0
    assert "nearest" not in layer(told, "python")


def test_an_evicted_layer_says_when_and_why(world: SampleWorld, tmp_path: Path) -> None:
    workspace = open_workspace(world.environ(tmp_path / "store"), tmp_path)
    wanted = environment(world, tmp_path, "1.0")
    prebake.ensure(wanted, workspace=workspace)
    prune(workspace, Asked(max_age=0.0, grace=0.0), Silent())
    for told in prebake.explain(wanted, workspace=workspace)["layers"].values():
        assert told["evicted"]["when"] > 0
        assert told["evicted"]["why"]
        assert told["cost"]["seconds"] >= 0


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("WORKSPACE", "UPPER CASE", "setting `workspace`"),
        ("WORKSPACE", "localhost/a:b", "without a tag"),
        ("GLOBAL", "s3://", "not an S3 bucket"),
        ("SIGNING_KEY", "nowhere.pem", "the signing key cannot be used"),
        ("WORKSPACE_WRITERS", "me", "not a public key"),
        ("LEASES", "mysql://x", "the lease database makes no sense"),
    ],
)
def test_wrong_settings_say_which(
    world: SampleWorld, workspace: Workspace, tmp_path: Path, setting: str, value: str, told: str
) -> None:
    broken = open_workspace({**workspace.environ, f"PREBAKE_{setting}": value}, tmp_path)
    with pytest.raises(PrebakeError) as caught:
        prebake.ensure(environment(world, tmp_path, "1.0"), workspace=broken)
    assert told in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2
