"""Run a job that is recorded, and record what becomes of it.

Invariant: whatever happens, the record says so; only a process that is killed cannot, and readers see that.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import PrebakeError
from .locks import keep
from .record import CANCELED, COMPLETED, FAILED, PREPARING, RUNNING, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..wiring import Workspace
    from .log import Log
    from .ready import Ready
    from .record import Record
    from .store import JobStore


def execute(record: Record, jobs: JobStore, workspace: Workspace, log: Log) -> Record:
    """Prepare the environment, run the command; returns how it ended.

    Raises what preparing does, and KeyboardInterrupt when the job was canceled.
    """
    record = jobs.write(replace(record, state=PREPARING, runner=this_process()))
    try:
        ready = _prepare(record, jobs, workspace, log)
        lock = keep(ready.lock, jobs.root, jobs.folder(record.id)) if ready.lock else ""
        record = replace(record, outcome=ready.outcome, image=ready.image, prefix=ready.prefix, lock=lock)
        record = jobs.write(replace(record, state=RUNNING, prepared=_now()))
        return jobs.write(_run(record, ready))
    except BaseException as error:
        jobs.write(_broken(record, error, log))
        raise


def _prepare(record: Record, jobs: JobStore, workspace: Workspace, log: Log) -> Ready:
    if record.order.target.kind == "local":
        from .on_machine import prepare
    else:
        from .in_container import prepare
    return prepare(record, jobs.folder(record.id), workspace, log)


def _run(record: Record, ready: Ready) -> Record:
    timeout = record.order.job.timeout
    with _limited(timeout, ready) as overran:
        code = ready.start()
    if overran.is_set():
        error = f"it ran longer than its limit of {timeout} s"
        return replace(record, state=FAILED, exit_code=code, error=error, ended=_now())
    return replace(record, state=FAILED if code else COMPLETED, exit_code=code, ended=_now())


@contextmanager
def _limited(seconds: int | None, ready: Ready) -> Iterator[threading.Event]:
    """Stop the command when its time is over; the event tells that it was."""
    overran = threading.Event()

    def stop() -> None:
        overran.set()
        ready.stop()

    timer = threading.Timer(seconds or 0, stop)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield overran
    finally:
        timer.cancel()


def _broken(record: Record, error: BaseException, log: Log) -> Record:
    if isinstance(error, KeyboardInterrupt):
        return replace(record, state=CANCELED, error="canceled", ended=_now())
    text = str(error) if isinstance(error, PrebakeError) else f"{type(error).__name__}: {error}"
    log.write(f"{text}\n".encode())
    said = error.sentence if isinstance(error, PrebakeError) else text
    return replace(record, state=FAILED, error=said, ended=_now())


def _now() -> float:
    return round(time.time(), 3)
