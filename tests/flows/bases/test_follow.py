"""A base moves: what stands on it is assembled again without building, in stages, behind two guards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import prebake
from prebake.builders.facts import BaseFacts
from prebake.cache.reference import Reference
from prebake.errors import DefinitionError
from prebake.flows.bases.abi import broken
from prebake.flows.bases.follow import FAILED, HELD, REBUILT, WAITING, results, settled
from prebake.flows.bases.status import freshness
from prebake.flows.known import latest
from prebake.flows.progress import Silent
from prebake.flows.requests import read_requests
from world.tools import run

from .conftest import Fleet

if TYPE_CHECKING:
    from conftest import SampleWorld

PLAIN = ("--quiet", "--src-tls-verify=false", "--dest-tls-verify=false")


def outcomes(fleet: Fleet, stage: int = 10, incompatible: str = "hold") -> list[tuple[str, str]]:
    return [(result.title, result.outcome) for result in fleet.follow(stage, incompatible)]


def test_all_dependents_are_assembled_and_no_layer_is_built(fleet: Fleet) -> None:
    fleet.build(3)
    before = [fleet.head(number) for number in range(3)]
    digest = fleet.base.move("patched")
    done = fleet.follow()
    assert [(each.title, each.outcome, each.built) for each in done] == [
        (f"env-{number}", REBUILT, 0) for number in range(3)
    ]
    assert all(each.digest == str(digest) and 0 < each.moved < 100_000 for each in done)
    after = [fleet.head(number) for number in range(3)]
    assert [str(each) for each in after] == [result.image for result in done]
    assert not {*before} & {*after}
    assert prebake.verify(fleet.tag(1), workspace=fleet.machine).ok
    assert {asked.base for asked in latest(read_requests(fleet.machine.local)).values()} == {str(digest)}


def test_what_is_done_is_not_done_again(fleet: Fleet) -> None:
    fleet.build(2)
    assert fleet.follow() == []
    fleet.base.move("patched")
    assert len(fleet.follow()) == 2
    assert fleet.follow() == []
    assert {each.state for each in freshness(fleet.machine, Silent())} == {"fresh"}


def test_only_those_that_follow_and_only_their_own_tags(fleet: Fleet) -> None:
    fleet.build(2)
    fleet.build(1, auto_rebuild="Disabled")  # the same definition: its last word counts
    taken = fleet.environment(3, auto_rebuild="")
    prebake.ensure(taken, to=fleet.tag(1), workspace=fleet.machine)  # the tag is another's now
    mine = fleet.head(1)
    fleet.base.move("patched")
    assert outcomes(fleet) == [("env-1", REBUILT)]
    assert fleet.head(1) == mine
    states = {each.title: (each.state, each.follows) for each in freshness(fleet.machine, Silent())}
    assert states == {"env-0": ("stale", False), "env-1": ("fresh", True), "env-3": ("stale", False)}


def test_another_glibc_is_held_or_solved_anew(fleet: Fleet) -> None:
    fleet.build(1)
    before = fleet.head(0)
    fleet.base.move("new release", glibc="2.41")
    (held,) = fleet.follow()
    assert (held.outcome, held.reason) == (HELD, "its glibc was 2.36 and is 2.41")
    assert fleet.head(0) == before
    assert settled(fleet.machine) == {(held.environment, held.digest)}
    assert outcomes(fleet, incompatible="rebuild") == [("env-0", REBUILT)]
    assert fleet.head(0) != before
    assert settled(fleet.machine) == frozenset()


def test_a_base_that_takes_the_prefix_is_held(fleet: Fleet) -> None:
    fleet.build(1)
    fleet.base.move("greedy", **{"opt/prebake/env/bin/x": b"mine"})
    (held,) = fleet.follow()
    assert held.outcome == HELD and "where the environment goes" in held.reason


def test_a_failing_smoke_test_stops_the_roll_out_and_tags_stay(fleet: Fleet) -> None:
    fleet.build(3, smoke_test="/bin/check /etc/motd")
    before = [fleet.head(number) for number in range(3)]
    fleet.build(1, smoke_test="/bin/check /no/such/file")
    fleet.base.move("bad")
    assert outcomes(fleet) == [("env-0", FAILED), ("env-1", WAITING), ("env-2", WAITING)]
    assert [fleet.head(number) for number in range(3)] == before
    assert "the smoke test failed" in [each.reason for each in results(fleet.machine)]
    assert len(settled(fleet.machine)) == 3
    assert {each.state for each in freshness(fleet.machine, Silent())} == {"stale"}


def test_a_stage_is_delivered_together_or_not_at_all(fleet: Fleet) -> None:
    fleet.build(2)
    build_failing(fleet)
    before = [fleet.head(number) for number in range(3)]
    fleet.base.move("bad")
    assert outcomes(fleet, stage=100) == [("env-2", FAILED), ("env-0", WAITING), ("env-1", WAITING)]
    assert [fleet.head(number) for number in range(3)] == before


def build_failing(fleet: Fleet) -> None:
    environment = fleet.environment(2, smoke_test="/bin/check /no/such/file")
    for _ in range(4):
        prebake.ensure(environment, to=fleet.tag(2), workspace=fleet.machine)


def test_a_failure_after_the_first_stage_leaves_the_rest_waiting(fleet: Fleet) -> None:
    fleet.build(2)
    build_failing(fleet)
    before = fleet.head(2)
    fleet.base.move("bad")
    assert outcomes(fleet, stage=34) == [("env-0", REBUILT), ("env-1", REBUILT), ("env-2", FAILED)]
    assert fleet.head(2) == before


def test_a_tag_that_somebody_else_took_is_left_alone(fleet: Fleet, world: SampleWorld) -> None:
    """Another machine's delivery is not in this one's record."""
    fleet.build(1)
    run("skopeo", "--insecure-policy", "copy", *PLAIN, f"docker://{world.base}", f"docker://{fleet.tag(0)}")
    theirs = fleet.head(0)
    fleet.base.move("patched")
    assert outcomes(fleet) == [("env-0", REBUILT)]
    assert fleet.head(0) == theirs
    assert fleet.follow() == []


def test_an_image_without_python_needs_not_pass_the_usual_test(fleet: Fleet) -> None:
    file = fleet.folder / "bare.yml"
    file.write_text(f"image: {fleet.base.name}\nname: bare\nauto_rebuild: OnBaseImageUpdate\n")
    prebake.ensure(prebake.load(file), workspace=fleet.machine)
    fleet.base.move("patched")
    assert outcomes(fleet) == [("bare", REBUILT)]


def test_a_base_that_is_gone(fleet: Fleet) -> None:
    fleet.build(1)
    base = Reference.parse(fleet.base.name)
    digest = fleet.machine.registries.head(base)
    assert digest
    fleet.machine.repository(base).delete_manifest(digest)
    with pytest.raises(DefinitionError, match="does not exist"):
        fleet.follow()
    assert [each.state for each in freshness(fleet.machine, Silent())] == ["unknown"]


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (BaseFacts(glibc="2.36", distribution="debian 12"), ""),
        (BaseFacts(glibc="2.36", distribution="debian 13"), ""),
        (BaseFacts(glibc="2.41"), "its glibc was 2.36 and is 2.41"),
        (BaseFacts(glibc=None), "its glibc was 2.36 and is none"),
        (BaseFacts("linux-aarch64", "2.36"), "its platform was linux-64 and is linux-aarch64"),
        (BaseFacts(glibc="2.36", owns_prefix="/opt"), "it has /opt where the environment goes"),
    ],
)
def test_what_must_not_change(new: BaseFacts, told: str) -> None:
    assert broken(BaseFacts(glibc="2.36"), new) == told
