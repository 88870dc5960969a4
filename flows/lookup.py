"""Why a layer is a hit or a miss: where it was looked for, what came nearest, whether it was evicted.

A hit tells what making it cost once, a miss what it will cost by its own tombstone or by the nearest trace.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..cache.inventory import list_traces, trace_path
from ..cache.store import Trace
from ..cache.tiered import LOCAL
from ..cache.tombstones import tombstone
from .differences import differences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.plan import PlannedLayer
    from ..cache.directory import DirectoryStore
    from ..cache.inventory import TraceFile
    from ..cache.tiered import Tiers


def look_up(planned: PlannedLayer, store: Tiers, known: list[TraceFile]) -> dict[str, Any]:
    """What every tier answers; for a miss also the nearest of the `known` traces and the tombstone."""
    told: dict[str, str] = {}
    for tier, answer in store.look(planned.key, planned.inputs):
        found = isinstance(answer, Trace)
        told[tier.name if tier else LOCAL] = "hit" if found else str(answer)
        if isinstance(answer, Trace):
            return {"tiers": told, "cost": _cost(answer.notes)}
    return {"tiers": told} | _missed(planned, store.local, known)


def known_traces(store: Tiers) -> list[TraceFile]:
    """The local store's traces that can be read."""
    return [trace for trace in list_traces(store.local) if not trace.problem]


def _missed(planned: PlannedLayer, local: DirectoryStore, known: list[TraceFile]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    near = _nearest(planned, local, known)
    if near:
        trace, differing = near
        shown |= {"nearest": {"key": str(trace.key), "differs": differing}, "cost": _cost(trace.notes)}
    stone = tombstone(local, planned.key)
    if stone:
        shown["evicted"] = {"when": stone.when, "why": stone.why}
        shown["cost"] = _cost({"milliseconds": stone.milliseconds, "bytes": stone.bytes})
    return shown


def _nearest(
    planned: PlannedLayer, local: DirectoryStore, known: list[TraceFile]
) -> tuple[TraceFile, dict[str, Any]] | None:
    """The trace of the same recipe that differs in the fewest things, and those."""
    found = []
    for trace in known:
        if trace.recipe == planned.inputs["recipe"] and trace.key != planned.key:
            recorded = json.loads(trace_path(local, trace.key).read_bytes())["inputs"]
            found.append((trace, differences(recorded, planned.inputs)))
    return min(found, key=lambda each: (_distance(each[1]), each[0].key), default=None)


def _distance(differing: Mapping[str, Any]) -> int:
    sides = (side for difference in differing.values() for side in difference.values())
    return sum(len(side) if isinstance(side, list) else 1 for side in sides)


def _cost(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What making it took: seconds and bytes of archives, as far as they are known."""
    spent, size = notes.get("milliseconds"), notes.get("bytes")
    seconds = {"seconds": spent / 1000} if isinstance(spent, int) else {}
    return seconds | ({"bytes": size} if isinstance(size, int) else {})
