"""Who asked for what: a line per delivery in STORE/requests/, the source of demand and hit rates.

`noting.py` writes it; a store that only reads keeps no record.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ..cache import journal
from .noting import folder
from .wiring import ON_DEMAND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cache.directory import DirectoryStore


@dataclass(frozen=True)
class Asked:
    """A delivery: when (Unix time), of what, by which lane, where to, and what it took.

    `environment` names the definition whatever its base's digest was (xxh3 of its canonical form), `trace` is
    the key of its `environment/1` trace, which knows that digest. `layers` counts layers by outcome; `made`
    has title, seconds and bytes of those built.
    """

    at: float
    environment: str
    trace: str
    digest: str
    base: str = ""
    image: str = ""
    to: str = ""
    lane: str = ON_DEMAND
    seconds: float = 0.0
    sent: int = 0
    layers: Mapping[str, int] | None = None
    made: tuple[tuple[str, float, int], ...] = ()
    name: str = ""
    auto_rebuild: str = ""
    smoke_test: str = ""

    @property
    def title(self) -> str:
        """How people know the environment."""
        return self.name or self.environment[:12]


_FIELDS = frozenset(field.name for field in fields(Asked))


def read_requests(store: DirectoryStore, since: float = 0.0) -> list[Asked]:
    """Deliveries since a Unix time, oldest first."""
    found = [
        Asked(**{name: line[name] for name in line.keys() & _FIELDS})
        for line in journal.read(folder(store), since)
    ]
    return sorted((asked for asked in found if asked.at >= since), key=lambda asked: asked.at)
