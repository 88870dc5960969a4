"""Warm: make each target hold what it should, again and again until it does, whatever fails meanwhile.

A round drops what is not wanted any more, then puts what is missing, the best first. What fails is noted and
tried in the next round; a target that does not answer, or cannot drop (its budget would burst), waits alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...cache.digest import Digest
from ...cache.files import alone, store_errors
from ...errors import PrebakeError
from ..destination import as_image
from ..ensure import ensure
from ..known import recalled
from ..progress import megabytes
from ..wiring import Request
from .history import DROPPED, FAILED, WARMED, Event, now, remember
from .survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...builders.push import Image
    from ..known import Known
    from ..progress import Progress
    from ..wiring import Workspace
    from .plan import Pick
    from .survey import Aim, State, Survey

WARMING = "warming"
ROUNDS = 5
_LONGEST_REST = 60.0


@dataclass(frozen=True, eq=False, repr=False)
class Warmed:
    """How it ended: every target's state, and all that was done."""

    states: tuple[State, ...]
    events: tuple[Event, ...]
    rounds: int

    @property
    def equal(self) -> bool:
        """Whether every target holds what it should."""
        return all(state.equal for state in self.states)

    def to_json(self) -> dict[str, Any]:
        """The object that `warm run --json` prints."""
        done = {
            name: [e.digest for e in self.events if e.event == name] for name in (WARMED, DROPPED, FAILED)
        }
        moved = sum(event.bytes for event in self.events)
        targets = [state.to_json() for state in self.states]
        return {"equal": self.equal, "rounds": self.rounds, "bytes": moved, **done, "targets": targets}

    def __str__(self) -> str:
        counts = [sum(event.event == name for event in self.events) for name in (WARMED, DROPPED, FAILED)]
        moved = megabytes(sum(event.bytes for event in self.events))
        done = f"{counts[0]} warmed, {counts[1]} dropped, {counts[2]} failures, {moved} moved"
        return "\n".join([*map(str, self.states), f"{done} in {self.rounds} rounds"])


def rest(failures: int) -> None:
    """Wait before the next round: 1 s, 2 s, 4 s, ... a minute at most."""
    time.sleep(min(2.0 ** (failures - 1), _LONGEST_REST))


def warm(
    workspace: Workspace,
    aim: Aim,
    progress: Progress,
    rounds: int = ROUNDS,
    rest: Callable[[int], None] = rest,
) -> Warmed:
    """Warm all targets, one run of a store at a time; gives up after so many rounds. Raises StoreError."""
    local, events = workspace.local, list[Event]()
    with (
        store_errors(local.root),
        alone(local.root / "warm.lock", lambda: progress.step("waiting for another")),
    ):
        for attempt in range(1, rounds + 1):
            found = survey(workspace, aim, progress)
            if all(state.equal for state in found.states) or attempt == rounds:
                break
            done = [event for state in found.states for event in _bring(state, found, workspace, progress)]
            events += done
            if any(event.event == FAILED for event in done):
                rest(attempt)
    return Warmed(found.states, tuple(events), attempt)


def _bring(state: State, found: Survey, workspace: Workspace, progress: Progress) -> list[Event]:
    """One round of one target."""
    work = _Work(state, found, workspace, progress)
    if state.error:
        return [work.failed("", state.error, time.perf_counter())]
    dropped = [work.drop(digest) for digest in state.excess]
    if any(event.event == FAILED for event in dropped):
        return dropped
    return dropped + [work.put(pick) for pick in state.missing]


@dataclass(frozen=True, eq=False, repr=False)
class _Work:
    """What is done to one target; every deed becomes an event of the history."""

    state: State
    found: Survey
    workspace: Workspace
    progress: Progress

    def drop(self, digest: str) -> Event:
        self.progress.step(f"dropping {digest} from {self.state.target}")
        return self._try(DROPPED, digest, lambda: self._drop(Digest.parse(digest)))

    def put(self, pick: Pick) -> Event:
        self.progress.step(f"warming {self.found.line(pick).strip()}")
        return self._try(WARMED, pick.image.digest, lambda: self._put(self.found.images[pick.image.digest]))

    def _drop(self, digest: Digest) -> int:
        self.state.target.drop(digest)
        return 0

    def _put(self, known: Known) -> int:
        image, digest = _obtain(known, self.workspace, self.progress)
        return self.state.target.put(image, Digest.parse(digest))

    def _try(self, what: str, digest: str, work: Callable[[], int]) -> Event:
        start = time.perf_counter()
        try:
            moved = work()
        except PrebakeError as error:
            return self.failed(digest, error, start)
        return self._note(Event(now(), what, str(self.state.target), digest, bytes=moved), start)

    def failed(self, digest: str, error: PrebakeError, start: float) -> Event:
        self.progress.step(f"warning: {self.state.target}: {error.sentence}")
        return self._note(Event(now(), FAILED, str(self.state.target), digest, error=error.sentence), start)

    def _note(self, event: Event, start: float) -> Event:
        known = self.found.images.get(event.digest)
        spent = round(time.perf_counter() - start, 3)
        event = replace(event, title=known.asked.title if known else "", seconds=spent)
        remember(self.workspace.local, event)
        return event


def _obtain(known: Known, workspace: Workspace, progress: Progress) -> tuple[Image, str]:
    """The image, built anew if a store lost some of it; its digest is another then if its base moved."""
    store, result = workspace.store(progress.step), recalled(known, workspace, progress)
    if result is None:
        result = ensure(known.environment, Request(lane=WARMING), workspace, progress).image
    return as_image(result, store), str(result.digest)
