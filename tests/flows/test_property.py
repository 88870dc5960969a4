"""THE property: whatever a store went through, a build gives what a clean one gives; a second does nothing.

A history is any sequence of builds of overlapping environments, and of damage: blobs and traces deleted or
cut short. Damage that keeps a blob's size is found when the blob is read (tests/cache/test_directory.py), not
here: a hit looks at sizes alone. A rebuilder that breaks a rule fails the property by its own assertions.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from prebake.builders.lock import Lock
from prebake.builders.plan import Plan, PlannedLayer
from prebake.builders.results import BUILT, ImageResult, LayerResult
from prebake.builders.sources import Sources
from prebake.cache.digest import Digest, digest_stream, key_inputs
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import Descriptor
from prebake.errors import PrebakeError
from sample_locks import build_plan, conda, lock_of, plan_of, tiny_python, wheels

if TYPE_CHECKING:
    from conftest import SampleWorld

NOT_CLEAN = "not what a clean build gives"
NOT_NOTHING = "a second build built something"

Done = Callable[[LayerResult], None]
Rebuilder = Callable[[Plan, DirectoryStore, Sources, Done], ImageResult]


@dataclass(frozen=True)
class Build:
    environment: int


@dataclass(frozen=True)
class Damage:
    """Cut a file of the store to `keep` bytes, or delete it when that is 0; `which` is counted around."""

    folder: str
    which: int
    keep: int


FOLDERS = st.sampled_from(["blobs", "traces"])
DAMAGE = st.builds(Damage, FOLDERS, st.integers(0, 99), st.sampled_from([0, 1, 200]))
HISTORIES = st.lists(st.builds(Build, st.integers(0, 6)) | DAMAGE, min_size=2, max_size=6)


@dataclass
class Environments:
    """Environments that share names and packages, and what clean builds of them give."""

    plans: Sequence[Plan]
    sources: Sources
    folder: Path
    clean: list[Digest] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_store(self) -> DirectoryStore:
        return DirectoryStore(self.folder / str(next(self.numbers)))


@pytest.fixture(scope="module")
def environments(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Environments:
    folder = tmp_path_factory.mktemp("property")
    python = tiny_python(folder)
    stems = ("small-demo-1.0", "small-demo-2.0", "prefix-probe", "activate-demo")
    small, newer, probe, activate = conda(world.root, *stems)
    old, new, jokes = wheels(world, "tabulate-0.9.0", "tabulate-0.10.0", "pyjokes")
    locks: list[Lock] = [
        lock_of([probe]),
        lock_of([python, small]),
        lock_of([python, newer, activate]),
        lock_of([python], [old]),
        lock_of([python, small], [new]),
        lock_of([python, newer], [new, jokes]),
    ]
    made = Environments([*map(plan_of, locks), plan_of(locks[4], X="2")], world.sources, folder)
    made.clean += [faithful(plan, made.new_store(), made.sources, ignore).digest for plan in made.plans]
    assert len(set(made.clean)) == len(made.clean)
    return made


def ignore(result: LayerResult) -> None:
    return


def faithful(plan: Plan, store: DirectoryStore, sources: Sources, done: Done) -> ImageResult:
    return build_plan(plan, store, sources, done)


def by_name(plan: Plan, store: DirectoryStore, sources: Sources, done: Done) -> ImageResult:
    """Wrong: the keys of layers hold the names of packages, not their digests."""

    def renamed(layer: PlannedLayer) -> PlannedLayer:
        own = dict(layer.inputs["inputs"])  # type: ignore[arg-type]
        own.pop("wheels", None)
        named = own | {"packages": [package.name for package in layer.packages]}
        return replace(layer, inputs=key_inputs(str(layer.inputs["recipe"]), named))

    return build_plan(replace(plan, layers=tuple(map(renamed, plan.layers))), store, sources, done)


class Trusting(DirectoryStore):
    """Wrong: a trace is believed without a look at its blobs."""

    def missing(self, blobs: object) -> set[Digest]:
        return set()


def trusting(plan: Plan, store: DirectoryStore, sources: Sources, done: Done) -> ImageResult:
    return build_plan(plan, Trusting(store.root), sources, done)


def forgetful(plan: Plan, store: DirectoryStore, sources: Sources, done: Done) -> ImageResult:
    """Wrong: it builds the right thing, every time anew."""
    for trace in (store.root / "traces").rglob("*.json"):
        trace.unlink()
    return build_plan(plan, store, sources, done)


def check_history(history: Sequence[Build | Damage], rebuild: Rebuilder, made: Environments) -> None:
    store = made.new_store()
    for step in [*history, Build(4)]:
        if isinstance(step, Damage):
            damage(store, step)
        else:
            check_build(made, step.environment, store, rebuild)


def damage(store: DirectoryStore, step: Damage) -> None:
    files = sorted(path for path in (store.root / step.folder).rglob("*") if path.is_file())
    if files:
        path = files[step.which % len(files)]
        path.unlink() if step.keep == 0 else os.truncate(path, min(step.keep, path.stat().st_size))


def check_build(made: Environments, number: int, store: DirectoryStore, rebuild: Rebuilder) -> None:
    plan, outcomes = made.plans[number], list[str]()
    try:
        found = rebuild(plan, store, made.sources, ignore)
        again = rebuild(plan, store, made.sources, lambda result: outcomes.append(result.outcome))
    except PrebakeError as error:
        raise AssertionError(f"{NOT_CLEAN}: {error}") from error
    assert {found.digest, again.digest} == {made.clean[number]}, NOT_CLEAN
    broken = [blob for blob in found.manifest.blobs() if not is_whole(store, blob)]
    assert not broken, f"{NOT_CLEAN}: damaged {broken}"
    assert BUILT not in outcomes, NOT_NOTHING


def is_whole(store: DirectoryStore, blob: Descriptor) -> bool:
    path = store.path(blob.digest)
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return digest_stream(stream) == (blob.digest, blob.size)


def property_of(rebuild: Rebuilder, made: Environments, *phases: Phase) -> Callable[[], None]:
    # Derandomised: the wrong rebuilders have to fail every time, and nobody's build by chance.
    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(history=HISTORIES)
    def check(history: list[Build | Damage]) -> None:
        check_history(history, rebuild, made)

    return check


def test_any_history_gives_what_a_clean_build_gives(environments: Environments) -> None:
    property_of(faithful, environments, Phase.generate, Phase.shrink)()


@pytest.mark.parametrize(
    ("rebuild", "message"), [(by_name, NOT_CLEAN), (trusting, NOT_CLEAN), (forgetful, NOT_NOTHING)]
)
def test_a_wrong_rebuilder_fails_the_property(
    environments: Environments, rebuild: Rebuilder, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        property_of(rebuild, environments, Phase.generate)()


@pytest.mark.parametrize("keep", [0, 1])
def test_each_file_of_a_store_may_be_damaged(environments: Environments, keep: int) -> None:
    """Every blob and trace in turn, which the random histories only sample."""
    count = 20
    for folder, which in itertools.product(("blobs", "traces"), range(count)):
        check_history([Build(5), Damage(folder, which, keep)], faithful, environments)
