"""The prebuild on a schedule: a real Prefect server, a real worker, a run of the deployment."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from building import PREBAKE
from prebake.errors import SettingsError
from prebake.flows.curated.deployment import Schedule, deploy
from prebake.flows.runs.api import Api
from prebake.flows.runs.submission import POOL
from world.prefect import prefect, worker
from world.services import free_port

from .conftest import Desk

DEADLINE = 180.0


def test_workers_prebuild_the_set_on_a_schedule(desk: Desk, tmp_path: Path) -> None:
    desk.define("alpha")
    with prefect(tmp_path / "prefect", free_port()) as url:
        api, desk = Api(url), desk.with_settings(PREBAKE_PREFECT_API=url)
        with pytest.raises(SettingsError, match="there is no pool of workers"):
            deploy(Schedule("0 3 * * *"), api)
        with worker(desk.environ, tmp_path / "worker.log", "--slots", "1", "--express", "0"):
            with pytest.raises(SettingsError, match="Prefect's API refused a request"):
                deploy(Schedule("soon"), api)
            found = serve(desk)
            (schedule,) = api.get(f"/deployments/{found}")["schedules"]
            assert schedule["active"] and schedule["schedule"]["cron"] == "30 2 * * *"
            run = api.post(f"/deployments/{found}/create_flow_run", {"state": {"type": "SCHEDULED"}})
            ended = wait(api, run["id"])
    assert (ended["state_type"], ended["work_queue_name"]) == ("COMPLETED", "curated")
    assert ended["work_pool_name"] == POOL and "1 published" in ended["state"]["message"]
    assert desk.repository("alpha").head("latest")


def serve(desk: Desk) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREBAKE_")}
    command = [PREBAKE, "curated", "serve", "alpha", "--cron", "30 2 * * *", "--json"]
    told = subprocess.run(
        command, env=inherited | desk.environ, cwd=desk.folder, capture_output=True, check=True
    )
    return str(json.loads(told.stdout)["deployment"])


def wait(api: Api, run: str) -> dict[str, object]:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        found = dict(api.get(f"/flow_runs/{run}"))
        if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{run} did not end in {DEADLINE} s")
