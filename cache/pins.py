"""Names for what must stay: a pin keeps traces and images, with all they reach, from being pruned.

    STORE/pins/NAME.json     {"since": SECONDS, "keys": [KEY, ...], "digests": [sha256:HEX, ...]}

What is pinned is touched first: a prune that has decided already sees that and lets it be, or was faster,
which is an error here.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import IntegrityError, SettingsError, StoreError
from .digest import Digest, Json, Key, canonical
from .files import replacing, store_errors
from .inventory import list_traces, trace_path
from .prune import Roots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .directory import DirectoryStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Pin:
    """A name, what it holds, and since when (seconds since the epoch)."""

    name: str
    since: int
    keys: tuple[Key, ...] = ()
    digests: tuple[Digest, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The pin as its file holds it, and its name."""
        keys, digests = [str(key) for key in self.keys], [str(digest) for digest in self.digests]
        return {"name": self.name, "since": self.since, "keys": keys, "digests": digests}


def parse_held(text: str) -> Key | Digest:
    """Read the key of a trace or the digest of an image. Raises SettingsError."""
    try:
        return Digest.parse(text) if text.startswith("sha256:") else Key(text)
    except IntegrityError as error:
        allowed = "a key of 32 hex digits, or sha256: and 64 hex digits"
        raise SettingsError(f"`{text}` cannot be pinned", facts={"allowed": allowed}) from error


def pin(store: DirectoryStore, name: str, held: Sequence[Key | Digest]) -> Pin:
    """Hold `held` under `name`, in place of what that held. Raises SettingsError for what is not there."""
    path = _path(store, name)
    keys = tuple(each for each in held if isinstance(each, Key))
    digests = tuple(each for each in held if isinstance(each, Digest))
    made = Pin(name, int(time.time()), keys, digests)
    with store_errors(store.root):
        for key in keys:
            _touch(store, [key], key)
        reach = list_traces(store) if digests else ()
        for digest in digests:
            _touch(store, [trace.key for trace in reach if digest in trace.blobs], digest)
        with replacing(path, store.tmp) as stream:
            stream.write(canonical(made.to_json()))
    return made


def unpin(store: DirectoryStore, name: str) -> None:
    """Hold it no more. Raises SettingsError if there is no such pin."""
    path = _path(store, name)
    with store_errors(store.root):
        try:
            path.unlink()
        except FileNotFoundError as error:
            hint = "`prebake cache pins` lists them"
            raise SettingsError(f"there is no pin `{name}`", facts={"store": store}, hint=hint) from error


def list_pins(store: DirectoryStore) -> list[Pin]:
    """Every pin, by name. Raises StoreError for one that cannot be read: what it holds is not known."""
    with store_errors(store.root):
        return [_read(path) for path in sorted((store.root / "pins").glob("*.json"))]


def pinned(pins: Iterable[Pin]) -> Roots:
    """All that pins hold."""
    every = list(pins)
    keys = (key for each in every for key in each.keys)
    return Roots(frozenset(keys), frozenset(digest for each in every for digest in each.digests))


def _touch(store: DirectoryStore, keys: Sequence[Key], held: Key | Digest) -> None:
    try:
        for key in keys:
            os.utime(trace_path(store, key))
    except FileNotFoundError:
        keys = ()
    if not keys:
        hint = "`prebake cache ls` shows what can be pinned"
        raise SettingsError(f"{held} is not here", facts={"store": store}, hint=hint)


def _path(store: DirectoryStore, name: str) -> Path:
    if not _NAME.fullmatch(name):
        allowed = "letters, digits, `.`, `_` and `-`, at most 100"
        raise SettingsError(f"`{name}` is no name for a pin", facts={"allowed": allowed})
    return store.root / "pins" / f"{name}.json"


def _read(path: Path) -> Pin:
    try:
        raw = json.loads(path.read_bytes())
        keys, digests = map(Key, raw["keys"]), map(Digest.parse, raw["digests"])
        return Pin(path.stem, int(raw["since"]), tuple(keys), tuple(digests))
    except (ValueError, KeyError, TypeError, AttributeError, IntegrityError) as error:
        hint = f"pin again, or run `prebake cache unpin {path.stem}`"
        raise StoreError("a pin is damaged", facts={"file": path}, hint=hint) from error
