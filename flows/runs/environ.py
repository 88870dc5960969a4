"""Prefect's settings for our processes: quiet, patient with its server, at home below the local store.

To be in the environment before Prefect is imported, which reads it then. What the user set stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...cache.files import store_errors

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..wiring import Workspace

_DEFAULTS = {
    # nothing reaches out
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # retries wait 2, 4, 8, 16 s: long enough for a server to start again, short enough to be back soon after
    "PREFECT_CLIENT_MAX_RETRIES": "4",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "CRITICAL",  # what a piece did is told by us
    # a log that is followed is a log of now
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_PREFETCH_SECONDS": "0",
    # runs, with their logs and records, are kept for 30 days
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 86_400),
    # traces and leases are the cache
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def prefect_environ(workspace: Workspace) -> dict[str, str]:
    """Variables to add to the environment."""
    home, api = str(workspace.settings.store / "prefect"), workspace.settings.prefect_api
    ours = _DEFAULTS | {"PREFECT_HOME": home}
    missing = {name: value for name, value in ours.items() if name not in workspace.environ}
    return missing | ({"PREFECT_API_URL": api} if api else {})


def settle(workspace: Workspace, environ: MutableMapping[str, str]) -> None:
    """Put them into a process's environment, and make Prefect's home. Raises StoreError."""
    environ.update(prefect_environ(workspace))
    home = Path(environ["PREFECT_HOME"])
    with store_errors(home):
        home.mkdir(parents=True, exist_ok=True)
