"""A job whose environment a worker built: its image has the packages of a local run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import prebake
from conftest import SampleWorld
from prebake import Target
from prebake.flows.jobs.record import Record
from prebake.flows.jobs.store import JobStore
from prebake.flows.progress import Silent
from prebake.flows.runs.remote import result
from prebake.flows.runs.submission import Order, Terms
from prebake.flows.runs.submitting import submit
from prebake.flows.wiring import Request, Workspace, open_workspace
from world.prefect import prefect, worker
from world.services import free_port

from .conftest import write_job


def versions(record: Record, workspace: Workspace) -> dict[str, str]:
    folder = JobStore(workspace.settings.store).folder(record.id)
    assert record.exit_code == 0, (folder / "log.txt").read_text()
    found: dict[str, str] = json.loads((folder / "outputs/model/versions.json").read_text())
    return found


def test_a_worker_builds_and_a_container_runs(world: SampleWorld, tmp_path: Path) -> None:
    job = prebake.load_job(write_job(tmp_path / "iris", world.registry))
    assert job.environment
    team = {"PREBAKE_WORKSPACE": f"{world.registry}/{tmp_path.name}/cache", "DOCKER_HOST": world.docker}

    def machine(name: str, **more: str) -> dict[str, Any]:
        return world.environ(tmp_path / name / "store") | team | {"PATH": "/usr/bin:/bin"} | more

    with (
        prefect(tmp_path / "prefect", free_port()) as api,
        worker(machine("worker", PREBAKE_PREFECT_API=api), tmp_path / "worker.log"),
    ):
        own = open_workspace(machine("own", PREBAKE_PREFECT_API=api), tmp_path)
        built = result(submit(Order(job.environment, None, Request(), Terms()), own, Silent()), own, Silent())
    ran = prebake.submit(job, workspace=own)
    assert (ran.outcome, built["digest"] in ran.image) == ("hit", True)
    alone = open_workspace(machine("alone", PREBAKE_WORKSPACE=""), tmp_path)
    here = prebake.submit(replace(job), target=Target("local"), workspace=alone)
    assert versions(ran, own) == versions(here, alone)
