"""A trace whose blobs are gone is no trace: registries collect garbage, people delete files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import Miss, Reason, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from .digest import Digest, Json, Key
    from .oci import Descriptor
    from .store import TraceStore


class Complete:
    """A TraceStore that finds a trace only if `missing` misses none of its blobs."""

    def __init__(
        self, traces: TraceStore, missing: Callable[[Iterable[Descriptor]], Collection[Digest]]
    ) -> None:
        self._traces = traces
        self._missing = missing

    def __str__(self) -> str:
        return str(self._traces)

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if it was made from `inputs` and all its blobs are there."""
        found = self._traces.look(key, inputs)
        if isinstance(found, Miss) or not (gone := self._missing(found.blobs)):
            return found
        return Miss(Reason.BLOBS_GONE, f"{len(gone)} of {len(found.blobs)}, {min(gone)} among them")

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are stored already."""
        self._traces.record(trace)
