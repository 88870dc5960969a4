"""Runs whose process died are put back into their queue, and old ones are forgotten.

A running run holds a lease (see `attempt`); one that runs for some time and whose lease is free has no
process. Every worker looks for such runs; the lease also keeps them from putting one back twice.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ...errors import PrebakeError
from .attempt import run_lease
from .client import TAG
from .outcome import keep_record, set_state
from .record import Analysis, RunRecord
from .states import ERROR

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from ...cache.leases import Leases
    from .api import Api

TAKEN_UP = "AwaitingRetry"
_MESSAGE = "its process died"
_HINT = "look at the workers' machines: did they run out of memory?"
_AT_MOST = 3
_STARTING_SECONDS = 30.0  # from Pending to a process that holds the lease, on a busy machine
_KEPT = timedelta(days=30)
_TIDY_SECONDS = 600.0
_PAGE = 200
_DELETED = 50  # what Prefect deletes at a time


def keep_watch(
    api: Api, leases: Leases, expiry: float, over: threading.Event, tell: Callable[[str], None]
) -> None:
    """Look every few seconds until `over`."""
    tidied = -_TIDY_SECONDS
    while not over.wait(expiry / 3):
        try:
            for run in take_up(api, leases, expiry):
                tell(f"run {run} lost its process and goes back to its queue")
            if time.monotonic() - tidied > _TIDY_SECONDS:
                forget(api, _KEPT)
                tidied = time.monotonic()
        except PrebakeError as error:
            tell(str(error))


def take_up(api: Api, leases: Leases, expiry: float) -> list[str]:
    """Put runs without a process back; the ids of those that were."""
    found = _filter(api, {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    return [run["id"] for run in found if _silent(run, expiry) and _put_back(run, api, leases)]


def forget(api: Api, kept: timedelta) -> None:
    """Delete runs that ended longer ago than `kept`; their logs go with them."""
    sought = {"tags": {"all_": [TAG]}, "end_time": {"before_": (datetime.now(UTC) - kept).isoformat()}}
    while api.post("/flow_runs/count", {"flow_runs": sought}):
        api.post("/flow_runs/bulk_delete", {"flow_runs": sought, "limit": _DELETED})


def _filter(api: Api, more: dict[str, Any]) -> list[dict[str, Any]]:
    sought = {"flow_runs": {"tags": {"all_": [TAG]}, **more}}
    found: list[dict[str, Any]] = api.pages("/flow_runs/filter", sought, _PAGE)
    return found


def _silent(run: dict[str, Any], expiry: float) -> bool:
    """Whether it is in its state for so long that its process must have the lease, or be dead."""
    since = datetime.fromisoformat(run["state"]["timestamp"])
    patience = max(2 * expiry, _STARTING_SECONDS) if run["state_type"] == "PENDING" else 2 * expiry
    return datetime.now(UTC) - since > timedelta(seconds=patience)


def _put_back(run: dict[str, Any], api: Api, leases: Leases) -> bool:
    """Whether the run had no process; it is looked at again under the lease, which others may have held."""
    lease = leases.acquire(run_lease(run["id"]))
    if lease is None:
        return False
    with lease:
        now = api.get(f"/flow_runs/{run['id']}")
        if now is None or now["state_id"] != run["state_id"]:
            return False
        state = _next(run, api)
        if state["type"] == "CRASHED":
            record = RunRecord(ERROR, analysis=Analysis("worker lost", state["message"], _HINT))
            keep_record(api, run["id"], record)
        set_state(api, run["id"], state)
    return True


def _next(run: dict[str, Any], api: Api) -> dict[str, str]:
    if run["state_type"] == "CANCELLING":
        return {"type": "CANCELLED", "name": "Cancelled", "message": _MESSAGE}
    history = api.get(f"/flow_run_states/?flow_run_id={run['id']}")
    before = sum(each["name"] == TAKEN_UP and each["message"] == _MESSAGE for each in history)
    if before >= _AT_MOST:
        return {"type": "CRASHED", "name": "Error", "message": f"{_MESSAGE}, {before + 1} times"}
    return {"type": "SCHEDULED", "name": TAKEN_UP, "message": _MESSAGE}
