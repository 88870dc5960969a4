"""What warming did: a line per image put, dropped or failed, in STORE/warming/."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from ...cache import journal
from ...cache.files import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...cache.directory import DirectoryStore

WARMED, DROPPED, FAILED = "warmed", "dropped", "failed"
USUAL_SPEED = 50e6  # bytes per second, until something was measured
_TELLING_BYTES = 1_000_000  # smaller transfers measure latency


@dataclass(frozen=True)
class Event:
    """One thing that was done to a target, or was tried: `digest` is empty when the target itself failed."""

    at: float
    event: str
    target: str
    digest: str = ""
    title: str = ""
    seconds: float = 0.0
    bytes: int = 0
    error: str = ""


_FIELDS = frozenset(field.name for field in fields(Event))


def remember(store: DirectoryStore, event: Event) -> None:
    """Add it. Raises StoreError."""
    with store_errors(store.root):
        journal.append(store.root / "warming", asdict(event))


def read_history(store: DirectoryStore, since: float = 0.0) -> list[Event]:
    """Events since a Unix time, oldest first."""
    lines = journal.read(store.root / "warming", since)
    found = [Event(**{name: line[name] for name in line.keys() & _FIELDS}) for line in lines]
    return sorted((event for event in found if event.at >= since), key=lambda event: event.at)


def speed(history: Iterable[Event], target: str) -> float:
    """Bytes per second that went to `target`, by all that was measured."""
    told = [each for each in history if each.target == target and each.bytes >= _TELLING_BYTES]
    seconds = sum(event.seconds for event in told)
    return sum(event.bytes for event in told) / seconds if seconds else USUAL_SPEED


def now() -> float:
    """Unix time, as events have it."""
    return round(time.time(), 3)
