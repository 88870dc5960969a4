"""Append-only records of what happened, one JSON line each: FOLDER/DAY.jsonl, by UTC day.

A line goes out in one write with O_APPEND, so any number of processes may add theirs. One that was cut short
is left out when it is read. Days go when they are `KEPT_DAYS` old.

    append(store.root / "requests", {"at": time.time(), ...})
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEPT_DAYS = 60


def append(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a line. Raises OSError."""
    data = json.dumps(line).encode() + b"\n"
    name = f"{folder}/{_day(time.time())}.jsonl"
    try:
        day = os.open(name, os.O_APPEND | os.O_WRONLY)
    except FileNotFoundError:
        folder.mkdir(exist_ok=True)
        _expire(folder)
        day = os.open(name, os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(day, data)
    finally:
        os.close(day)


def read(folder: Path, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """Lines of the days from `since` (Unix time) on, as they were added."""
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem >= _day(since):
            yield from filter(None, map(_parsed, path.read_bytes().splitlines()))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _expire(folder: Path) -> None:
    oldest = _day(time.time() - KEPT_DAYS * 86_400)
    for path in folder.glob("*.jsonl"):
        if path.stem < oldest:
            path.unlink(missing_ok=True)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))
