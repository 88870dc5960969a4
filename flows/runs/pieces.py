"""The pieces of a build as Prefect task runs: an `Around` for flows.

Prefect hears of each piece and decides nothing: no result of its own, no cache, no retries.
"""

from __future__ import annotations

import contextvars
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from ...errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.schemas.objects import State

T = TypeVar("T")


class Pieces:
    """Runs pieces as tasks of the flow run it was made in, and knows which run since when."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()  # a build's threads are not the flow's
        self._lock = threading.Lock()
        self._running: list[tuple[str, float]] = []
        self._seconds: dict[str, float] = {}

    def __call__(self, title: str, work: Callable[[], T]) -> T:
        """What `work` returns; raises what it raises."""
        with self._timed(title):
            return self._context.copy().run(_as_task, title, work)

    def running(self) -> list[tuple[str, float]]:
        """Titles of what runs now, and for how many seconds."""
        with self._lock:
            return [(title, time.monotonic() - since) for title, since in self._running]

    def seconds(self) -> dict[str, float]:
        """What each piece that ended took, by title."""
        with self._lock:
            return {title: round(spent, 3) for title, spent in self._seconds.items()}

    @contextmanager
    def _timed(self, title: str) -> Iterator[None]:
        entry = (title, time.monotonic())
        with self._lock:
            self._running.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(entry)
                self._seconds[title] = self._seconds.get(title, 0.0) + time.monotonic() - entry[1]


def _as_task(title: str, work: Callable[[], T]) -> T:
    """Errors a user can see pass beside Prefect, which would log them with a traceback."""
    results: list[T] = []
    errors: list[PrebakeError] = []

    def piece() -> State[Any] | None:
        try:
            results.append(work())
        except PrebakeError as error:
            errors.append(error)
            return Failed(message=error.sentence)
        return None

    kind = title.partition(":")[0]
    # the name of the run is a function, as braces in a text would be filled in
    named = task(name=kind, task_run_name=lambda: title, cache_policy=NO_CACHE, persist_result=False)
    state = named(piece)(return_state=True)
    if errors:
        raise errors[0]
    state.result()
    return results[0]
