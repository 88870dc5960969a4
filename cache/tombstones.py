"""What was pruned, when and why, so that `explain` can tell evicted from never built.

A small file per key, STORE/tombstones/KE/KEY.json; 90 days later it goes too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .digest import canonical
from .files import replacing, store_errors

if TYPE_CHECKING:
    from pathlib import Path

    from .digest import Key
    from .directory import DirectoryStore
    from .prune import Eviction

SECONDS = 90 * 86_400


@dataclass(frozen=True)
class Tombstone:
    """A trace that was here until `when` (seconds since the epoch); `size` is what its blobs took, in bytes.

    `milliseconds` and `bytes` are what making it cost, if its notes told.
    """

    recipe: str
    why: str
    when: int
    size: int
    milliseconds: int | None = None
    bytes: int | None = None


def tombstone(store: DirectoryStore, key: Key) -> Tombstone | None:
    """What is known of a trace that was evicted; a damaged record is none. Raises StoreError."""
    with store_errors(store.root):
        try:
            return Tombstone(**json.loads(_path(store, key).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def bury(store: DirectoryStore, eviction: Eviction, now: float) -> None:
    """Leave a record of an eviction."""
    trace = eviction.trace
    cost = {name: trace.notes.get(name) for name in ("milliseconds", "bytes")}
    known = {name: value for name, value in cost.items() if isinstance(value, int)}
    stone = Tombstone(trace.recipe, eviction.why, int(now), trace.size, **known)
    with replacing(_path(store, trace.key), store.tmp) as stream:
        stream.write(canonical(asdict(stone)))


def forget_old(store: DirectoryStore, now: float) -> None:
    """Drop the records that are older than 90 days."""
    for path in (store.root / "tombstones").glob("*/*.json"):
        if path.stat().st_mtime < now - SECONDS:
            path.unlink()


def _path(store: DirectoryStore, key: Key) -> Path:
    return store.root / "tombstones" / key.hex[:2] / f"{key.hex}.json"
