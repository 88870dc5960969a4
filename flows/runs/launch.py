"""What a worker starts for a run: the flow in a process and session of its own, of which nothing is left.

    python -m prebake.flows.runs.launch        # the run's id is in PREFECT__FLOW_RUN_ID

It always exits with 0: told otherwise, the worker would call the run crashed, while a run whose process
died is to be taken up by another (see `takeover`). SIGTERM is passed on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_GRACE_SECONDS = 10.0
_OWN = {
    # What a run ends in is told over four minutes; a server that restarts must not cost a finished build.
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    # The log goes to the server alone: a thread that logs to the pipe of a worker that died would end there.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
_WORKERS_OWN = ("PREFECT__CONTROL_PORT", "PREFECT__CONTROL_TOKEN")  # `watch` does what they are for


def main() -> int:
    """Run the flow and clean up after it."""
    inherited = {name: value for name, value in os.environ.items() if name not in _WORKERS_OWN}
    command = [sys.executable, "-m", "prebake.flows.runs.process"]
    flow = subprocess.Popen(command, env=inherited | _OWN, start_new_session=True)
    asked_to_end = False

    def pass_on(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        flow.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    while flow.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            flow.wait(_GRACE_SECONDS)
            break
        if asked_to_end:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(flow.pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
