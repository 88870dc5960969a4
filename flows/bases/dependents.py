"""Which environments stand on which base tag, on which digest of it, and which tags their images have.

All of it comes from the record of requests: an environment's last line tells the digest it stands on now, a
destination's last line whose image it holds. So nothing is registered, and nothing can be forgotten.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...cache.reference import Reference
from ..known import known, latest
from ..requests import read_requests
from ..wiring import ON_DEMAND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...builders.pin import Registries
    from ..known import Known
    from ..requests import Asked
    from ..wiring import Workspace

FOLLOWS = "OnBaseImageUpdate"
STORE = ""


@dataclass(frozen=True, eq=False, repr=False)
class Dependent:
    """An environment on a base tag; `places` holds where its image is -> how it came there.

    The store is the place without a name. `requests` says how often it was asked for.
    """

    known: Known
    base: Reference
    places: Mapping[str, Asked]
    requests: int
    follows: bool

    @property
    def title(self) -> str:
        """How people know it."""
        return self.known.asked.title

    def fresh(self, digest: str) -> bool:
        """Whether what the environment is now was made on this digest of its base."""
        return self.places[STORE].base == digest

    def stale(self, digest: str) -> Dependent:
        """The same with those places alone whose image was made on another digest."""
        kept = {place: asked for place, asked in self.places.items() if asked.base != digest}
        return replace(self, places=kept)

    def owned(self, registries: Registries) -> Dependent:
        """The same without tags that hold another image now: somebody else's, or taken by another machine."""
        kept = {
            place: asked
            for place, asked in self.places.items()
            if place == STORE or str(registries.head(Reference.parse(place))) == asked.digest
        }
        return replace(self, places=kept)


def dependents(workspace: Workspace) -> list[Dependent]:
    """Every environment that names a base by tag, the least wanted first."""
    requests = read_requests(workspace.local)
    counts = Counter(asked.environment for asked in requests if asked.lane == ON_DEMAND)
    places = _places(requests)
    found = []
    for environment, asked in latest(requests).items():
        trace = known(asked, workspace)
        if trace and (base := Reference.parse(asked.image)).digest is None:
            follows = (asked.auto_rebuild or workspace.settings.auto_rebuild) == FOLLOWS
            found.append(Dependent(trace, base, places[environment], counts[environment], follows))
    return sorted(found, key=lambda each: (each.requests, each.title, each.known.asked.environment))


def _places(requests: Sequence[Asked]) -> dict[str, dict[str, Asked]]:
    """Per environment the registry tags that hold its image, and the store."""
    found: dict[str, dict[str, Asked]] = defaultdict(dict)
    for asked in {asked.to: asked for asked in requests}.values():
        if asked.to and not asked.to.startswith(("docker:", "oci:")):
            found[asked.environment][asked.to] = asked
    for environment, asked in latest(requests).items():
        found[environment][STORE] = asked
    return found
