"""What the stores hold, for people: figures (`stats`) and the local store's traces (`find`)."""

from __future__ import annotations

import fnmatch
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cache.inventory import folder_bytes, list_blobs, list_traces
from ..cache.pins import list_pins
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cache.inventory import TraceFile
    from .progress import Progress
    from .wiring import Workspace

# Folders below the store, beside blobs and traces, that a build fills again.
FOLDERS = ("cache", "prefixes", "quarantine")


@dataclass(frozen=True)
class Stats:
    """Figures of the local store, in bytes, and the tiers above it by name.

    `nominal` is what the images would take if each had its layers to itself, `shared` what they do take.
    """

    place: str
    traces: Mapping[str, int]
    blobs: int
    stored: int
    nominal: int
    shared: int
    folders: Mapping[str, int]
    pins: tuple[str, ...]
    remote: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The object that `cache stats --json` prints."""
        images = {"nominal": self.nominal, "stored": self.shared}
        local = {"place": self.place, "traces": dict(self.traces), "blobs": self.blobs, "bytes": self.stored}
        local |= {"images": images, "folders": dict(self.folders), "pins": list(self.pins)}
        return {"local": local, **{name: {"place": place} for name, place in self.remote.items()}}

    def __str__(self) -> str:
        saved = f" ({self.nominal / self.shared:.1f} times)" if self.shared else ""
        rows = [("local", self.place), *((f"  {recipe}", f"{n} traces") for recipe, n in self.traces.items())]
        rows += [("  blobs", f"{self.blobs}, {megabytes(self.stored)}")]
        rows += [("  images", f"{megabytes(self.nominal)} in {megabytes(self.shared)}{saved}")]
        rows += [(f"  {name}/", megabytes(size)) for name, size in self.folders.items()]
        rows += [("  pins", ", ".join(self.pins) or "none"), *self.remote.items()]
        return "\n".join(f"{label:<16}  {text}" for label, text in rows)


def stats(workspace: Workspace, progress: Progress) -> Stats:
    """Count and measure. Raises StoreError."""
    store = workspace.local
    progress.step(f"reading {store}")
    traces, blobs = list_traces(store), list_blobs(store)
    # an image that another machine made is known by its environment's trace alone
    known = {trace.blobs[0]: trace for trace in traces if trace.recipe.startswith(("image/", "environment/"))}
    images = list(known.values())
    reached = {digest for trace in images for digest in trace.blobs}
    progress.step(f"measuring {', '.join(FOLDERS)}")
    return Stats(
        str(store),
        dict(sorted(Counter(trace.recipe or "damaged" for trace in traces).items())),
        len(blobs),
        sum(blob.size for blob in blobs),
        sum(trace.size for trace in images),
        sum(blob.size for blob in blobs if blob.digest in reached),
        {name: folder_bytes(store.root / name) for name in FOLDERS},
        tuple(pin.name for pin in list_pins(store)),
        {tier.name: str(tier.blobs) for tier in workspace.remote},
    )


def find(workspace: Workspace, pattern: str, recipe: str) -> list[TraceFile]:
    """The local store's traces of `recipe` whose key or contents match `pattern`, last used first.

    Each may be empty, for all. A pattern without `*`, `?` or `[` matches any part.
    """
    wanted = pattern.lower() if set(pattern) & set("*?[") else f"*{pattern.lower()}*"
    found = [
        trace
        for trace in list_traces(workspace.local)
        if recipe in ("", trace.recipe)
        and any(fnmatch.fnmatchcase(name.lower(), wanted) for name in (trace.key.hex, *trace.contents))
    ]
    return sorted(found, key=lambda trace: (-trace.used, trace.key))


def described(trace: TraceFile) -> dict[str, Any]:
    """One of the objects that `cache ls --json` prints."""
    return {
        "recipe": trace.recipe,
        "key": str(trace.key),
        "size": trace.size,
        "used": int(trace.used),
        "contents": list(trace.contents),
        "problem": trace.problem,
    }


def line(trace: TraceFile) -> str:
    """One trace in one line."""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(trace.used))
    more = f" +{len(trace.contents) - 3}" if len(trace.contents) > 3 else ""
    told = trace.problem or ", ".join(trace.contents[:3]) + more
    return f"{trace.recipe:<14} {trace.key}  {megabytes(trace.size):>10}  {used}  {told}"
