"""`prebake jobs`: what was submitted, and what became of it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from .verbs import Verb, add_verbs, run_verb

if TYPE_CHECKING:
    import argparse

    from ..jobs.record import Record
    from ..jobs.store import JobStore

EXAMPLES = """
  prebake jobs list
  prebake jobs show 20260301-101500-042-1f3a --json
  prebake jobs logs 20260301-101500-042-1f3a -f
  prebake jobs cancel 20260301-101500-042-1f3a"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "jobs", _VERBS)


run = run_verb


def _job_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="its id, as `submit` and `jobs list` print it")


def _list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", help="only those: Queued, Preparing, Running, Completed, Failed, Canceled")


def _logs_options(parser: argparse.ArgumentParser) -> None:
    _job_option(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="until the job ends; gives its exit code")


def _list(options: argparse.Namespace) -> int:
    found = [job for job in _jobs().all() if options.state in (None, job.state)]
    if options.json:
        print(json.dumps({"jobs": [job.to_json() for job in found]}))
    for job in () if options.json else found:
        print(_line(job))
    return 0


def _line(job: Record) -> str:
    environment = job.order.reference.removeprefix("azureml:")
    code = "" if job.exit_code is None else str(job.exit_code)
    name = job.order.job.display_name or " ".join(job.order.job.command.split())
    took = f"{(job.ended or time.time()) - job.requested:.1f} s"
    where = f"{job.order.target.kind:<6}  {environment}"
    return f"{job.id}  {job.state:<9}  {code:>3}  {took:>9}  {where}  {name[:60]}"


def _show(options: argparse.Namespace) -> int:
    job = _jobs().read(options.job)
    if options.json:
        print(json.dumps(job.to_json()))
        return 0
    shown = {
        "job": job.id,
        **{key: value for key, value in job.to_json().items() if value not in (None, "", {})},
    }
    del shown["id"]
    shown["environment"] = job.order.reference
    for key, value in (shown | {"folder": str(_jobs().folder(job.id))}).items():
        print(f"{key:<22}{_text(key, value)}")
    return 0


def _text(key: str, value: object) -> str:
    if key in ("requested", "prepared", "ended") and isinstance(value, float):
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(value))
    if isinstance(value, dict):
        return " ".join(f"{name}={text}" for name, text in value.items())
    return str(value)


def _logs(options: argparse.Namespace) -> int:
    from ..jobs.follow import follow

    jobs = _jobs()
    if options.follow:
        ended = follow(jobs, options.job, sys.stdout.buffer)
        return ended.exit_code if ended.exit_code is not None else 1
    jobs.read(options.job)
    sys.stdout.buffer.write(jobs.log(options.job).read_bytes())
    return 0


def _cancel(options: argparse.Namespace) -> int:
    from ..jobs.submit import cancel
    from ..wiring import open_workspace

    job = cancel(options.job, open_workspace())
    print(json.dumps(job.to_json()) if options.json else f"{job.id}  {job.state}")
    return 0


def _run(options: argparse.Namespace) -> int:
    """What `submit --no-wait` starts; the end of standard input says that the record is written."""
    from ..jobs.submit import run_here
    from ..progress import Silent
    from ..wiring import open_workspace

    sys.stdin.buffer.read()
    workspace = open_workspace()
    return run_here(_jobs().read(options.job), workspace, Silent(), None).exit_code or 0


def _jobs() -> JobStore:
    from ..jobs.submit import job_store
    from ..wiring import open_workspace

    return job_store(open_workspace())


_ID = " 20260301-101500-042-1f3a"
_VERBS = {
    "list": Verb("list jobs, the newest last", ("", " --state Running"), _list_options, _list),
    "show": Verb("show all that is recorded of a job", (_ID, f"{_ID} --json"), _job_option, _show),
    "logs": Verb("print what a job said", (_ID, f"{_ID} -f"), _logs_options, _logs),
    "cancel": Verb("stop a job", (_ID,), _job_option, _cancel),
    "run": Verb("run what `submit --no-wait` recorded; it starts this itself", (_ID,), _job_option, _run),
}
