"""`plan_prune`: which traces and blobs of a store go, and why. Pure; `sweep.py` carries it out.

Reachability decides: a blob goes when no trace that stays reaches it, so bytes are freed by taking traces.
A trace counts as used when any trace was that reaches its first blob, the one it is the trace of (a layer's
trace: the layer; an image's: the manifest). A hit looks at the image's trace alone; by this rule it keeps the
layers' traces young too. To take those while the image stays would free nothing and cost their making once
more when a package is added. An image that only shares layers with a used one grows old nevertheless.

    stays: what a root reaches, what was used after the cutoff
    goes:  what is damaged or has lost its blobs; what was not used for `max_age`; while the blobs are more
           than `max_bytes` the least recently used, of equally recent ones images before their layers

Blobs that nothing reaches any more, or never did (archives of packages, a killed build's), go too unless
they were put after the cutoff. The cutoff, `now - grace` or the start of the oldest live build, is what
keeps a build safe that has blobs but no trace yet.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .digest import Digest, Key
    from .inventory import BlobFile, TraceFile

TOO_OLD = "not used for longer than the age limit"
OVER_BUDGET = "least recently used, and the store is over its size limit"
UNREACHABLE = "no trace reaches it"


@dataclass(frozen=True)
class Roots:
    """What must stay, with all it reaches: traces by key, images (or other blobs) by digest."""

    keys: frozenset[Key] = frozenset()
    digests: frozenset[Digest] = frozenset()

    def hold(self, trace: TraceFile) -> bool:
        """Whether `trace` is one, or reaches one."""
        return trace.key in self.keys or not self.digests.isdisjoint(trace.blobs)


@dataclass(frozen=True)
class Limits:
    """When something is too old (seconds unused) or too much (bytes of blobs), and what is too young to go.

    `cutoff` in seconds since the epoch: what was used or put after it stays.
    """

    cutoff: float
    max_age: float = math.inf
    max_bytes: float = math.inf


@dataclass(frozen=True)
class Eviction:
    """A trace that goes, and why."""

    trace: TraceFile
    why: str


@dataclass(frozen=True)
class Prune:
    """What goes, in order: traces, then blobs; and the bytes of the blobs that stay."""

    traces: tuple[Eviction, ...]
    blobs: tuple[BlobFile, ...]
    kept_bytes: int


def plan_prune(
    traces: Iterable[TraceFile], blobs: Iterable[BlobFile], roots: Roots, limits: Limits, now: float
) -> Prune:
    """Decide what goes at `now` (seconds since the epoch)."""
    every, lying = list(traces), list(blobs)
    used = last_used(every, roots)
    dated = ((used(trace), trace) for trace in every)
    candidates = [(at, trace) for at, trace in dated if at <= limits.cutoff]
    candidates.sort(key=lambda each: (each[0], -len(each[1].blobs), each[1].key))
    reach = _Reach.of(every, lying, roots, limits.cutoff)
    evicted: list[Eviction] = []

    def evict(trace: TraceFile, why: str) -> None:
        evicted.append(Eviction(trace, why))
        reach.drop(trace)

    old = now - limits.max_age
    left = []
    for at, trace in candidates:
        if why := trace.problem or (TOO_OLD if at < old else ""):
            evict(trace, why)
        elif trace.blobs:
            left.append(trace)
    for trace in left:
        if reach.kept_bytes <= limits.max_bytes:
            break
        evict(trace, OVER_BUDGET)
    return Prune(tuple(evicted), tuple(blob for blob in lying if reach.frees(blob.digest)), reach.kept_bytes)


def last_used(traces: Iterable[TraceFile], roots: Roots) -> Callable[[TraceFile], float]:
    """When a trace was used: itself, or one that reaches its first blob. For ever, if that one is a root."""
    last: dict[Digest, float] = {}
    for trace in traces:
        used = math.inf if roots.hold(trace) else trace.used
        for digest in trace.blobs:
            last[digest] = max(used, last.get(digest, -math.inf))

    def when(trace: TraceFile) -> float:
        own = math.inf if roots.hold(trace) else trace.used
        return max(own, last[trace.blobs[0]]) if trace.blobs else own

    return when


@dataclass
class _Reach:
    """Blobs, how many of the staying traces reach each, and the bytes that stay."""

    sizes: Mapping[Digest, int]
    held: frozenset[Digest]
    reached: Counter[Digest] = field(default_factory=Counter)
    kept_bytes: int = 0

    @classmethod
    def of(cls, traces: list[TraceFile], blobs: list[BlobFile], roots: Roots, cutoff: float) -> _Reach:
        young = {blob.digest for blob in blobs if blob.used > cutoff}
        reach = cls({blob.digest: blob.size for blob in blobs}, roots.digests | young)
        for trace in traces:
            reach.reached.update(trace.blobs)
        reach.kept_bytes = sum(size for digest, size in reach.sizes.items() if not reach.frees(digest))
        return reach

    def frees(self, digest: Digest) -> bool:
        return not self.reached[digest] and digest not in self.held

    def drop(self, trace: TraceFile) -> None:
        for digest in trace.blobs:
            self.reached[digest] -= 1
            if self.frees(digest):
                self.kept_bytes -= self.sizes.get(digest, 0)
