"""Submit a job: record it with a snapshot of its code, then run it here, or in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from ...builders.code import code_digest
from ...config.job_data import not_local
from ...errors import SettingsError
from .environments import entered
from .execute import execute
from .log import Log
from .record import CANCELED, ENDED, Order, Runner
from .snapshot import include, link_outputs, take
from .store import JobStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...config.job import Job
    from ..progress import Progress
    from ..wiring import Workspace
    from .record import Record, Target

# Longer than a command may take to end when it is asked to.
_CANCEL_SECONDS = 30
_PAUSE = 0.05


def job_store(workspace: Workspace) -> JobStore:
    """The jobs of a workspace."""
    return JobStore(workspace.settings.store)


def enter(job: Job, target: Target, policy: str, workspace: Workspace, progress: Progress) -> Record:
    """Take a job in: find or register its environment, copy its code. Nothing is recorded yet.

    Raises DefinitionError for data that is not here, SettingsError for an unknown environment, StoreError.
    """
    unfit = not_local(job)
    if unfit:
        raise unfit
    job = entered(job, workspace, progress)
    assert job.environment
    jobs = job_store(workspace)
    record = jobs.create(Order(job, f"azureml:{job.environment.title}", target, policy))
    try:
        return replace(record, code=_take_code(job, jobs.folder(record.id) / "code", jobs))
    except BaseException:
        jobs.drop(record.id)
        raise


def _take_code(job: Job, copy: Path, jobs: JobStore) -> str:
    """Copy the job's code; returns its digest."""
    if job.code:
        take(job.code, copy, without=jobs.root.parent)
    for path in job.includes:
        include(path, copy, without=jobs.root.parent)
    digest = str(code_digest(copy)) if job.code or job.includes else ""
    link_outputs(copy)
    return digest


def run_here(
    record: Record, workspace: Workspace, progress: Progress, echo: tuple[IO[bytes], IO[bytes]] | None
) -> Record:
    """Run the job in this process; `echo` hears what it says. Returns how it ended.

    Raises what preparing does, and KeyboardInterrupt when the job was canceled.
    """
    jobs = job_store(workspace)
    with _terminated(), Log(jobs.log(record.id), progress, echo) as log:
        return execute(record, jobs, workspace, log)


def run_apart(record: Record, workspace: Workspace) -> Record:
    """Run the job in a process of its own, which outlives this one; returns the record at once."""
    jobs = job_store(workspace)
    command = [sys.executable, "-m", "prebake.cli", "jobs", "run", record.id]
    store = {"PREBAKE_STORE": str(workspace.settings.store)}
    environ = {"PATH": os.defpath} | dict(workspace.environ) | store
    with jobs.log(record.id).open("ab") as log:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin
    with process.stdin:  # it waits for the end of its input, and so finds itself in the record
        return jobs.write(replace(record, runner=Runner.of(process.pid)))


def cancel(job_id: str, workspace: Workspace) -> Record:
    """Stop a job, or what it left running where its own process is gone; returns its record after that.

    Raises SettingsError for a job of another machine.
    """
    from . import in_container, on_machine

    jobs = job_store(workspace)
    record = jobs.read(job_id)
    runner = record.runner
    if runner and not runner.here:
        facts = {"job": job_id, "machine": runner.host}
        raise SettingsError("the job runs on another machine", facts=facts, hint="cancel it there")
    if runner and not runner.gone and record.state not in ENDED:
        os.kill(runner.pid, signal.SIGTERM)
        return _ended(record, runner, jobs)
    if record.order.target.kind == "docker":
        in_container.clear(job_id, workspace)
    else:
        on_machine.clear(jobs.folder(job_id))
    return record


def _ended(record: Record, runner: Runner, jobs: JobStore) -> Record:
    """The record once the job was stopped; one that had hardly begun has no time to record that itself."""
    deadline = time.monotonic() + _CANCEL_SECONDS
    while (found := jobs.read(record.id)).state not in ENDED and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    if runner.gone and found.ended is None:
        return jobs.write(replace(found, state=CANCELED, error="canceled", ended=round(time.time(), 3)))
    return found


@contextmanager
def _terminated() -> Iterator[None]:
    """A signal that asks this process to end interrupts the job as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
