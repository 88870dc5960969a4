"""What should be where (`desired`), by the requests so far, beside what is there (`observe`)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PrebakeError, SettingsError
from ..known import known, latest, recalled
from ..progress import megabytes
from ..quantities import byte_count, seconds
from ..requests import read_requests
from ..wiring import ON_DEMAND
from .history import read_history, speed
from .plan import Image, Pick, Place, rank
from .targets import open_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..known import Known
    from ..progress import Progress
    from ..requests import Asked
    from ..wiring import Workspace
    from .targets import Target

# Older requests weigh less than a thousandth.
_HALF_LIVES = 10
# What a job that finds its whole image is spared beside the bytes: a registry's token, manifest and config.
# With 0, images lose their last small layer to bigger shared ones, and a quarter of the hits (see
# tests/bench/simulate.py).
_WHOLE_SECONDS = 2.0


@dataclass(frozen=True)
class Aim:
    """Where to warm, bytes per target, seconds after which a request counts half, seconds to be used in."""

    targets: tuple[str, ...]
    budget: int
    half_life: float
    horizon: float

    @classmethod
    def of(cls, workspace: Workspace, targets: Sequence[str] = (), budget: str = "") -> Aim:
        """What the settings say, unless told otherwise. Raises SettingsError if there is no target."""
        own = workspace.settings
        chosen = tuple(targets) or own.warm_targets
        if not chosen:
            hint = "set `warm_targets` in prebake.toml, or pass --target"
            raise SettingsError("there is no target to warm", hint=hint)
        half_life = seconds(own.warm_half_life)
        return cls(chosen, byte_count(budget or own.warm_budget), half_life, seconds(own.warm_horizon))


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """A target, the picks for it in order, and what is there; or why nobody can tell."""

    target: Target
    picks: tuple[Pick, ...]
    there: frozenset[str]
    error: PrebakeError | None = None

    @property
    def missing(self) -> list[Pick]:
        """Picks that are not there, the best first."""
        return [pick for pick in self.picks if pick.image.digest not in self.there]

    @property
    def excess(self) -> list[str]:
        """What was warmed once and is not picked any more."""
        return sorted(self.there - {pick.image.digest for pick in self.picks})

    @property
    def equal(self) -> bool:
        """Whether all is as it should be."""
        return not (self.error or self.missing or self.excess)

    def to_json(self) -> dict[str, Any]:
        """The target's object in `warm status --json`."""
        error = {"error": self.error.sentence} if self.error else {}
        missing = [pick.image.digest for pick in self.missing]
        there = sorted(self.there)
        return {
            "target": str(self.target),
            "there": there,
            "missing": missing,
            "excess": self.excess,
            **error,
        }

    def __str__(self) -> str:
        if self.error:
            return f"{self.target}: {self.error.sentence}"
        counts = f"{len(self.picks)} wanted, {len(self.there)} there"
        return f"{self.target}: {counts}, {len(self.missing)} missing, {len(self.excess)} to drop"


@dataclass(frozen=True, eq=False, repr=False)
class Survey:
    """Every target's state, and the environments by image digest."""

    states: tuple[State, ...]
    images: Mapping[str, Known]

    @property
    def picks(self) -> list[Pick]:
        """What should be where."""
        return [pick for state in self.states for pick in state.picks]

    def line(self, pick: Pick) -> str:
        """A pick in one line."""
        size, title = megabytes(pick.bytes), self.images[pick.image.digest].asked.title
        return f"{pick.seconds:9.1f} s {size:>10}  {pick.image.digest[:19]}  {title} -> {pick.place}"

    def to_json(self) -> list[dict[str, Any]]:
        """The list that `warm plan --json` prints."""
        return [
            {
                "target": pick.place,
                "digest": pick.image.digest,
                "environment": self.images[pick.image.digest].asked.title,
                "seconds": round(pick.seconds, 3),
                "bytes": pick.bytes,
            }
            for pick in self.picks
        ]


def survey(workspace: Workspace, aim: Aim, progress: Progress) -> Survey:
    """Rank, and look at every target. A target that fails is an error in its state, none for the others."""
    now = time.time()
    requests = read_requests(workspace.local, now - _HALF_LIVES * aim.half_life)
    found = _images(requests, workspace, progress)
    history = read_history(workspace.local)
    targets = {str(target): target for target in (open_target(text, workspace) for text in aim.targets)}
    places = [Place(name, aim.budget, speed(history, name)) for name in targets]
    wanted = [asked for asked in requests if asked.lane == ON_DEMAND]
    picks = rank(wanted, [image for image, _ in found], places, aim.half_life, now)
    states = [
        _state(target, [pick for pick in picks if pick.place == name]) for name, target in targets.items()
    ]
    return Survey(tuple(states), {image.digest: each for image, each in found})


def _state(target: Target, picks: Sequence[Pick]) -> State:
    try:
        return State(target, tuple(picks), frozenset(map(str, target.observe())))
    except PrebakeError as error:
        return State(target, tuple(picks), frozenset(), error)


def _images(requests: Sequence[Asked], workspace: Workspace, progress: Progress) -> list[tuple[Image, Known]]:
    """The present image of every environment whose trace is still there."""
    found = (known(asked, workspace) for asked in latest(requests).values())
    return [(_image(each, requests, workspace, progress), each) for each in found if each]


def _image(found: Known, requests: Sequence[Asked], workspace: Workspace, progress: Progress) -> Image:
    """With the base's layers; without them, and with what building takes, when a layer is in no store."""
    asked = found.asked
    try:
        result = recalled(found, workspace, progress)
    except PrebakeError as error:
        progress.step(f"warning: {asked.title}: {error.sentence}")
        result = None
    if result:
        blobs = {str(blob.digest): blob.size for blob in result.manifest.blobs()}
        return Image(asked.environment, asked.digest, blobs, _WHOLE_SECONDS)
    own = [each for each in requests if each.environment == asked.environment]
    built = max((sum(seconds for _, seconds, _ in each.made) for each in own), default=0.0)
    return Image(asked.environment, asked.digest, found.layers, _WHOLE_SECONDS + built)
