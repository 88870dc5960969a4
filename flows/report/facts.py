"""What the page tells, gathered from the store's records: plain values."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..bases.status import freshness
from ..known import known, latest
from ..requests import read_requests
from ..warming.grade import grades
from ..wiring import ON_DEMAND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..bases.status import Freshness
    from ..progress import Progress
    from ..requests import Asked
    from ..warming.grade import Grade
    from ..wiring import Workspace

DAY = 86_400
BUILT = "built"
# The order of pictures: the nearest first.
OUTCOMES = ("hit-local", "hit-workspace", "hit-global", BUILT)


@dataclass(frozen=True)
class LayerFact:
    """A layer of an environment's own; `step` is conda or pip, `size` in bytes."""

    digest: str
    step: str
    title: str
    size: int


@dataclass(frozen=True)
class EnvironmentFact:
    """An environment as it is now, and how often it was asked for."""

    title: str
    requests: int
    layers: tuple[LayerFact, ...]

    @property
    def size(self) -> int:
        """Bytes of its own layers."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, eq=False, repr=False)
class Facts:
    """Everything; `since` and `now` in Unix time. The environments most asked for come first."""

    place: str
    since: float
    now: float
    environments: tuple[EnvironmentFact, ...]
    requests: tuple[Asked, ...]
    freshness: tuple[Freshness, ...]
    grades: tuple[Grade, ...]

    @property
    def nominal(self) -> int:
        """Bytes if each environment had its layers to itself."""
        return sum(environment.size for environment in self.environments)

    @property
    def stored(self) -> int:
        """Bytes of those layers, each counted once."""
        return sum({layer.digest: layer.size for layer in self.layers()}.values())

    @property
    def whole(self) -> int:
        """How many requests were answered without building a layer."""
        return sum(outcome(asked) != BUILT for asked in self.requests)

    @property
    def layer_outcomes(self) -> dict[str, int]:
        """How many layers came from where."""
        counts = Counter[str]()
        for asked in self.requests:
            counts.update(asked.layers or {})
        return {name: counts[name] for name in OUTCOMES}

    def layers(self) -> Iterable[LayerFact]:
        """All layers of all environments."""
        return (layer for environment in self.environments for layer in environment.layers)


def outcome(asked: Asked) -> str:
    """Where the farthest of a request's layers came from; an image without layers was here."""
    return max(asked.layers or (OUTCOMES[0],), key=OUTCOMES.index)


def gather(workspace: Workspace, days: int, progress: Progress) -> Facts:
    """Read the records of the last days, and ask once for each base tag where it is."""
    now = time.time()
    since = now - days * DAY
    progress.step("reading the store's records")
    requests = read_requests(workspace.local, since)
    asked = [each for each in requests if each.lane == ON_DEMAND]
    progress.step("asking where base tags are")
    return Facts(
        str(workspace.local),
        since,
        now,
        tuple(_environments(requests, asked, workspace)),
        tuple(asked),
        tuple(freshness(workspace, progress)),
        tuple(grades(workspace)),
    )


def _environments(
    requests: Sequence[Asked], asked: Sequence[Asked], workspace: Workspace
) -> list[EnvironmentFact]:
    counts = Counter(each.environment for each in asked)
    found = [
        EnvironmentFact(each.title, counts[each.environment], _layers(each, workspace))
        for each in latest(requests).values()
    ]
    return sorted(found, key=lambda each: (-each.requests, each.title))


def _layers(asked: Asked, workspace: Workspace) -> tuple[LayerFact, ...]:
    """None for an environment that the store has pruned."""
    found = known(asked, workspace)
    described = found.trace["outputs"]["layers"] if found else ()
    return tuple(
        LayerFact(layer["digest"], layer["step"], layer["title"], layer["size"]) for layer in described
    )
