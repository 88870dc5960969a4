"""One maker at a time per name, over all processes that share the leases; the others wait for its result.

Knows no stores: `find` looks the result up (None if it is not there), `make` makes it and stores it where
`find` looks. Both may run twice in a bad hour, as a lease saves work and proves nothing (see `leases`).
`waiting` is called again and again while another holds the lease, and may raise to end the wait.

    layers = [try_once(name, leases, find, make) for ...]     # the free ones first
    layer = once(name, leases, find, make, Told(print))       # then those that were BUSY
"""

from __future__ import annotations

import enum
import math
import time
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .leases import Holder, Leases

T = TypeVar("T")
_SHORTEST, _LONGEST = 0.02, 0.5  # seconds between two looks at a lease
_TELL_AFTER = 1.0  # seconds; shorter waits are nobody's concern
_HOLDERS = 2  # the first may have been killed


class Busy(enum.Enum):
    """Says that somebody else is making it."""

    BUSY = enum.auto()


BUSY: Final = Busy.BUSY


class Told:
    """A `waiting` that tells `report` once for whom, if it takes long; `doing` is what that one does."""

    def __init__(self, report: Callable[[str], None], doing: str = "makes the same") -> None:
        self._report = report
        self._doing = doing
        self._at = time.monotonic() + _TELL_AFTER

    def __call__(self, holder: Holder) -> None:
        """Tell it, when it is time."""
        if time.monotonic() > self._at:
            self._at = math.inf
            since = time.strftime("%H:%M:%S", time.localtime(holder.acquired))
            self._report(f"{holder.who} {self._doing} since {since}: waiting for it")


def try_once(name: str, leases: Leases, find: Callable[[], T | None], make: Callable[[], T]) -> T | Busy:
    """What was found or made under the lease of `name`, or BUSY at once if another holds it."""
    lease = leases.acquire(name)
    if lease is None:
        return BUSY
    with lease:
        return _found_or_made(find, make)  # again: another may have made it since the caller looked


def once(
    name: str,
    leases: Leases,
    find: Callable[[], T | None],
    make: Callable[[], T],
    waiting: Callable[[Holder], None],
) -> T:
    """What was found or made; waits while another makes it, and takes over if that one fails or dies.

    Raises what `find`, `make`, `waiting` and the leases raise.
    """
    while isinstance(made := try_once(name, leases, find, make), Busy):
        _wait(name, leases, waiting)
        if (found := find()) is not None:  # without the lease, so that all who waited go on at once
            return found
    return made


def rather_once(
    name: str,
    leases: Leases,
    find: Callable[[], T | None],
    make: Callable[[], T],
    waiting: Callable[[Holder], None],
) -> T:
    """The same for what may be made side by side as well: nobody waits for more than two makers.

    So a failure that takes a minute is not repeated by all who wait, one after the other. Leases that cannot
    be used are done without.
    """
    for _ in range(_HOLDERS):
        try:
            lease = leases.acquire(name)
        except StoreError:
            break
        if lease:
            with lease:
                return _found_or_made(find, make)
        _wait(name, leases, waiting)
        if (found := find()) is not None:
            return found
    return _found_or_made(find, make)


def _found_or_made(find: Callable[[], T | None], make: Callable[[], T]) -> T:
    found = find()
    return make() if found is None else found


def _wait(name: str, leases: Leases, waiting: Callable[[Holder], None]) -> None:
    """Until whoever holds the lease of `name` does no more."""
    import random  # 2 ms, and those who find or make never wait

    pause = _SHORTEST
    met = holder = leases.holder(name)
    while holder and holder == met:
        waiting(holder)
        time.sleep(pause * random.uniform(0.5, 1.0))  # those who wait must not ask in step
        pause = min(2 * pause, _LONGEST)
        holder = leases.holder(name)
