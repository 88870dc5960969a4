#!/usr/bin/env python3
"""Build the sample world: python tests/world/make.py [--out .world] [--only base|channel|index]

Invariant: a part whose stamp (its sources and pinned lists) is in world.json is left alone; another is built
in a scratch folder and renamed into place, so a killed run leaves nothing half-made. A lock admits one run.
"""

import argparse
import fcntl
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a script finds its own folder on the path, but imports start at tests/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import xxhash

from world.base_image import build_base
from world.channel import build_channel
from world.simple_index import build_index
from world.tools import MissingTool, ToolFailed

_HERE = Path(__file__).parent
_SHARED = ("__init__.py", "digests.py", "tools.py")


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of the world. `build(folder, cache)` fills it and says what it made."""

    build: Callable[[Path, Path], dict[str, Any]]
    sources: tuple[str, ...]

    def stamp(self) -> str:
        seen = xxhash.xxh3_128()
        for name in (*self.sources, *_SHARED):
            seen.update((_HERE / name).read_bytes())
        return seen.hexdigest()


_CONVERSION = ("channel.py", "conda_package.py", "fixtures.py", "native.py", "wheel_package.py")
PARTS = {
    "base": Part(build_base, ("base_image.py",)),
    "channel": Part(build_channel, ("downloads.py", "conda-wheels.txt", *_CONVERSION)),
    "index": Part(build_index, ("downloads.py", "simple_index.py", "pip-wheels.txt", "pip-sdists.txt")),
}


def make(out: Path, names: list[str]) -> dict[str, Any]:
    """Bring the named parts up to date; returns what world.json says."""
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        for name in names:
            if not _is_current(out, name):
                _rebuild(out, name)
        return _read(out)


def _is_current(out: Path, name: str) -> bool:
    return bool(_read(out).get(name, {}).get("stamp") == PARTS[name].stamp() and (out / name).is_dir())


def _rebuild(out: Path, name: str) -> None:
    started = time.monotonic()
    print(f"{name}: building", flush=True)
    scratch = out / f".building-{name}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    made = PARTS[name].build(scratch, out / ".downloads")
    # a kill between the two renames leaves no part, and the next run builds it
    stale = out / f".stale-{name}"
    shutil.rmtree(stale, ignore_errors=True)
    if (out / name).exists():
        (out / name).rename(stale)
    scratch.rename(out / name)
    shutil.rmtree(stale, ignore_errors=True)
    entry = {"path": name, "bytes": _size(out / name), "stamp": PARTS[name].stamp(), **made}
    _write(out, _read(out) | {name: entry})
    print(f"{name}: {entry['bytes'] / 1e6:.0f} MB in {time.monotonic() - started:.1f} s", flush=True)


def _read(out: Path) -> dict[str, Any]:
    path = out / "world.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return document


def _write(out: Path, document: dict[str, Any]) -> None:
    complete = document | {"torch": document.get("index", {}).get("torch")}
    scratch = out / ".world.json"
    scratch.write_text(json.dumps(complete, indent=2, sort_keys=True) + "\n")
    scratch.replace(out / "world.json")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the sample world.")
    parser.add_argument("--out", type=Path, default=Path(".world"))
    parser.add_argument("--only", choices=PARTS, action="append", help="one part instead of all; repeatable")
    chosen = parser.parse_args()
    try:
        make(chosen.out, chosen.only or list(PARTS))
    except (MissingTool, ToolFailed) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
