"""One maker at a time per key, over all processes that share the leases; the others wait for its result.

Knows no stores: `find` looks the result up (None if it is not there), `make` makes it and stores it where
`find` looks. Both may run twice in a bad hour, as a lease saves work and proves nothing (see `leases`).

    layers = [try_once(key, leases, find, make) for ...]     # the free ones first
    layer = once(key, leases, find, make, print)             # then those that were BUSY
"""

from __future__ import annotations

import enum
import math
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .digest import Key
    from .leases import Holder, Leases

T = TypeVar("T")
_SHORTEST, _LONGEST = 0.02, 0.5  # seconds between two looks at a lease
_TELL_AFTER = 1.0  # seconds; shorter waits are nobody's concern


class Busy(enum.Enum):
    """Says that somebody else is making it."""

    BUSY = enum.auto()


BUSY: Final = Busy.BUSY


def try_once(key: Key, leases: Leases, find: Callable[[], T | None], make: Callable[[], T]) -> T | Busy:
    """What was found or made under the lease of `key`, or BUSY at once if another holds it."""
    lease = leases.acquire(key)
    if lease is None:
        return BUSY
    with lease:
        found = find()  # again: another may have made it since the caller looked
        return make() if found is None else found


def once(
    key: Key,
    leases: Leases,
    find: Callable[[], T | None],
    make: Callable[[], T],
    waiting: Callable[[str], None],
) -> T:
    """What was found or made; waits while another makes it, and takes over if that one fails or dies.

    `waiting` is told once for whom, if it takes long. Raises what `find`, `make` and the leases raise.
    """
    tell_at = time.monotonic() + _TELL_AFTER
    while isinstance(made := try_once(key, leases, find, make), Busy):
        for holder in _until_free(key, leases):
            if time.monotonic() > tell_at:
                tell_at = math.inf
                since = time.strftime("%H:%M:%S", time.localtime(holder.acquired))
                waiting(f"{holder.who} makes the same since {since}: waiting for it")
        if (found := find()) is not None:  # without the lease, so that all who waited go on at once
            return found
    return made


def _until_free(key: Key, leases: Leases) -> Iterator[Holder]:
    """Who holds the lease, again and again, until nobody does."""
    import random  # 2 ms, and those who find or make never wait

    pause = _SHORTEST
    while holder := leases.holder(key):
        yield holder
        time.sleep(pause * random.uniform(0.5, 1.0))  # those who wait must not ask in step
        pause = min(2 * pause, _LONGEST)
