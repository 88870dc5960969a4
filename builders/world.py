"""What resolving may ask, and how long an answer serves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .around import directly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..cache.store import Trace
    from ..cache.tiered import Tiers
    from .around import Around
    from .gate import Gate
    from .pin import Registries
    from .sources import Sources


@dataclass(frozen=True)
class Policy:
    """How long a recorded solve serves: for ever (`locked`), so many seconds, or never (`always`).

    Solves made after `since` (Unix time) serve in any case: those of one prebuild serve all of it.
    """

    max_age: float = float("inf")
    since: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Policy:
        """`locked`, `always`, or `max-age=SECONDS` with s, m, h or d behind the number."""
        if text in ("locked", "always"):
            return cls(float("inf") if text == "locked" else 0.0)
        number, unit = text.removeprefix("max-age=")[:-1], text[-1:]
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(unit)
        if not text.startswith("max-age=") or scale is None or not number.isdigit():
            raise SettingsError(
                f"`{text}` is not a policy",
                facts={"allowed": "locked, always, max-age=NUMBER with s, m, h or d"},
                hint="write for instance max-age=7d",
            )
        return cls(float(int(number) * scale))

    def serves(self, trace: Trace) -> bool:
        """Whether a trace is young enough."""
        made = made_at(trace)
        return made > self.since or time.time() - made < self.max_age

    @property
    def looks_each_time(self) -> bool:
        """Whether every solve looks at channels and registries anew, rather than one look serve many."""
        return self.max_age == 0 and self.since == float("inf")


def made_at(trace: Trace) -> int:
    """When a solve was made, in Unix seconds."""
    at = trace.outputs["at"]
    assert isinstance(at, int)
    return at


@dataclass(frozen=True, eq=False, repr=False)
class World:
    """What resolving may ask: registries, channels and indexes, the tiers, and by which policy."""

    store: Tiers
    registries: Registries
    sources: Sources
    policy: Policy = Policy()
    platform: str = "linux-64"
    cuda: str | None = None
    allow_sdist: frozenset[str] = frozenset()
    gate: Gate | None = None
    around: Around = directly
    report: Callable[[str], None] = field(default=lambda message: None, compare=False)

    @property
    def cache_dir(self) -> Path:
        """Where rattler and uv keep what they fetched."""
        return self.store.local.root / "cache"
