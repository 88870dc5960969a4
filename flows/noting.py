"""Note a delivery in the record of requests, which requests.py reads: this part is on a hit's way.

It takes 0.1 ms and never fails: a store that only reads keeps no record.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import xxhash

from ..cache import journal
from ..cache.digest import as_recorded, key_of_inputs
from .wiring import TRIAL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..cache.digest import Json
    from ..cache.directory import DirectoryStore
    from ..config.definition import Environment
    from .built import Built
    from .wiring import Request


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
        "image": definition["image"] or "",
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
