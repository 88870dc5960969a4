"""Carry a prune out while builds run, killed at any moment, without taking what somebody uses.

1. Under STORE/prune.lock (flock: the kernel frees it when its holder dies) whatever a killed prune left in
   STORE/trash goes back to its place. So there is one prune at a time, and trash is its own.
2. Evict. Each trace is renamed into trash, then its time is looked at once more. A look-up reads the trace,
   then touches it by name: if the touch finds no file, the look-up is a miss, and the build makes the layer
   again; if it was sooner than the rename, the time tells, and the trace goes back. So nobody was given a
   trace that is gone afterwards. It goes back by link, which leaves a trace recorded meanwhile as it is.
3. Mark: what *all* traces reach that are in their place now, those recorded or put back a moment ago too.
4. Sweep. Blobs of the plan that are not marked go by the same rename and look. Whoever relies on a blob
   either found a trace that reaches it, which is marked (2), or put or claimed it, which made it young. A pin
   touches what it holds, so one made after the plan is like a look-up.

Killed before 4, a prune has taken no blob; killed in 4, only blobs that no trace reaches are gone. The record
of an eviction is written before its trace is unlinked: at worst it tells of a trace that came back, and it is
asked for after a miss only. Between rename and look (microseconds), an entry that was touched since the plan
cannot be found: a trace is a miss then, a blob is missing and is put again.

Times are the file system's, which tick (4 ms on Linux): grace has to be longer than that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .digest import Key
from .files import store_errors
from .inventory import list_traces, trace_path
from .tombstones import bury, forget_old

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .directory import DirectoryStore
    from .inventory import BlobFile
    from .prune import Eviction, Prune


@contextlib.contextmanager
def pruning(store: DirectoryStore, wait: Callable[[], object]) -> Iterator[None]:
    """Be the only one who prunes; `wait` is called if another does. What a killed prune left is put back.

    A plan must be made inside: what another prune took meanwhile is not here any more.
    """
    with store_errors(store.root), (store.root / "prune.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        _trash(store).mkdir(exist_ok=True)
        for left in _trash(store).iterdir():
            _put_back(left, _place(store, left.name))
        yield


@dataclass(frozen=True)
class Told:
    """Who hears of each thing that went, as it goes."""

    evicted: Callable[[Eviction], object] = lambda eviction: None
    deleted: Callable[[BlobFile], object] = lambda blob: None


def sweep(store: DirectoryStore, plan: Prune, cutoff: float, now: float, told: Told) -> None:
    """Carry `plan` out, inside `pruning`; what was used after `cutoff` stays. Raises StoreError."""
    with store_errors(store.root):
        for eviction in plan.traces:
            if out := _take(store, trace_path(store, eviction.trace.key), cutoff):
                with _unless_full():
                    bury(store, eviction, now)
                out.unlink()
                told.evicted(eviction)
        reached = {digest for trace in list_traces(store) for digest in trace.blobs}
        for blob in plan.blobs:
            if blob.digest not in reached and (out := _take(store, store.path(blob.digest), cutoff)):
                out.unlink()
                told.deleted(blob)
        forget_old(store, now)


@contextlib.contextmanager
def _unless_full() -> Iterator[None]:
    """A full disk is why people prune: room counts for more than the record of what took it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _take(store: DirectoryStore, path: Path, cutoff: float) -> Path | None:
    """Where a file is now that has left its place; None if it is in use, or was gone before."""
    out = _trash(store) / path.name
    try:
        if path.stat().st_mtime > cutoff:
            return None  # the look below would tell too, but the file would be away for a moment
        path.rename(out)
    except FileNotFoundError:
        return None
    if out.stat().st_mtime > cutoff:
        _put_back(out, path)
        return None
    return out


def _put_back(out: Path, place: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(out, place)
    out.unlink()


def _trash(store: DirectoryStore) -> Path:
    return store.root / "trash"


def _place(store: DirectoryStore, name: str) -> Path:
    stem, dot, _ = name.partition(".json")
    return trace_path(store, Key(stem)) if dot else store.root / "blobs" / "sha256" / name
