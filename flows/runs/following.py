"""Follow a run while it goes, and tell how it ended; wait until a reference can be pulled."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ...errors import PrebakeError, RegistryError, RunCanceled, RunUnfinished, from_json
from .client import newest_to, queue_position, read, record_of
from .states import CANCELED, FAILED, QUEUED, SUCCEEDED

if TYPE_CHECKING:
    from ...cache.digest import Digest
    from ...cache.reference import Reference
    from ..wiring import Workspace
    from .api import Api
    from .client import Run
    from .record import RunRecord

Say = Callable[[str], None]
_POLL = 0.5
_LONGEST_POLL = 3.0
_LATE = timedelta(seconds=60)  # processes of a run log side by side, in batches, by their own clocks
_LAST_WORDS = 15.0  # seconds that the record and the last lines may come after the end
_INFO = 20
_MOST_LINES = 1_000_000
_ECHOES = ("Beginning flow run ", "Finished in state ")
_ECHOED_ERROR = "prefect.exceptions.FailedRun: "


def log(api: Api, run: Run, say: Say) -> None:
    """Say what a run logged up to now."""
    _say_all(_unseen(api, run, {}), say)


def follow(api: Api, run: Run, say: Say) -> Run:
    """Say what a run logs as it comes, and where it waits, until it ends; the run as it ended then."""
    seen: dict[str, datetime] = {}
    told, pause = "", _POLL
    while True:
        run = read(api, run)  # before its log, which is then whole when the run is final
        lines = _unseen(api, run, seen)
        _say_all(lines, say)
        if run.is_final:
            break
        now = _where(api, run)
        if now != told:
            say(now)
        # many may follow one server: where nothing happens it is asked less often
        pause = _POLL if lines or now != told else min(1.2 * pause, _LONGEST_POLL)
        told = now
        time.sleep(pause)
    _last_words(api, run, seen, say)
    say(f"{run.state} after {run.run_seconds:.1f} s, and {run.queue_seconds:.1f} s in the queue")
    return run


def ended(api: Api, run: Run) -> RunRecord:
    """The record of a run that succeeded. Raises the run's own error, RunCanceled or RunUnfinished."""
    record = record_of(api, run)
    if run.state == SUCCEEDED and record:
        return record
    raise _error(run, record)


def wait(reference: Reference, workspace: Workspace, api: Api | None, seconds: float) -> Digest:
    """The digest at `reference`, as soon as it can be pulled and no run is about to put another there.

    Raises the error of the run behind it as soon as that failed, RunUnfinished after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        run = newest_to(api, reference) if api else None
        found = None if run and not run.is_final else workspace.registries.head(reference)
        if found and (run is None or run.state == SUCCEEDED or reference.tag == run.key):
            return found
        if api and run and run.is_final:
            raise _error(run, record_of(api, run))
        if time.monotonic() > deadline:
            raise _too_late(reference, run, seconds)
        time.sleep(2 * _POLL)


def _where(api: Api, run: Run) -> str:
    if run.state != QUEUED:
        return run.state
    before = queue_position(api, run)
    return f"{QUEUED}, {before} {'run' if before == 1 else 'runs'} before it" if before else f"{QUEUED}, next"


def _unseen(api: Api, run: Run, seen: dict[str, datetime]) -> list[str]:
    """Lines that are not among `seen`, which they are then."""
    # what is logged about tasks repeats what the flow says of its steps
    logs = {"flow_run_id": {"any_": [run.id]}, "level": {"ge_": _INFO}, "task_run_id": {"is_null_": True}}
    since = {"timestamp": {"after_": (max(seen.values()) - _LATE).isoformat()}} if seen else {}
    found = api.pages("/logs/filter", {"logs": logs | since, "sort": "TIMESTAMP_ASC"}, _MOST_LINES)
    fresh = [line for line in found if line["id"] not in seen]
    seen |= {line["id"]: datetime.fromisoformat(line["timestamp"]) for line in fresh}
    return [line["message"] for line in fresh if not _is_echo(line["message"])]


def _is_echo(message: str) -> bool:
    """Whether Prefect says in its words what the run's state and error tell."""
    return message.startswith(_ECHOES) or _ECHOED_ERROR in message


def _say_all(lines: list[str], say: Say) -> None:
    for line in lines:
        say(line)


def _last_words(api: Api, run: Run, seen: dict[str, datetime], say: Say) -> None:
    """Lines that come after the end: workers send their log in batches, and the record last."""
    deadline, quiet = time.monotonic() + _LAST_WORDS, 0
    while time.monotonic() < deadline and (quiet < 2 or record_of(api, run) is None):
        time.sleep(_POLL)
        lines = _unseen(api, run, seen)
        quiet = 0 if lines else quiet + 1
        _say_all(lines, say)


def _error(run: Run, record: RunRecord | None) -> PrebakeError:
    """How a run ended that did not succeed, or whose image is gone."""
    facts: dict[str, object] = {"run": run.id, "reference": run.to}
    if run.state == SUCCEEDED:
        return RegistryError("the run's image is gone", facts=facts, hint="submit it again")
    if run.state == CANCELED:
        return RunCanceled("the run was canceled", facts=facts, hint="submit it again")
    hint = f"`prebake runs logs {run.id[:8]}` shows its log"
    if record and record.error:
        error = from_json(record.error)
        if run.state == FAILED:
            error.facts["run"] = run.id
            return error
        return RunUnfinished(error.sentence, facts=error.facts | facts, hint=error.hint or hint)
    facts |= {"state": run.state, "reason": run.message or "its worker left no word"}
    return RunUnfinished("the run broke", facts=facts, hint=hint)


def _too_late(reference: Reference, run: Run | None, seconds: float) -> RunUnfinished:
    state = f"{run.id}, {run.state}" if run else "none delivers there"
    facts = {"reference": reference, "waited": f"{seconds:g} s", "run": state}
    return RunUnfinished("the image is not there yet", facts=facts, hint="wait longer with --timeout")
