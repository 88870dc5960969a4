"""What a tag pointed at a moment ago: within one process, a burst of submissions asks its registry once.

Positives only, so that an image pushed after a miss is seen at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .digest import Digest
    from .reference import Reference

SECONDS = 5.0


class TagMemo:
    """Remembers digests of references for some seconds."""

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[Reference, tuple[float, Digest]] = {}

    def get(self, reference: Reference, ask: Callable[[Reference], Digest | None]) -> Digest | None:
        """The digest known since a moment, or what `ask` says."""
        known = self._known.get(reference)
        if known and self._clock() - known[0] < self._seconds:
            return known[1]
        found = ask(reference)
        if found:
            self._known[reference] = (self._clock(), found)
        return found

    def forget(self) -> None:
        """Ask again from now on."""
        self._known.clear()
