"""What a store holds, as plain values: its traces, its blobs, and the room that folders take.

Other processes write and prune meanwhile: what vanishes while it is listed is not listed. A file that cannot
be read for any other reason is a StoreError, since a prune that took its trace for none would delete blobs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import IntegrityError
from .digest import Digest, Key
from .files import store_errors
from .oci import Descriptor
from .store import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from .digest import Json
    from .directory import DirectoryStore


@dataclass(frozen=True)
class TraceFile:
    """A trace as it lies in a store.

    `size` is what its blobs take, `used` when it was last found or recorded (seconds since the epoch).
    A damaged one has a `problem` in words, and neither recipe nor blobs.
    """

    key: Key
    used: float
    recipe: str = ""
    blobs: tuple[Digest, ...] = ()
    size: int = 0
    notes: Mapping[str, Json] = field(default_factory=dict)
    contents: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class BlobFile:
    """A blob as it lies in the store: size in bytes, when it was last put (seconds since the epoch)."""

    digest: Digest
    size: int
    used: float


class Listed(Protocol):
    """A store whose contents can be listed and deleted: a remote one, while others use it.

    It does not know when a trace was found last: `used` is when it was recorded.
    """

    def list_all(self) -> tuple[list[TraceFile], list[BlobFile]]:
        """Every trace and every blob of ours."""

    def delete(self, names: Iterable[Digest | Key]) -> None:
        """Delete blobs and traces; those that are gone already are no error."""


def trace_path(store: DirectoryStore, key: Key) -> Path:
    """Where the trace of `key` is, or would be."""
    return store.root / "traces" / key.hex[:2] / f"{key.hex}.json"


def list_traces(store: DirectoryStore) -> list[TraceFile]:
    """Every trace, ordered by key. Raises StoreError."""
    with store_errors(store.root):
        folders = _entries(store.root / "traces")
        return [found for folder in folders for entry in _entries(folder.path) if (found := _trace(entry))]


def list_blobs(store: DirectoryStore) -> list[BlobFile]:
    """Every blob, ordered by digest. Raises StoreError."""
    found = []
    with store_errors(store.root):
        for entry in _entries(store.root / "blobs" / "sha256"):
            if (stat := _stat(entry)) and (digest := _digest(entry.name)):
                found.append(BlobFile(digest, stat.st_size, stat.st_mtime))
    return found


def incomplete(traces: Iterable[TraceFile], blobs: Iterable[BlobFile]) -> list[TraceFile]:
    """The traces, those with a problem that have lost a blob; for a store above which there is no other."""
    there = {blob.digest for blob in blobs}
    gone = Reason.BLOBS_GONE.value
    return [trace if there.issuperset(trace.blobs) else replace(trace, problem=gone) for trace in traces]


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take, each counted once however many names it has."""
    seen: dict[int, int] = {}
    with store_errors(folder):
        _measure(folder, seen)
    return sum(seen.values())


def _measure(folder: str | Path, seen: dict[int, int]) -> None:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            _measure(entry.path, seen)
        elif stat := _stat(entry):
            seen[stat.st_ino] = stat.st_size


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _digest(name: str) -> Digest | None:
    """A foreign file in a layout is nobody's blob."""
    try:
        return Digest(name)
    except IntegrityError:
        return None


def _trace(entry: os.DirEntry[str]) -> TraceFile | None:
    try:
        key = Key(entry.name.removesuffix(".json"))
    except IntegrityError:
        return None
    try:
        # time before content: a trace that is used in between looks older than it is, and prune looks again
        used = entry.stat().st_mtime
        with open(entry.path, "rb") as stream:  # noqa: PTH123  (of 100,000 traces a Path each takes a second)
            data = stream.read()
    except FileNotFoundError:
        return None
    return read_listed(key, used, data)


def read_listed(key: Key, used: float, data: bytes) -> TraceFile:
    """What a store kept under `key` since `used` (seconds since the epoch); a damaged trace says so."""
    try:
        return _read(key, used, json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, IntegrityError):
        return TraceFile(key, used, problem=Reason.DAMAGED.value)


def _read(key: Key, used: float, raw: dict[str, Any]) -> TraceFile:
    blobs = {blob.digest: blob.size for blob in map(Descriptor.from_json, raw["blobs"])}
    recipe, inputs = str(raw["inputs"]["recipe"]), raw["inputs"]["inputs"]
    contents, notes = _contents(inputs, raw["outputs"]), dict(raw.get("notes") or {})
    return TraceFile(key, used, recipe, tuple(blobs), sum(blobs.values()), notes, contents)


def _contents(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """What people know the trace by: packages, specs or titles of layers."""
    if "layers" in outputs and all("title" in layer for layer in outputs["layers"]):
        return tuple(str(layer["title"]) for layer in outputs["layers"])
    for name in ("packages", "wheels"):
        if name in inputs:
            return tuple(str(item[0]).rpartition("/")[2] for item in inputs[name])
    for name in ("specs", "lines"):
        if name in inputs:
            return tuple(map(str, inputs[name]))
    return tuple(f"{name} {value}" for name, value in sorted(inputs.items()) if isinstance(value, str))
