"""Follow a base tag: every environment that stands on another digest of it is assembled again, in stages.

What has to be done is derived from what is (which image stands on which digest), never from an event. So a
notification that comes twice, or a poll beside it, finds nothing left to do, and one that never came is made
up for by the next look.

    first stage   the least wanted `stage` percent, one at least: built, smoke-tested, then delivered together
    then          one by one; those with a smoke test of their own are tested too

The settings' smoke test is for environments that have a python; one of its own is always run.

A failure stops the roll-out: tags that did not move stay, and `held`, `failed` and `waiting` environments are
left alone until the tag moves again or somebody asks for it by `prebake bases check`.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ...builders.pin import pin
from ...builders.results import BUILT
from ...cache import journal
from ...cache.digest import Digest
from ...cache.files import alone, store_errors
from ...cache.memo import TagMemo
from ...errors import DefinitionError, PrebakeError, RegistryError
from ..destination import Destination
from ..ensure import ensure
from ..progress import megabytes
from ..wiring import TRIAL, Request
from .abi import broken
from .dependents import dependents
from .smoke import smoke_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...builders.facts import BaseFacts
    from ...cache.reference import Reference
    from ..built import Built
    from ..progress import Progress
    from ..wiring import Workspace
    from .dependents import Dependent

REBUILD = "rebuild"
REBUILT, HELD, FAILED, WAITING = "rebuilt", "held", "failed", "waiting"


@dataclass(frozen=True)
class Policy:
    """Percent of the first stage; whether a base of another ABI means to `hold` or to `rebuild`."""

    stage: int = 10
    incompatible: str = "hold"


@dataclass(frozen=True)
class Result:
    """What became of an environment when `base` moved to `digest`; `moved` are bytes, `built` layers made."""

    at: float
    base: str
    digest: str
    environment: str
    title: str
    outcome: str
    image: str = ""
    seconds: float = 0.0
    moved: int = 0
    built: int = 0
    reason: str = ""

    def __str__(self) -> str:
        if self.outcome == REBUILT:
            cost = f"{self.seconds:.2f} s, {self.built} layers built, {megabytes(self.moved)} moved"
            return f"{self.outcome:<8} {self.title}  {self.image[:19]}  {cost}"
        return f"{self.outcome:<8} {self.title}  {self.reason}"


_FIELDS = frozenset(field.name for field in fields(Result))


def results(workspace: Workspace) -> list[Result]:
    """What the record tells, oldest first."""
    lines = journal.read(workspace.local.root / "bases")
    return [Result(**{name: line[name] for name in line.keys() & _FIELDS}) for line in lines]


def settled(workspace: Workspace) -> frozenset[tuple[str, str]]:
    """Environments and digests of their base that were tried in vain, and wait for somebody."""
    last = {(each.environment, each.digest): each.outcome for each in results(workspace)}
    return frozenset(pair for pair, outcome in last.items() if outcome != REBUILT)


def follow(
    base: Reference,
    workspace: Workspace,
    policy: Policy,
    progress: Progress,
    skip: frozenset[tuple[str, str]] = frozenset(),
) -> list[Result]:
    """Bring all that follow `base` to where it is now; one run of a store at a time.

    Raises Unreachable, RegistryError when nobody can tell where it is, DefinitionError when it is gone.
    """
    local = workspace.local
    lock, wait = local.root / "bases.lock", lambda: progress.step("waiting for another run")
    with store_errors(local.root), alone(lock, wait):
        place = workspace.registries.place(base)
        digest = workspace.registries.head(place)
        if digest is None:
            raise DefinitionError("the base image does not exist", facts={"image": base})
        every = (each for each in dependents(workspace) if each.base == base and each.follows)
        wanted = (each for each in every if (each.known.asked.environment, str(digest)) not in skip)
        stale = [each.stale(str(digest)).owned(workspace.registries) for each in wanted]
        tags = TagMemo(math.inf)
        tags.get(place, lambda _: digest)  # should the tag move meanwhile, the roll-out does not see it
        rollout = _Rollout(base, digest, replace(workspace, tags=tags), policy, progress)
        return rollout.run([each for each in stale if each.places])


@dataclass(frozen=True, eq=False, repr=False)
class _Rollout:
    """One move of a base."""

    base: Reference
    digest: Digest
    workspace: Workspace
    policy: Policy
    progress: Progress

    def run(self, stale: Sequence[Dependent]) -> list[Result]:
        reasons = self._reasons(stale)
        done = [self._note(each, HELD, reason=reasons[each]) for each in stale if reasons[each]]
        going = [each for each in stale if not reasons[each]]
        count = max(1, math.ceil(len(going) * self.policy.stage / 100))
        first, then = going[:count], [(each,) for each in going[count:]]
        for stage in (first, *then) if first else ():
            if any(result.outcome == FAILED for result in done):
                reason = "an environment before it failed"
                done += [self._note(each, WAITING, reason=reason) for each in stage]
            else:
                done += self._stage(stage, test_all=stage is first)
        return done

    def _reasons(self, stale: Iterable[Dependent]) -> dict[Dependent, str]:
        """Why an environment cannot go along; empty if it can."""
        if self.policy.incompatible == REBUILD:
            return dict.fromkeys(stale, "")
        return {each: self._reason(each) for each in stale}

    def _reason(self, each: Dependent) -> str:
        if each.known.inputs["inputs"]["definition"]["conda"] is None:
            return ""  # no layer of ours stands on it
        try:
            new = self._facts(str(self.digest))
            old = sorted({asked.base for asked in each.places.values()})
            return next(filter(None, (broken(self._facts(one), new) for one in old)), "")
        except (DefinitionError, RegistryError) as error:  # for another platform, or the old one is gone
            return error.sentence

    def _facts(self, digest: str) -> BaseFacts:
        workspace = self.workspace
        world = workspace.world(Request(), self.progress.step)
        image = str(self.base.at(Digest.parse(digest)))
        facts = pin(image, world, workspace.recipe.prefix).facts
        assert facts, "a base that was pinned to solve for it has facts"
        return facts

    def _stage(self, stage: Sequence[Dependent], *, test_all: bool) -> list[Result]:
        """Build and test all of it, then deliver all of it; or nothing, if one fails."""
        ready: list[tuple[Dependent, Built]] = []
        for number, each in enumerate(stage):
            try:
                ready.append((each, self._try(each, test_all=test_all)))
            except PrebakeError as error:
                reason = "another one of its stage failed"
                others = [*stage[:number], *stage[number + 1 :]]
                waiting = [self._note(other, WAITING, reason=reason) for other in others]
                return [self._failed(each, error), *waiting]
        return [self._deliver(each, built) for each, built in ready]

    def _try(self, each: Dependent, *, test_all: bool) -> Built:
        self.progress.step(f"assembling {each.title} on {self.base.at(self.digest)}")
        built = self._ensure(each, "", TRIAL)
        usual = self.workspace.settings.smoke_test if test_all and _has_python(built) else ""
        if command := each.known.asked.smoke_test or usual:
            self.progress.step(f"testing {each.title}")
            smoke_test(built.image, command, self.workspace, self.progress)
        return built

    def _deliver(self, each: Dependent, built: Built) -> Result:
        """Move its tags. The store is the last place: what is recorded for it, the environment is now."""
        try:
            moved = [self._ensure(each, place, REBUILD) for place in sorted(each.places, reverse=True)]
        except PrebakeError as error:
            return self._failed(each, error)
        return self._note(
            each,
            REBUILT,
            image=str(built.image.digest),
            seconds=round(built.seconds + sum(one.seconds for one in moved), 3),
            moved=sum(one.delivered.bytes_pushed for one in moved),
            built=sum(layer.outcome == BUILT for layer in built.image.layers),
        )

    def _ensure(self, each: Dependent, place: str, lane: str) -> Built:
        request = Request(Destination.parse(place or None), "locked", lane=lane)
        return ensure(each.known.environment, request, self.workspace, self.progress)

    def _failed(self, each: Dependent, error: PrebakeError) -> Result:
        self.progress.step(f"warning: {each.title}: {error}")
        return self._note(each, FAILED, reason=error.sentence)

    def _note(self, each: Dependent, outcome: str, **more: Any) -> Result:
        at, environment = round(time.time(), 3), each.known.asked.environment
        told = Result(at, str(self.base), str(self.digest), environment, each.title, outcome, **more)
        journal.append(self.workspace.local.root / "bases", asdict(told))
        return told


def _has_python(built: Built) -> bool:
    """The usual smoke test is for those; an image without packages of ours may hold anything."""
    names = (name for layer in built.image.layers for name in layer.planned.contents)
    return any(name.startswith("python ") for name in names)
