"""Remote runs as callers see them: list, find, show, cancel; all by asking the server.

api = connect(workspace)
run = find(api, "3f2a")
print(run.state, queue_position(api, run))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...errors import SettingsError
from .record import ARTIFACT, RunRecord
from .states import FINAL, STATES, state_of, types_of
from .submission import DEPLOYMENT, FLOW, LANES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .api import Api
    from .submission import Submission

TAG = "prebake"
_NEWEST_FIRST = "EXPECTED_START_TIME_DESC"
_KEPT = 100_000  # runs; more than a server keeps
_ID_LENGTH = 36  # of a UUID


@dataclass(frozen=True)
class Run:
    """One remote build; `number` counts the runs of its submission, `canceling` ones end soon."""

    id: str
    state: str
    key: str
    to: str
    lane: str
    file: str
    number: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    message: str
    canceling: bool

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Run:
        """Read Prefect's flow run."""
        submission = data["parameters"].get("submission") or {}
        return cls(
            data["id"],
            state_of(data["state_type"], data["state_name"]),
            submission.get("key", ""),
            submission.get("to", ""),
            submission.get("lane", ""),
            submission.get("file", ""),
            int((data["idempotency_key"] or "").rpartition("-")[2] or 0),
            datetime.fromisoformat(data["created"]),
            _time(data["start_time"]),
            _time(data["end_time"]),
            (data.get("state") or {}).get("message") or "",
            data["state_type"] == "CANCELLING",
        )

    @property
    def is_final(self) -> bool:
        """Whether it ended."""
        return self.state in FINAL

    @property
    def queue_seconds(self) -> float:
        """How long it waited for a worker, or has waited until now."""
        return ((self.started or self.ended or datetime.now(UTC)) - self.created).total_seconds()

    @property
    def run_seconds(self) -> float:
        """How long it ran, or has run until now."""
        return ((self.ended or datetime.now(UTC)) - self.started).total_seconds() if self.started else 0.0

    def to_json(self) -> dict[str, Any]:
        """The run as `runs list --json` prints it."""
        return {
            "run": self.id,
            "state": self.state,
            "file": self.file,
            "reference": self.to,
            "key": self.key,
            "lane": self.lane,
            "queued": self.created.isoformat(),
            "started": self.started.isoformat() if self.started else None,
            "finished": self.ended.isoformat() if self.ended else None,
            "queue_seconds": round(self.queue_seconds, 1),
            "run_seconds": round(self.run_seconds, 1),
        }


def deployment(api: Api) -> str:
    """The id of the flow that runs are runs of. Raises SettingsError if no worker ever declared it."""
    found = api.get(f"/deployments/name/{FLOW}/{DEPLOYMENT}")
    if found is None:
        facts = {"deployment": f"{FLOW}/{DEPLOYMENT}"}
        raise SettingsError("the server knows no build flow", facts=facts, hint="start a `prebake worker`")
    return str(found["id"])


def create(api: Api, flow: str, submission: Submission, number: int) -> Run:
    """The `number`th run of a submission; two callers that create it get one."""
    body = {
        "name": submission.file,
        "parameters": {"submission": submission.to_json()},
        "tags": [TAG, f"lane:{submission.terms.lane}", _of(submission.key), _at(submission.to)],
        "work_queue_name": submission.terms.lane,
        "idempotency_key": f"{submission.key}-{number}",
        "state": {"type": "SCHEDULED"},
    }
    return Run.of(api.post(f"/deployments/{flow}/create_flow_run", body))


def runs(api: Api, limit: int = _KEPT, *, state: str = "") -> list[Run]:
    """The newest runs, newest first; of one state if that is given."""
    if not state:
        return _filter(api, TAG, limit=limit)
    found = _filter(api, TAG, state={"type": {"any_": types_of(state)}})
    return [run for run in found if run.state == state][:limit]


