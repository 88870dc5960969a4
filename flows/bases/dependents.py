"""Which environments stand on which base tag, on which digest of it, and which tags their images have.

All of it comes from the record of requests: an environment's last line tells the digest it stands on now, a
destination's last line whose image it holds. So nothing is registered, and nothing can be forgotten.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...cache.reference import Reference
from ..known import known, latest
from ..requests import read_requests
from ..wiring import ON_DEMAND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..known import Known
    from ..requests import Asked
    from ..wiring import Workspace

FOLLOWS = "OnBaseImageUpdate"
_STORE = ""


@dataclass(frozen=True, eq=False, repr=False)
class Dependent:
    """An environment on a base tag; `places` holds where its image is -> the base's digest it was made on.

    The store is the place without a name. `requests` says how often it was asked for.
    """

    known: Known
    base: Reference
    places: dict[str, str]
    requests: int
    follows: bool

    @property
    def title(self) -> str:
        """How people know it."""
        return self.known.asked.title

    def stale(self, digest: str) -> list[str]:
        """The places whose image was made on another digest than this."""
        return sorted(place for place, made_on in self.places.items() if made_on != digest)


def dependents(workspace: Workspace) -> list[Dependent]:
    """Every environment that names a base by tag, the least wanted first."""
    requests = read_requests(workspace.local)
    counts = Counter(asked.environment for asked in requests if asked.lane == ON_DEMAND)
    places = _places(requests)
    found = []
    for environment, asked in latest(requests).items():
        base, trace = Reference.parse(asked.image), known(asked, workspace)
        if trace and base.digest is None:
            follows = (asked.auto_rebuild or workspace.settings.auto_rebuild) == FOLLOWS
            found.append(Dependent(trace, base, places[environment], counts[environment], follows))
    return sorted(found, key=lambda each: (each.requests, each.title, each.known.asked.environment))


def _places(requests: Sequence[Asked]) -> dict[str, dict[str, str]]:
    """Per environment the registry tags that hold its image, and the store."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for asked in {asked.to: asked for asked in requests}.values():
        if asked.to and not asked.to.startswith(("docker:", "oci:")):
            found[asked.environment][asked.to] = asked.base
    for environment, asked in latest(requests).items():
        found[environment][_STORE] = asked.base
    return found
