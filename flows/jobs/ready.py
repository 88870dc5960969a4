"""A job whose environment is there: what it will run in, and how to start and stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...builders.lock import Lock

HIT, BUILT = "hit", "built"


@dataclass(frozen=True, eq=False, repr=False)
class Ready:
    """`start` runs the command to its end and returns its exit code; `stop`, from elsewhere, ends it early.

    `image` is pinned by digest, or `prefix` is the folder; `outcome` tells whether anything was built.
    """

    outcome: str
    lock: Lock | None
    start: Callable[[], int]
    stop: Callable[[], object]
    image: str = ""
    prefix: str = ""
