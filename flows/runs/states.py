"""The states of a run, in the words of ACR Tasks, and what Prefect calls them.

>>> state_of("SCHEDULED", "AwaitingRetry")
'Queued'
"""

from __future__ import annotations

QUEUED = "Queued"
STARTED = "Started"
RUNNING = "Running"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
CANCELED = "Canceled"
ERROR = "Error"
TIMEOUT = "Timeout"

STATES = (QUEUED, STARTED, RUNNING, SUCCEEDED, FAILED, CANCELED, ERROR, TIMEOUT)
FINAL = frozenset({SUCCEEDED, FAILED, CANCELED, ERROR, TIMEOUT})
_TIMEOUT_NAMES = ("Timeout", "TimedOut")
_OF_TYPE = {
    "SCHEDULED": QUEUED,
    "PAUSED": QUEUED,
    "PENDING": STARTED,
    "RUNNING": RUNNING,
    "CANCELLING": RUNNING,
    "COMPLETED": SUCCEEDED,
    "FAILED": FAILED,
    "CRASHED": ERROR,
    "CANCELLED": CANCELED,
}


def state_of(kind: str, name: str) -> str:
    """The state of a run whose Prefect state has type `kind` and this name."""
    if kind == "FAILED" and name in _TIMEOUT_NAMES:
        return TIMEOUT
    return _OF_TYPE[kind]


def types_of(state: str) -> list[str]:
    """Prefect's types of runs that may be in this state."""
    return [
        kind for kind, known in _OF_TYPE.items() if known == state or (kind, state) == ("FAILED", TIMEOUT)
    ]
