"""The whole set at once: solve each by policy, build each layer once; then assemble, test, publish each.

Nothing changed means nothing pushed. An environment that fails keeps its last good version and stops no
other. Killed at any moment, it leaves what was built, and `latest` where it was.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from ...builders.engine import reuse
from ...builders.results import BUILT, StepResult
from ...builders.sources import connect
from ...errors import PrebakeError
from ..build import build_environment
from ..destination import STORE, Destination
from ..progress import Silent
from ..wiring import Request
from .graph import obtain, unique_layers
from .prepare import asking, prepare
from .publish import publish
from .results import BUSY, FAILED, PUBLISHED, UNCHANGED, Outcome, Prebuilt
from .shelf import shelf_of
from .state import record_failure, record_good, shelf_lease
from .trial import trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...builders.world import World
    from ...cache.digest import Key
    from ..progress import Progress
    from ..wiring import Workspace
    from .definitions import Curated
    from .prepare import Ask, Prepared
    from .shelf import Shelf

    Layers = Mapping[Key, StepResult | PrebakeError]


@dataclass(frozen=True, eq=False, repr=False)
class _Desk:
    """What every environment of one prebuild shares."""

    workspace: Workspace
    progress: Progress
    world: World
    ask: Ask
    publishing: Lock


@dataclass(frozen=True, eq=False, repr=False)
class _Started:
    """An environment, where it goes, and what preparing it gave."""

    name: str
    shelf: Shelf
    prepared: Prepared | PrebakeError


def prebuild(chosen: Iterable[Curated], policy: str, workspace: Workspace, progress: Progress) -> Prebuilt:
    """Bring those environments up to date. Raises SettingsError; what fails within is in the result."""
    start = time.perf_counter()
    world = _world(policy, workspace, progress)
    desk = _Desk(workspace, progress, world, asking(world), Lock())
    with ThreadPoolExecutor(workspace.settings.workers) as pool:
        started = list(pool.map(partial(_start, desk), chosen))
    ready = [each.prepared for each in started if not isinstance(each.prepared, PrebakeError)]
    layers = unique_layers(ready)
    progress.step(f"{len(layers)} layers for {len(ready)} environments")
    made = obtain(layers, workspace, progress)
    with ThreadPoolExecutor(workspace.settings.workers) as pool:
        outcomes = tuple(pool.map(partial(_settle, desk, made), started))
    built = [each for each in made.values() if isinstance(each, StepResult) and each.outcome == BUILT]
    return Prebuilt(outcomes, len(layers), len(built), time.perf_counter() - start)


def _world(policy: str, workspace: Workspace, progress: Progress) -> World:
    """One look at channels and registries serves the whole set, so that its environments agree."""
    world = workspace.world(Request(policy=policy), progress.step)
    if world.policy.max_age == 0:
        connect.cache_clear()
        world.registries.memo.forget()
    return replace(world, policy=replace(world.policy, since=time.time()))


def _start(desk: _Desk, curated: Curated) -> _Started:
    shelf = shelf_of(curated.name, desk.workspace)
    to = Destination("registry", f"{shelf}:latest")
    desk.progress.step(f"{curated.name}: solving")
    try:
        return _Started(curated.name, shelf, prepare(curated, to, desk.world, desk.workspace, desk.ask))
    except PrebakeError as error:
        return _Started(curated.name, shelf, error)


def _settle(desk: _Desk, made: Layers, started: _Started) -> Outcome:
    """Publish one environment, unless another prebuild is at it; tell and record what became of it."""
    lease = desk.workspace.leases.acquire(shelf_lease(started.shelf))
    if lease is None:
        return Outcome(started.name, BUSY)
    with lease:
        try:
            outcome = _publish(desk, made, started)
            record_good(started.shelf, desk.workspace, outcome.version, outcome.digest)
        except PrebakeError as error:
            record_failure(started.shelf, desk.workspace, error.sentence)
            outcome = Outcome(started.name, FAILED, error=error)
    return outcome


def _publish(desk: _Desk, made: Layers, started: _Started) -> Outcome:
    prepared, shelf, workspace = _whole(started.prepared, made), started.shelf, desk.workspace
    world, resolved = prepared.world, prepared.plan.resolved
    image = reuse(prepared.plan, world.store)
    if image is None:
        image, _ = build_environment(resolved, STORE, workspace, world, Silent())
    digest = str(image.digest)
    if shelf.latest() == image.digest:
        return Outcome(started.name, UNCHANGED, shelf.version_of(image.digest), digest)
    licences = trial(prepared, image, workspace, desk.progress)
    with desk.publishing:  # one after the other: what the first one pushed, the next one mounts
        desk.progress.step(f"{started.name}: publishing")
        version, sent = publish(prepared, image, licences, shelf, workspace)
    return Outcome(started.name, PUBLISHED, version, digest, sent)


def _whole(prepared: Prepared | PrebakeError, made: Layers) -> Prepared:
    """What was prepared, if all its layers are there; raises what prevented that."""
    if isinstance(prepared, PrebakeError):
        raise prepared
    for planned in prepared.plan.layers:
        if isinstance(error := made[planned.key], PrebakeError):
            raise error
    return prepared