def runs_of(api: Api, key: object) -> list[Run]:
    """The runs of a submission, newest first."""
    return sorted(_filter(api, TAG, _of(key)), key=lambda run: run.created, reverse=True)


def newest_to(api: Api, reference: object) -> Run | None:
    """The newest run that delivers to `reference`."""
    return max(_filter(api, TAG, _at(reference)), key=lambda run: run.created, default=None)


def check_state(word: str) -> str:
    """A state as it is written here; empty for any. Raises SettingsError."""
    known = {state.lower(): state for state in STATES} | {"": ""}
    if word.lower() not in known:
        facts = {"found": word, "allowed": ", ".join(STATES)}
        raise SettingsError("there is no such state", facts=facts, hint="leave --state out to see all")
    return known[word.lower()]


def find(api: Api, prefix: str) -> Run:
    """The run whose id starts with `prefix`. Raises SettingsError if there is none or more than one."""
    if len(prefix) == _ID_LENGTH:
        return _read(api, prefix)
    found = [run for run in runs(api) if run.id.startswith(prefix.lower())] if prefix else []
    if not found:
        raise _unknown(prefix)
    if len(found) > 1:
        facts = {"found": "\n".join(run.id for run in found[:5])}
        hint = "write more of it"
        raise SettingsError(f"`{prefix}` is the start of {len(found)} runs", facts=facts, hint=hint)
    return found[0]


def read(api: Api, run: Run) -> Run:
    """The run as it is now."""
    return _read(api, run.id)


def record_of(api: Api, run: Run) -> RunRecord | None:
    """What stays of a run that ended; None until its worker wrote that."""
    sought = {"flow_run_id": {"any_": [run.id]}, "type": {"any_": [ARTIFACT]}}
    found = api.post("/artifacts/filter", {"artifacts": sought, "sort": "UPDATED_DESC", "limit": 1})
    return RunRecord.from_json(found[0]["data"]) if found else None


def queue_position(api: Api, run: Run) -> int:
    """How many queued runs are served before this one: those of earlier lanes, and older ones of its own."""
    lane = LANES.index(run.lane)
    older = {"expected_start_time": {"before_": run.created.isoformat()}, "id": {"not_any_": [run.id]}}
    return _queued(api, LANES[:lane]) + _queued(api, LANES[lane : lane + 1], **older)


def cancel(api: Api, run: Run, patience: float = 10) -> Run:
    """Ask for a run's end; the run when it ended, or as it is after `patience` seconds."""
    if not run.is_final:
        state = {"type": "CANCELLING", "name": "Cancelling"}
        api.post(f"/flow_runs/{run.id}/set_state", {"state": state})
    deadline = time.monotonic() + patience
    run = read(api, run)
    while not run.is_final and time.monotonic() < deadline:
        time.sleep(0.2)
        run = read(api, run)
    return run


def _read(api: Api, run: str) -> Run:
    data = api.get(f"/flow_runs/{run}")
    if data is None:
        raise _unknown(run)
    return Run.of(data)


def _unknown(run: str) -> SettingsError:
    hint = "`prebake runs list` shows those there are; they are kept for 30 days"
    return SettingsError(f"there is no run `{run}`", hint=hint)


def _filter(api: Api, *tags: str, limit: int = _KEPT, **more: Any) -> list[Run]:
    sought = {"tags": {"all_": list(tags)}, **more}
    found = api.pages("/flow_runs/filter", {"flow_runs": sought, "sort": _NEWEST_FIRST}, limit)
    return [Run.of(data) for data in found]


def _queued(api: Api, lanes: tuple[str, ...], **more: Any) -> int:
    sought = {
        "tags": {"all_": [TAG]},
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "work_queue_name": {"any_": list(lanes)},
        **more,
    }
    return int(api.post("/flow_runs/count", {"flow_runs": sought})) if lanes else 0


def _of(key: object) -> str:
    return f"submission:{key}"


def _at(reference: object) -> str:
    return f"to:{reference}"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
