"""Remote runs on a real server, built by a real worker's processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import SampleWorld
from prebake.cache.reference import Reference
from prebake.flows.runs import client, states
from prebake.flows.runs.attempt import run_lease
from world.faults import Fault
from world.prefect import worker

from .conftest import Site, site_at, until


@pytest.fixture(scope="module")
def works(tiny: SampleWorld, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a worker."""
    folder = tmp_path_factory.mktemp("works")
    with site_at(tiny, folder, server) as site, worker(site.environ, folder / "worker.log"):
        yield site


def test_a_run_ends_with_image_dependencies_and_log(works: Site) -> None:
    run = works.submit("part-a", "part-b")
    state, record = works.end(run)
    assert state == record.state == states.SUCCEEDED
    image, dependency = record.images[0], record.dependencies[0]
    pushed = works.workspace.registries.head(Reference.parse(run.to))
    assert str(pushed) == image.digest
    assert f"{image.registry}/{image.repository}:{image.tag}" == run.to
    assert dependency.image == image
    assert (dependency.base.repository, dependency.base.tag) == ("debian", "12")
    assert {"solve: conda", "conda: part-a", "assemble", f"push: {run.to}"} <= set(record.seconds["steps"])
    assert "pushing" in works.log(run)
    assert works.states(run) == ["Queued", "Started", "Running", "Succeeded"]


def test_its_steps_are_task_runs_and_its_layers_a_table(works: Site) -> None:
    run = works.submit("part-c")
    works.end(run)
    sought = {"flow_runs": {"id": {"any_": [run.id]}}}
    tasks = {each["name"] for each in works.api.post("/task_runs/filter", sought)}
    assert {"solve: conda", "conda: part-c", "assemble"} <= tasks
    artifacts = {each["type"]: each for each in works.api.post("/artifacts/filter", sought)}
    assert {"table", "markdown", "run-record"} == set(artifacts)
    assert "conda: part-c" in artifacts["table"]["data"]


def test_the_log_is_live_and_cancel_ends_the_process(works: Site) -> None:
    works.slow()
    run = works.submit("part-d")
    works.logged(run, "conda: part-d", "pushing")
    assert client.read(works.api, run).state == states.RUNNING
    ended = client.cancel(works.api, run)
    assert ended.state == states.CANCELED
    assert works.end(run)[1].state == states.CANCELED
    until(lambda: works.workspace.leases.holder(run_lease(run.id)), lambda holder: holder is None)


def test_a_users_error_is_not_tried_again(works: Site, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text("channels: [conda-forge]\ndependencies: [python=3.11, no-such-part]\n")
    run = works.submit_file(file)
    state, record = works.end(run)
    assert state == record.state == states.FAILED
    assert record.error and record.error["type"] == "SolveError"
    assert record.analysis and record.analysis.cause == "conda package not found"
    assert "no-such-part" in record.analysis.evidence
    assert record.analysis.hint == record.error["hint"]
    assert "trying again" not in works.log(run)


def test_an_infrastructure_error_is_tried_again(works: Site) -> None:
    works.channel.faults.append(Fault(lambda seen: "/part-f-" in seen.path, status=503, times=4))
    run = works.submit("part-f")
    state, record = works.end(run)
    assert state == states.SUCCEEDED, record
    assert "trying again" in works.log(run)
    assert works.states(run).count("Running") == 1


def test_a_time_out_names_the_step(works: Site) -> None:
    works.slow()
    run = works.submit("part-g", step_timeout=3)
    state, record = works.end(run)
    assert state == record.state == states.TIMEOUT
    assert record.error and record.error["facts"]["step"] == f"push: {run.to}"
    assert record.analysis and "push" in record.analysis.evidence
