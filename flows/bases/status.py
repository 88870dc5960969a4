"""How fresh environments are: on which digest of its base each stands, and where the tag is now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PrebakeError
from .dependents import dependents
from .follow import results

if TYPE_CHECKING:
    from ...cache.reference import Reference
    from ..progress import Progress
    from ..wiring import Workspace
    from .dependents import Dependent

FRESH, STALE, UNKNOWN = "fresh", "stale", "unknown"


@dataclass(frozen=True)
class Freshness:
    """One environment: `tag` is the digest its base's tag has now, `last` what the last roll-out did."""

    title: str
    base: str
    state: str
    made_on: str
    tag: str
    follows: bool
    last: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its object in `bases status --json`."""
        return asdict(self)

    def __str__(self) -> str:
        follows = "follows" if self.follows else "stays"
        last = f"  ({self.last})" if self.last else ""
        return f"{self.state:<8}{follows:<9}{self.title}  {self.base}@{self.made_on[:19]}{last}"


def freshness(workspace: Workspace, progress: Progress) -> list[Freshness]:
    """Of every environment on a base tag; one HEAD per tag."""
    every = dependents(workspace)
    tags = {base: _head(base, workspace, progress) for base in {each.base for each in every}}
    last = {each.environment: f"{each.outcome} {each.reason}".strip() for each in results(workspace)}
    return [
        Freshness(
            each.title,
            str(each.base),
            _state(each, tags[each.base]),
            each.known.asked.base,
            tags[each.base],
            each.follows,
            last.get(each.known.asked.environment, ""),
        )
        for each in every
    ]


def _state(each: Dependent, tag: str) -> str:
    return (FRESH if each.fresh(tag) else STALE) if tag else UNKNOWN


def _head(base: Reference, workspace: Workspace, progress: Progress) -> str:
    try:
        return str(workspace.registries.head(workspace.registries.place(base)) or "")
    except PrebakeError as error:
        progress.step(f"warning: {base}: {error.sentence}")
        return ""
