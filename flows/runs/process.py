"""The process of an attempt at a run: what `launch` starts.

Not `python -m prefect.engine`, which logs a run that fails a second time, with a traceback of its own.
"""

from __future__ import annotations

import os
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.engine import handle_engine_signals
from prefect.flow_engine import run_flow

from .flow import build_environment


def main() -> None:
    """Run the flow of the run that the environment names."""
    run_id = UUID(os.environ["PREFECT__FLOW_RUN_ID"])
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    with handle_engine_signals(run_id):
        run_flow(build_environment, flow_run=run, return_type="state")


if __name__ == "__main__":
    main()
