"""Prune a store: decide with what is pinned and being built, then carry it out, or only tell.

The local store takes nothing that somebody uses (see cache/sweep.py). A remote tier cannot promise that: what
a build relied on a moment before it went is missed there, and made and shared again.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cache.inventory import incomplete, list_blobs, list_traces
from ..cache.pins import list_pins, pinned
from ..cache.prune import UNREACHABLE, Limits, plan_prune
from ..cache.sweep import Told, pruning, sweep
from ..cache.tiered import LOCAL
from ..cache.tombstones import bury
from .progress import megabytes
from .tiers import tier_of

if TYPE_CHECKING:
    from ..cache.inventory import BlobFile, TraceFile
    from ..cache.prune import Eviction, Prune
    from .progress import Progress
    from .wiring import Workspace

GRACE_SECONDS = 86_400.0


@dataclass(frozen=True)
class Asked:
    """What a prune is asked to get rid of: what was not used for seconds, what is over so many bytes.

    A remote tier does not know when something was used; there, ages count from when it was recorded.
    `grace` in seconds: what is younger stays. It has to be longer than the longest build, and is a day unless
    said otherwise: Azure ML's longest build takes 8 hours.
    """

    max_age: float = math.inf
    max_bytes: float = math.inf
    grace: float = GRACE_SECONDS
    tier: str = LOCAL


@dataclass(frozen=True)
class Pruned:
    """What went, or would go, and the bytes of the blobs that stay."""

    traces: tuple[Eviction, ...]
    blobs: tuple[BlobFile, ...]
    kept_bytes: int
    max_bytes: float

    @property
    def freed_bytes(self) -> int:
        """What the blobs took."""
        return sum(blob.size for blob in self.blobs)

    @property
    def excess_bytes(self) -> int:
        """How much too much stays."""
        return int(max(0, self.kept_bytes - self.max_bytes))

    def _evicted(self) -> list[tuple[TraceFile, str]]:
        return [(eviction.trace, eviction.why) for eviction in self.traces]

    def to_json(self) -> dict[str, Any]:
        """The object that `cache prune --json` prints."""
        traces = [
            {"recipe": trace.recipe, "key": str(trace.key), "size": trace.size, "why": why}
            for trace, why in self._evicted()
        ]
        blobs = [{"digest": str(blob.digest), "size": blob.size, "why": UNREACHABLE} for blob in self.blobs]
        sums = {"freed": self.freed_bytes, "kept": self.kept_bytes, "excess": self.excess_bytes}
        return {"traces": traces, "blobs": blobs, **sums}

    def __str__(self) -> str:
        lines = [
            f"evict   {trace.recipe:<14} {trace.key}  {megabytes(trace.size):>10}  ({why})"
            for trace, why in self._evicted()
        ]
        for blob in self.blobs:
            lines.append(f"delete  {blob.digest}  {megabytes(blob.size):>10}  ({UNREACHABLE})")
        lines.append(
            f"{len(self.traces)} traces evicted, {len(self.blobs)} blobs deleted, "
            f"{megabytes(self.freed_bytes)} freed, {megabytes(self.kept_bytes)} kept"
        )
        if self.excess_bytes:
            over = megabytes(self.excess_bytes)
            lines.append(f"{over} over the limit: the rest is pinned, or younger than the grace")
        return "\n".join(lines)


def preview_prune(workspace: Workspace, asked: Asked, progress: Progress) -> Pruned:
    """What `prune` would do now; changes nothing. Raises SettingsError for a tier that there is not."""
    plan, _ = _decide(workspace, asked, time.time(), progress)
    return Pruned(plan.traces, plan.blobs, plan.kept_bytes, asked.max_bytes)


def prune(workspace: Workspace, asked: Asked, progress: Progress) -> Pruned:
    """Prune a store. Raises StoreError, RegistryError, SettingsError; what went by then is gone."""
    carry_out = _prune_local if asked.tier == LOCAL else _prune_tier
    return carry_out(workspace, asked, progress)


def _prune_local(workspace: Workspace, asked: Asked, progress: Progress) -> Pruned:
    evicted: list[Eviction] = []
    deleted: list[BlobFile] = []
    with pruning(workspace.local, lambda: progress.step("waiting for another prune")):
        now = time.time()
        plan, cutoff = _decide(workspace, asked, now, progress)
        progress.step(_told(plan))
        sweep(workspace.local, plan, cutoff, now, Told(evicted.append, deleted.append))
    return Pruned(tuple(evicted), tuple(deleted), _kept(plan, deleted), asked.max_bytes)


def _prune_tier(workspace: Workspace, asked: Asked, progress: Progress) -> Pruned:
    """Traces first; then the blobs that those traces do not reach which are there by now."""
    now, listed = time.time(), tier_of(asked.tier, workspace).listed
    plan, _ = _decide(workspace, asked, now, progress)
    progress.step(_told(plan))
    listed.delete(eviction.trace.key for eviction in plan.traces)
    for eviction in plan.traces:
        bury(workspace.local, eviction, now)
    reached = {digest for trace in listed.list_all()[0] for digest in trace.blobs} if plan.blobs else set()
    deleted = [blob for blob in plan.blobs if blob.digest not in reached]
    listed.delete(blob.digest for blob in deleted)
    return Pruned(plan.traces, tuple(deleted), _kept(plan, deleted), asked.max_bytes)


def _told(plan: Prune) -> str:
    return f"pruning {len(plan.traces)} traces and {len(plan.blobs)} blobs"


def _kept(plan: Prune, deleted: list[BlobFile]) -> int:
    total = plan.kept_bytes + sum(blob.size for blob in plan.blobs)
    return total - sum(blob.size for blob in deleted)


def _decide(workspace: Workspace, asked: Asked, now: float, progress: Progress) -> tuple[Prune, float]:
    """The plan, and its cutoff."""
    started = [holder.acquired for holder in workspace.leases.live()]
    cutoff = min(now - asked.grace, *started) if started else now - asked.grace
    traces, blobs = _contents(workspace, asked.tier, progress)
    limits = Limits(cutoff, asked.max_age, asked.max_bytes)
    return plan_prune(traces, blobs, pinned(list_pins(workspace.local)), limits, now), cutoff


def _contents(workspace: Workspace, tier: str, progress: Progress) -> tuple[list[TraceFile], list[BlobFile]]:
    if tier != LOCAL:
        listed = tier_of(tier, workspace).listed
        progress.step(f"reading {listed}")
        traces, blobs = listed.list_all()
        return incomplete(traces, blobs), blobs
    store = workspace.local
    progress.step(f"reading {store}")
    traces, blobs = list_traces(store), list_blobs(store)
    if not workspace.remote:  # else layers may be there, and come when something reads them
        traces = incomplete(traces, blobs)
    return traces, blobs
