"""How good warming was: what it put somewhere was used within its horizon, or not; what was needed was there.

Requests do not tell on which node a job runs, so each target is graded as if all of them came to it. Pure.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..quantities import seconds
from ..requests import read_requests
from ..wiring import ON_DEMAND
from .history import DROPPED, WARMED, read_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from ..wiring import Workspace
    from .history import Event

    class Request(Protocol):
        """When somebody asked (Unix time) for which image."""

        @property
        def at(self) -> float: ...  # noqa: D102
        @property
        def digest(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Stay:
    """An image in a target, from when it was warmed until it was dropped."""

    target: str
    digest: str
    since: float
    until: float = math.inf

    def covers(self, request: Request) -> bool:
        """Whether the image was there for that request."""
        return self.digest == request.digest and self.since <= request.at < self.until


@dataclass(frozen=True)
class Grade:
    """Of one target: images warmed and used, warmed in vain, too young to tell; requests met and missed."""

    target: str
    used: int
    unused: int
    pending: int
    met: int
    missed: int

    @property
    def precision(self) -> float | None:
        """The share of what was warmed that was used."""
        told = self.used + self.unused
        return self.used / told if told else None

    @property
    def recall(self) -> float | None:
        """The share of requests whose image was there."""
        asked = self.met + self.missed
        return self.met / asked if asked else None

    def __str__(self) -> str:
        share = "" if self.recall is None else f" ({self.recall:.0%})"
        warmed = f"{self.used} used, {self.unused} in vain, {self.pending} too young to tell"
        return f"{self.target}: {warmed}; {self.met} requests met{share}, {self.missed} needed and not there"


def grades(workspace: Workspace) -> list[Grade]:
    """The grades by what the store's records tell."""
    requests = [asked for asked in read_requests(workspace.local) if asked.lane == ON_DEMAND]
    horizon = seconds(workspace.settings.warm_horizon)
    return grade(read_history(workspace.local), requests, horizon, time.time())


def stays(history: Iterable[Event]) -> list[Stay]:
    """When each image was in each target; `history` is ordered by time."""
    there: dict[tuple[str, str], float] = {}
    found = []
    for event in history:
        place = (event.target, event.digest)
        if event.event == WARMED:
            there.setdefault(place, event.at)
        elif event.event == DROPPED and place in there:
            found.append(Stay(*place, there.pop(place), event.at))
    return found + [Stay(*place, since) for place, since in there.items()]


def grade(history: Sequence[Event], requests: Sequence[Request], horizon: float, now: float) -> list[Grade]:
    """A grade for each target that was warmed; `requests` before its first image count for nothing."""
    by_target: dict[str, list[Stay]] = {}
    for stay in stays(history):
        by_target.setdefault(stay.target, []).append(stay)
    return [_grade(own, requests, horizon, now) for _, own in sorted(by_target.items())]


def _grade(own: Sequence[Stay], requests: Sequence[Request], horizon: float, now: float) -> Grade:
    used = [stay for stay in own if any(_pays(stay, request, horizon) for request in requests)]
    others = [stay for stay in own if stay not in used]
    pending = [stay for stay in others if stay.until == math.inf and now < stay.since + horizon]
    first = min(stay.since for stay in own)
    asked = [request for request in requests if request.at >= first]
    met = sum(any(stay.covers(request) for stay in own) for request in asked)
    vain = len(others) - len(pending)
    return Grade(own[0].target, len(used), vain, len(pending), met, len(asked) - met)


def _pays(stay: Stay, request: Request, horizon: float) -> bool:
    return stay.covers(request) and request.at < stay.since + horizon
