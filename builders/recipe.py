"""How layers are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from .grouping import Budget


@dataclass(frozen=True)
class Recipe:
    """How layers are made: everything that changes their bytes and is not in the lock."""

    prefix: str = "/opt/prebake/env"
    compression: str = "gzip"
    bytecode: str = "none"
    conda: Budget = field(default_factory=Budget)
    pip: Budget = field(default_factory=Budget)
