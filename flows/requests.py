"""Who asked for what: a line per delivery in STORE/requests/, the source of demand and hit rates.

Noting costs a hit some 0.1 ms and never fails it: a store that only reads keeps no record.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import xxhash

from ..cache import journal
from ..cache.digest import as_recorded, key_of_inputs
from .wiring import ON_DEMAND, TRIAL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..cache.digest import Json
    from ..cache.directory import DirectoryStore
    from ..config.definition import Environment
    from .built import Built
    from .wiring import Request


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


def folder(store: DirectoryStore) -> Path:
    """Where the record is."""
    return store.root / "requests"


def identity(environment: Environment) -> dict[str, str]:
    """What a definition's key does not hold and its upkeep needs."""
    name = environment.title if environment.name else ""
    given = {"name": name, "auto_rebuild": environment.auto_rebuild, "smoke_test": environment.smoke_test}
    return {label: text for label, text in given.items() if text}


def note(
    asked: Mapping[str, Json],
    built: Built,
    request: Request,
    identity: Mapping[str, str],
    store: DirectoryStore,
) -> None:
    """Add a line for a delivery; `asked` are the inputs of its environment's trace."""
    if request.lane == TRIAL:
        return
    inputs: Any = asked["inputs"]
    definition, to = inputs["definition"], request.destination
    layers: dict[str, int] = {}
    for layer in built.image.layers:
        layers[layer.outcome] = layers.get(layer.outcome, 0) + 1
    line = {
        "at": round(time.time(), 3),
        "environment": xxhash.xxh3_128_hexdigest(as_recorded(definition)),
        "trace": key_of_inputs(asked).hex,
        "digest": str(built.image.digest),
        "base": inputs["base"],
        "image": definition["image"],
        "to": to.text,
        "lane": request.lane,
        "seconds": round(built.seconds, 6),
        "sent": built.delivered.bytes_pushed,
        "layers": layers,
        **identity,
    }
    if made := [layer for layer in built.image.layers if layer.outcome == "built"]:
        line["made"] = [
            (each.planned.title, round(each.seconds, 3), each.layer.descriptor.size) for each in made
        ]
    with contextlib.suppress(OSError):
        journal.append(folder(store), line)


def read_requests(store: DirectoryStore, since: float = 0.0) -> list[Asked]:
    """Deliveries since a Unix time, oldest first."""
    found = [
        Asked(**{name: line[name] for name in line.keys() & _FIELDS})
        for line in journal.read(folder(store), since)
    ]
    return sorted((asked for asked in found if asked.at >= since), key=lambda asked: asked.at)
