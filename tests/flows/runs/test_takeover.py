"""A run whose process dies is taken up by another and goes on from what is built."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from prebake.errors import SettingsError
from prebake.flows.runs import client, states
from prebake.flows.runs.attempt import run_lease
from prebake.flows.runs.client import Run
from prebake.flows.runs.takeover import forget, take_up
from remote import deploy
from world.prefect import worker

from .conftest import Site, until

AT_ONCE = 0.001  # seconds that a lease lives, for one who does not wait


@pytest.fixture
def submitted(site: Site) -> Run:
    """A run that no worker takes."""
    with suppress(SettingsError):  # a worker did it before
        deploy(site.api)
    return site.submit("part-a")


def put(site: Site, run: Run, kind: str) -> None:
    site.api.post(f"/flow_runs/{run.id}/set_state", {"state": {"type": kind}, "force": True})


def test_another_worker_takes_up_what_a_killed_one_left(site: Site) -> None:
    site.slow()
    with worker(site.environ, site.folder / "first.log") as first:
        run = site.submit("part-a", "part-b")
        site.logged(run, "conda: part-a", "pushing")
        for process in descendants(first.pid):
            os.kill(process, signal.SIGKILL)
    with worker(site.environ, site.folder / "second.log"):
        state, record = site.end(run)
    assert state == states.SUCCEEDED
    assert record.build
    assert {layer["outcome"] for layer in record.build["layers"]} == {"hit-local"}
    assert site.states(run) == [states.QUEUED, states.STARTED, states.RUNNING] * 2 + [states.SUCCEEDED]


def test_a_flow_that_is_killed_alone_is_taken_up_too(site: Site) -> None:
    site.slow()
    with worker(site.environ, site.folder / "worker.log") as process:
        run = site.submit("part-c")
        site.logged(run, "pushing")
        flow = descendants(process.pid)[-1]
        os.kill(flow, signal.SIGKILL)
        assert site.end(run)[0] == states.SUCCEEDED


def test_a_worker_that_shuts_down_gives_its_runs_back(site: Site) -> None:
    site.slow()
    with worker(site.environ, site.folder / "worker.log"):
        run = site.submit("part-d")
        site.logged(run, "pushing")
    site.until(run, lambda now: now.state == states.QUEUED)
    with worker(site.environ, site.folder / "worker.log"):
        assert site.end(run)[0] == states.SUCCEEDED


def test_a_run_that_kills_its_processes_ends_as_an_error(site: Site, submitted: Run) -> None:
    leases = site.workspace.leases
    for ended_in in (states.QUEUED, states.QUEUED, states.QUEUED, states.ERROR):
        put(site, submitted, "RUNNING")
        until(lambda: take_up(site.api, leases, AT_ONCE), lambda found: submitted.id in found)
        assert client.read(site.api, submitted).state == ended_in
    record = client.record_of(site.api, submitted)
    assert record and record.analysis and record.analysis.cause == "worker lost"


def test_a_run_whose_process_lives_is_left_alone(site: Site, submitted: Run) -> None:
    put(site, submitted, "RUNNING")
    lease = site.workspace.leases.acquire(run_lease(submitted.id))
    assert lease
    with lease:
        assert take_up(site.api, site.workspace.leases, AT_ONCE) == []
    put(site, submitted, "CANCELLED")


def test_canceling_a_run_without_a_process_ends_it(site: Site, submitted: Run) -> None:
    put(site, submitted, "RUNNING")
    put(site, submitted, "CANCELLING")
    until(lambda: take_up(site.api, site.workspace.leases, AT_ONCE), bool)
    assert client.read(site.api, submitted).state == states.CANCELED


def test_runs_that_ended_long_ago_are_forgotten(site: Site, submitted: Run) -> None:
    put(site, submitted, "COMPLETED")
    forget(site.api, timedelta(days=30))
    assert site.api.get(f"/flow_runs/{submitted.id}")
    forget(site.api, timedelta(0))
    assert site.api.get(f"/flow_runs/{submitted.id}") is None


def descendants(pid: int) -> list[int]:
    """A process and all below it, each after its parent."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in descendants(int(child)))]
