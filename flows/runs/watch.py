"""The watch over an attempt, from a thread beside it: time-outs, cancellation, a worker that shuts down.

None of them waits for the build, which may be in a download or a solver: the process ends, and who started
it ends what is left of its children (see `launch`).
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import PrebakeError
from . import states
from .attempt import leave
from .outcome import Outcome, force, set_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .api import Api
    from .attempt import Attempt

_PAUSE_SECONDS = 0.5
_RUNNING = "RUNNING"
_SHUT_DOWN = "its worker shut down"


@contextmanager
def watched(attempt: Attempt, api: Api) -> Iterator[None]:
    """Watch until the context is left; when the worker shuts down, the run goes back to its queue.

    `api` is one that gives up soon, as the watch looks again anyway.
    """
    over, terminated = threading.Event(), threading.Event()

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        terminated.set()

    before = signal.signal(signal.SIGTERM, terminate)
    beside = threading.Thread(target=_watch, args=(attempt, api, over, terminated), name="watch", daemon=True)
    beside.start()
    try:
        yield
    finally:
        over.set()
        signal.signal(signal.SIGTERM, before)


def _watch(attempt: Attempt, api: Api, over: threading.Event, terminated: threading.Event) -> None:
    parent = os.getppid()
    while not over.wait(_PAUSE_SECONDS):
        orphaned = terminated.is_set() or os.getppid() != parent  # Prefect kills what it terminates
        try:
            if error := late(attempt):
                _end(attempt, Outcome(error=error, forced=states.TIMEOUT))
            _follow(attempt, api)
            if orphaned:
                _give_back(attempt, api)
        except PrebakeError as error:
            attempt.logger.warning("%s", error)  # a server that restarts; the build goes on
            if orphaned:
                leave()


def late(attempt: Attempt) -> PrebakeError | None:
    """Which limit is passed, if one is."""
    terms = attempt.submission.terms
    for title, seconds in attempt.pieces.running():
        if seconds > terms.step_timeout:
            facts = {"step": title, "allowed": f"{terms.step_timeout} s"}
            hint = "give steps more time (--step-timeout), or see in the log what it waited for"
            return PrebakeError(f"the step `{title}` took too long", facts=facts, hint=hint)
    if attempt.seconds() > terms.timeout:
        steps = ", ".join(title for title, _ in attempt.pieces.running()) or "none"
        facts = {"steps at work": steps, "allowed": f"{terms.timeout} s"}
        hint = "give the run more time (--timeout); what it built is kept"
        return PrebakeError("the run took too long", facts=facts, hint=hint)
    return None


def _follow(attempt: Attempt, api: Api) -> None:
    """Do what others decided about the run."""
    run = api.get(f"/flow_runs/{attempt.id}")
    kind = run["state_type"] if run else ""
    if kind == "CANCELLING":
        _end(attempt, Outcome(forced=states.CANCELED))
    elif (kind != _RUNNING or attempt.lease.lost) and attempt.ending.acquire(blocking=False):
        attempt.logger.warning("the run goes on without this process")
        leave()


def _give_back(attempt: Attempt, api: Api) -> None:
    if attempt.ending.acquire(blocking=False):
        attempt.logger.warning("the worker shuts down: the run goes back to its queue")
        attempt.lease.release()  # before another process asks for it
        set_state(api, attempt.id, {"type": "SCHEDULED", "name": "AwaitingRetry", "message": _SHUT_DOWN})
        leave()


def _end(attempt: Attempt, outcome: Outcome) -> None:
    """End the run, unless it ends by itself just now."""
    if attempt.ending.acquire(blocking=False):
        attempt.logger.warning("%s", outcome.error or "canceled")
        force(attempt, outcome)
        leave()
