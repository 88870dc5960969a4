"""Warming a real Docker Engine, a layout folder and a second registry until they hold what they should."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prebake
from prebake.builders.docker import connect
from prebake.builders.docker_tags import tags_of
from prebake.cache.digest import Digest
from prebake.flows.progress import Silent
from prebake.flows.requests import read_requests
from prebake.flows.warming.grade import grades
from prebake.flows.warming.history import FAILED, WARMED, read_history
from prebake.flows.warming.run import Warmed, warm
from prebake.flows.warming.survey import Aim, survey
from prebake.flows.warming.targets import REPOSITORY
from prebake.flows.wiring import Workspace
from tiny import PARTS, build, tiny_environment, tiny_machine
from world import services

if TYPE_CHECKING:
    from conftest import SampleWorld


@pytest.fixture
def machine(tiny: SampleWorld, tmp_path: Path) -> Workspace:
    return tiny_machine(tiny, tmp_path / "store")


@pytest.fixture
def digests(tiny: SampleWorld, machine: Workspace, tmp_path: Path) -> list[str]:
    """Of three environments in the store; each was asked for once more than the one before."""
    found = []
    for number in range(3):
        environment = tiny_environment(tiny.base, tmp_path, PARTS[number : number + 2])
        for _ in range(number + 1):
            built, _heard = build(environment, machine)
        found.append(str(built.image.digest))
    return found


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Registry]:
    with services.registry(tmp_path_factory.mktemp("second")) as made:
        yield made


def warmed(machine: Workspace, *targets: str, budget: str = "1GB", rounds: int = 3) -> Warmed:
    return warm(machine, Aim.of(machine, targets, budget), Silent(), rounds, rest=lambda _: None)


def test_a_layout_a_registry_and_an_engine_become_equal(
    world: SampleWorld, machine: Workspace, digests: list[str], second: services.Registry, tmp_path: Path
) -> None:
    places = (f"oci:{tmp_path}/node", f"{second.host}/warm/equal", f"docker:{world.docker}")
    first = warmed(machine, *places)
    assert first.equal
    assert {state.there for state in first.states} == {frozenset(digests)}
    for digest in digests:
        assert prebake.verify(f"{second.host}/warm/equal:{digest[7:]}", workspace=machine).ok
        assert prebake.verify(f"oci:{tmp_path}/node:{digest[7:]}", workspace=machine).ok
    again = warmed(machine, *places)
    assert (again.equal, again.events, again.rounds) == (True, (), 1)
    with connect(world.docker) as engine:
        assert {digest[7:] for digest in digests} <= tags_of(engine, REPOSITORY)
        engine.images.remove(f"{REPOSITORY}:{digests[0][7:]}", force=True)
    mended = warmed(machine, *places)
    assert [(event.event, event.digest) for event in mended.events] == [(WARMED, digests[0])]
    assert mended.equal


def test_the_most_wanted_come_first_and_the_budget_holds(
    machine: Workspace, digests: list[str], tmp_path: Path
) -> None:
    place = f"oci:{tmp_path}/node"
    whole = warmed(machine, place)
    sizes = [path.stat().st_size for path in (tmp_path / "node/blobs/sha256").iterdir()]
    picks = survey(machine, Aim.of(machine, (place,), "1GB"), Silent()).picks
    budget = sum(pick.bytes for pick in picks) - 1
    assert whole.equal and budget < sum(sizes)
    less = warmed(machine, place, budget=f"{budget}B")
    dropped = picks[-1].image.digest
    assert less.equal
    assert less.states[0].there == frozenset(digests) - {dropped}
    assert (tmp_path / "node/blobs/sha256" / dropped[7:]).exists() is False
    for digest in sorted(less.states[0].there):
        assert prebake.verify(f"oci:{tmp_path}/node:{digest[7:]}", workspace=machine).ok


def test_a_target_that_is_down_is_tried_again_and_fails_nobody_else(
    machine: Workspace, digests: list[str], second: services.Registry, tmp_path: Path
) -> None:
    (tmp_path / "down").write_text("a file where a folder is needed")
    rests: list[int] = []

    def mend(failures: int) -> None:
        rests.append(failures)
        if failures == 2:
            (tmp_path / "down").unlink()

    aim = Aim.of(machine, (f"oci:{tmp_path}/down/node", f"{second.host}/warm/down"), "1GB")
    done = warm(machine, aim, Silent(), rounds=5, rest=mend)
    assert (done.equal, rests) == (True, [1, 2])
    history = read_history(machine.local)
    assert [event.event for event in history[:1]] == [FAILED]
    before = [event.target for event in history if event.event == WARMED][:3]
    assert before == [f"{second.host}/warm/down"] * 3


def test_an_engine_that_nobody_starts_is_told_and_grades_are_kept(
    tiny: SampleWorld, machine: Workspace, digests: list[str], tmp_path: Path
) -> None:
    down, up = f"docker:unix://{tmp_path}/no.sock", f"oci:{tmp_path}/node"
    done = warmed(machine, down, up, rounds=2)
    assert not done.equal
    assert [state.equal for state in done.states] == [False, True]
    assert done.to_json()["targets"][0]["error"] == "the Docker Engine does not answer"
    build(tiny_environment(tiny.base, tmp_path, PARTS[0:2]), machine)
    (grade,) = grades(machine)
    assert (grade.target, grade.used, grade.unused, grade.pending) == (up, 1, 0, 2)
    assert (grade.met, grade.missed) == (1, 0)


def test_what_a_store_lost_is_built_again(machine: Workspace, digests: list[str], tmp_path: Path) -> None:
    before = len(read_requests(machine.local))
    for layer in build_layers(machine, digests[2]):
        machine.local.path(layer).unlink()
    done = warmed(machine, f"oci:{tmp_path}/node", rounds=4)
    assert done.equal
    assert digests[2] in done.states[0].there
    assert [asked.lane for asked in read_requests(machine.local)[before:]].count("warming") >= 1


def build_layers(machine: Workspace, digest: str) -> list[Digest]:
    from prebake.flows.known import known, latest

    found = {asked.digest: asked for asked in latest(read_requests(machine.local)).values()}
    image = known(found[digest], machine)
    assert image
    return [Digest.parse(layer) for layer in image.layers]


def test_a_node_that_was_emptied_by_hand_is_filled_again(
    machine: Workspace, digests: list[str], tmp_path: Path
) -> None:
    place = f"oci:{tmp_path}/node"
    warmed(machine, place)
    subprocess.run(["rm", "-r", tmp_path / "node/blobs"], check=True)
    assert warmed(machine, place).states[0].there == frozenset(digests)
