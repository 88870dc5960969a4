"""How a run ends: a state of Prefect's, and a record of what was built or why it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import State, StateType

from ...cache.reference import Reference
from ...errors import PrebakeError, Unreachable
from . import states
from .analysis import analyse
from .attempt import leave
from .log import send_all
from .record import ARTIFACT, Dependency, Image, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..built import Built
    from .api import Api
    from .attempt import Attempt

_TYPES = {
    states.SUCCEEDED: ("COMPLETED", "Completed"),
    states.FAILED: ("FAILED", "Failed"),
    states.ERROR: ("CRASHED", "Error"),
    states.TIMEOUT: ("FAILED", "Timeout"),
    states.CANCELED: ("CANCELLED", "Cancelled"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """What an attempt gave: an image, or an error and the state that this means."""

    built: Built | None = None
    error: BaseException | None = None
    forced: str = ""

    @property
    def state(self) -> str:
        """The run's last state: what was retried in vain, or is not the user's, is an Error."""
        if self.forced or self.error is None:
            return self.forced or states.SUCCEEDED
        of_user = isinstance(self.error, PrebakeError) and not self.error.retryable
        return states.FAILED if of_user else states.ERROR

    @property
    def message(self) -> str:
        """The state in a sentence."""
        if self.built:
            return self.built.summary()
        return self.error.sentence if isinstance(self.error, PrebakeError) else str(self.error or self.forced)


def finish(attempt: Attempt, outcome: Outcome) -> State[Any]:
    """Write the record; returns the state that the flow ends in.

    If the server cannot be told, the process leaves: the run is taken up when it is back, and all is built.
    """
    attempt.ending.acquire()
    try:
        keep_record(attempt.api, attempt.id, _record(attempt, outcome))
    except Unreachable:
        leave()
    send_all()
    kind, name = _TYPES[outcome.state]
    return State(type=StateType(kind), name=name, message=outcome.message)


def force(attempt: Attempt, outcome: Outcome) -> None:
    """End the run from outside its flow."""
    keep_record(attempt.api, attempt.id, _record(attempt, outcome))
    send_all()
    kind, name = _TYPES[outcome.state]
    set_state(attempt.api, attempt.id, {"type": kind, "name": name, "message": outcome.message})


def set_state(api: Api, run: str, state: Mapping[str, str]) -> None:
    """Put a run into `state`, whatever Prefect's rules say."""
    api.post(f"/flow_runs/{run}/set_state", {"state": dict(state), "force": True})


def keep_record(api: Api, run: str, record: RunRecord) -> None:
    """Keep what stays of a run."""
    api.post("/artifacts/", {"type": ARTIFACT, "data": record.to_json(), "flow_run_id": run})


def _record(attempt: Attempt, outcome: Outcome) -> RunRecord:
    seconds = {
        "queued": round(attempt.queued, 3),
        "run": round(attempt.seconds(), 3),
        "steps": attempt.pieces.seconds(),
    }
    if outcome.built:
        image = _image(Reference.parse(outcome.built.reference))
        base = _image(outcome.built.image.base.reference)
        dependencies = (Dependency(image, base),)
        return RunRecord(outcome.state, (image,), dependencies, seconds, outcome.built.to_json())
    error, analysis = outcome.error, analyse(outcome.error) if outcome.error else None
    told = error.to_json() if isinstance(error, PrebakeError) else None
    return RunRecord(outcome.state, seconds=seconds, error=told, analysis=analysis)


def _image(pinned: Reference) -> Image:
    return Image(pinned.registry, pinned.repository, pinned.tag or "", str(pinned.digest))
