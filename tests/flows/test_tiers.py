"""local -> workspace -> global: what one machine built, no other builds again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import prebake
from building import Job
from conftest import SampleWorld
from prebake.flows.built import Built
from prebake.flows.wiring import Workspace, open_workspace
from world import services
from world.s3 import s3

DEFINITION = """\
image: {base}
conda_file:
  channels: [conda-forge]
  dependencies: [python=3.11, small-demo{more}, {{pip: [tabulate]}}]
"""


@dataclass(frozen=True)
class Team:
    """Machines that share tiers; each has a store and a home of its own."""

    world: SampleWorld
    folder: Path
    settings: dict[str, str]

    def machine(self, name: str, **settings: str) -> Workspace:
        own = self.world.environ(self.folder / name / "store") | self.settings | settings
        return open_workspace(own, self.folder)

    def environment(self, more: str = "") -> prebake.Environment:
        file = self.folder / "env.yml"
        file.write_text(DEFINITION.format(base=self.world.base, more=more))
        return prebake.load(file)


@pytest.fixture(params=["registry", "s3"])
def team(request: Any, world: SampleWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    if request.param == "registry":
        place, shared = f"{world.registry}/{tmp_path.name}/cache", f"{world.registry}/{tmp_path.name}/global"
        yield Team(world, tmp_path, {"PREBAKE_WORKSPACE": place, "PREBAKE_GLOBAL": shared})
        return
    with s3() as server:
        server.sign_in(monkeypatch)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        place, shared = (f"s3://{server.make_bucket()}/cache" for _ in range(2))
        yield Team(world, tmp_path, {"PREBAKE_WORKSPACE": place, "PREBAKE_GLOBAL": shared})


def outcomes(built: Built) -> set[str]:
    return {layer.outcome for layer in built.image.layers}


def test_another_machine_builds_nothing(team: Team) -> None:
    environment = team.environment()
    first = prebake.ensure(environment, workspace=team.machine("a"))
    assert outcomes(first) == {"built"}
    other = team.machine("b")
    second = prebake.ensure(environment, workspace=other)
    assert outcomes(second) == {"hit-workspace"}
    assert second.image.digest == first.image.digest
    assert not other.local.missing(second.image.blobs)
    assert outcomes(prebake.ensure(environment, workspace=other)) == {"hit-local"}


def test_an_image_that_is_pushed_already_needs_no_layer_here(team: Team) -> None:
    environment, to = team.environment(), f"{team.world.registry}/{team.folder.name}/env:v1"
    prebake.ensure(environment, to=to, workspace=team.machine("a"))
    other = team.machine("b")
    again = prebake.ensure(environment, to=to, workspace=other)
    assert again.delivered.bytes_pushed == 0
    assert other.local.missing(layer.layer.descriptor for layer in again.image.layers)
    third = prebake.ensure(environment, to=to.replace("env:", "third:"), workspace=other)
    assert outcomes(third) == {"hit-local"}
    assert prebake.verify(third.reference, workspace=other).ok


def test_eager_machines_have_the_layers_at_once(team: Team) -> None:
    environment, to = team.environment(), f"{team.world.registry}/{team.folder.name}/env:v1"
    prebake.ensure(environment, to=to, workspace=team.machine("a"))
    other = team.machine("b", PREBAKE_FILL="eager")
    again = prebake.ensure(environment, to=to, workspace=other)
    assert not other.local.missing(again.image.blobs)


def test_a_neighbour_of_the_environment_builds_what_is_new(team: Team) -> None:
    prebake.ensure(team.environment(), workspace=team.machine("a"))
    built = prebake.ensure(team.environment(", activate-demo"), workspace=team.machine("b"))
    assert outcomes(built) == {"built", "hit-workspace"}


def test_global_is_read_and_only_promoted_to(team: Team) -> None:
    environment, maker = team.environment(), team.machine("a")
    first = prebake.ensure(environment, workspace=maker)
    stranger = {"PREBAKE_WORKSPACE": ""}
    early = prebake.ensure(environment, workspace=team.machine("early", **stranger))
    assert outcomes(early) == {"built"}
    promoted = prebake.promote(environment, workspace=maker)
    assert promoted.bytes_copied > 1_000_000
    assert prebake.promote(environment, workspace=maker).bytes_copied == 0
    late = prebake.ensure(environment, workspace=team.machine("late", **stranger))
    assert outcomes(late) == {"hit-global"}
    assert late.image.digest == first.image.digest


def test_a_promoted_environment_is_planned_without_a_solve(team: Team) -> None:
    environment, maker = team.environment(), team.machine("a")
    prebake.ensure(environment, workspace=maker)
    prebake.promote(environment, workspace=maker)
    nowhere = {"PREBAKE_WORKSPACE": "", "PREBAKE_PIP_INDEX": team.world.index_url, "PREBAKE_MIRRORS": ""}
    planned = prebake.plan(environment, workspace=team.machine("late", **nowhere))
    assert {layer.outcome for layer in planned.layers} == {"hit-global"}


def test_layers_are_mounted_from_the_workspace(world: SampleWorld, tmp_path: Path) -> None:
    """The destination is another repository of the workspace's registry: no blob byte is sent twice."""
    with services.registry(tmp_path / "registry") as own:
        services.push_base(world.root, own.host)
        team = Team(world, tmp_path, {"PREBAKE_WORKSPACE": f"{own.host}/prebake/cache"})
        file = tmp_path / "env.yml"
        file.write_text(DEFINITION.format(base=f"{own.host}/debian:12", more=""))
        environment = prebake.load(file)
        machine = team.machine("a")
        prebake.ensure(environment, workspace=machine)
        pushed = prebake.ensure(environment, to=f"{own.host}/team/env:v1", workspace=machine)
        assert pushed.delivered.bytes_pushed == 0
        other = prebake.ensure(environment, to=f"{own.host}/other/env:v1", workspace=team.machine("b"))
        assert other.delivered.bytes_pushed == 0
        assert outcomes(other) == {"hit-workspace"}
        assert prebake.verify(other.reference, workspace=machine).ok


def test_build_json_names_the_tier(world: SampleWorld, tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text(DEFINITION.format(base=world.base, more=""))
    extra = (("PREBAKE_WORKSPACE", f"{world.registry}/{tmp_path.name}/cache"),)
    first = Job(world, file, tmp_path / "a", extra=extra).run()
    second = Job(world, file, tmp_path / "b", extra=extra).run()
    assert first.built()
    assert {layer["outcome"] for layer in second.data["layers"]} == {"hit-workspace"}
    assert json.dumps(second.layers) == json.dumps(first.layers)
