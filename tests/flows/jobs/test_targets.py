"""One job, trained for real in a container and from a prefix: the same packages, the same weights."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

import prebake
from conftest import SampleWorld
from prebake import Job, Target
from prebake.builders.docker import connect
from prebake.config.job import Resources
from prebake.flows.jobs.in_container import LABEL
from prebake.flows.jobs.record import ENDED, Record
from prebake.flows.jobs.store import JobStore
from prebake.flows.jobs.submit import cancel
from prebake.flows.wiring import Workspace

from .conftest import write_job

DEADLINE = 60.0
FOR_EVER = "echo begun; trap 'exit 3' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def client(world: SampleWorld) -> Iterator[docker.DockerClient]:
    with connect(world.docker) as opened:
        yield opened


@pytest.fixture(scope="module")
def job(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return prebake.load_job(write_job(tmp_path_factory.mktemp("job") / "iris", world.registry))


@pytest.fixture(scope="module")
def ended(job: Job, engine: Workspace) -> dict[str, Record]:
    """The job, run each way."""
    ways = {"docker": Target(), "local": Target("local"), "layered": Target(layered=True)}
    return {name: prebake.submit(job, target=way, workspace=engine) for name, way in ways.items()}


def _folder(record: Record, engine: Workspace) -> Path:
    return JobStore(engine.settings.store).folder(record.id)


def _log(record: Record, engine: Workspace) -> str:
    return (_folder(record, engine) / "log.txt").read_text()


@pytest.mark.parametrize("way", ["docker", "local", "layered"])
def test_a_model_is_trained(way: str, ended: dict[str, Record], engine: Workspace) -> None:
    record = ended[way]
    assert (record.state, record.exit_code) == ("Completed", 0), _log(record, engine)
    assert "accuracy 0.967 hello noted\n" in _log(record, engine)
    assert "python (3, 11)\n" in _log(record, engine)


def test_all_ways_have_the_same_packages_and_the_same_result(
    ended: dict[str, Record], engine: Workspace
) -> None:
    for file in ("versions.json", "weights.json"):
        texts = {(_folder(record, engine) / "outputs/model" / file).read_text() for record in ended.values()}
        assert len(texts) == 1
    versions = json.loads((_folder(ended["local"], engine) / "outputs/model/versions.json").read_text())
    lock = (_folder(ended["docker"], engine) / "conda-lock.yml").read_text()
    for name in ("scikit-learn", "numpy", "scipy"):
        assert f"- name: {name}\n  version: {versions[name]}\n" in lock
    assert len({record.lock for record in ended.values()}) == 1
    assert len({record.code for record in ended.values()}) == 1


def test_the_log_of_a_miss_begins_with_the_build(ended: dict[str, Record], engine: Workspace) -> None:
    assert ended["docker"].outcome == "built"
    log = _log(ended["docker"], engine)
    assert log.index("solving conda packages") < log.index("built ") < log.index("accuracy")


def test_the_catalog_remembers_what_an_anonymous_environment_came_to(
    ended: dict[str, Record], engine: Workspace
) -> None:
    record = ended["docker"]
    version = engine.catalog.get(record.order.reference)
    [known] = {each.image: each for each in engine.catalog.records(version)}.values()
    assert known.image in record.image
    assert "scikit-learn" in known.lock


def test_a_hit_starts_at_once(job: Job, ended: dict[str, Record], engine: Workspace) -> None:
    again = prebake.submit(replace(job, command="python -V"), workspace=engine)
    assert (again.outcome, again.image) == ("hit", ended["docker"].image)
    assert _log(again, engine).startswith("Python 3.11")


def test_an_image_with_the_code_needs_nothing_else(
    job: Job, ended: dict[str, Record], engine: Workspace, client: docker.DockerClient
) -> None:
    name = ended["layered"].image.partition("@")[0]
    said = client.containers.run(
        name, ["cat", "train.py"], remove=True, network_mode="host", working_dir="/job/code"
    )
    assert said.decode() == (job.code / "train.py").read_text()  # type: ignore[operator]
    below = client.images.get(ended["docker"].image.partition("@")[0]).attrs["RootFS"]["Layers"]
    assert client.images.get(name).attrs["RootFS"]["Layers"][:-1] == below
    again = prebake.submit(job, target=Target(layered=True), workspace=engine)
    assert again.image == ended["layered"].image


def test_an_image_with_the_code_is_pushed_for_other_nodes(
    job: Job, world: SampleWorld, engine: Workspace, client: docker.DockerClient
) -> None:
    target = Target(layered=True, push=f"{world.registry}/jobs/iris:v1")
    ended = prebake.submit(replace(job, command="true"), target=target, workspace=engine)
    assert ended.image.startswith(f"{world.registry}/jobs/iris:v1@sha256:")
    for tag in [f"prebake/job-code:{each}" for each in _tags(client, "prebake/job-code")]:
        client.images.remove(tag, force=True)
    name, _, digest = ended.image.partition("@")
    client.images.pull(f"{name.rpartition(':')[0]}@{digest}")
    said = client.containers.run(ended.image, ["ls", "/job/code"], remove=True, network_mode="host")
    assert said.split() == [b"outputs", b"train.py"]


def _tags(client: docker.DockerClient, name: str) -> list[str]:
    return [tag.rpartition(":")[2] for image in client.images.list(name) for tag in image.tags]


def _running(job: Job, engine: Workspace) -> Record:
    """A job that has begun its command and would go on for ever."""
    begun = prebake.submit(replace(job, command=FOR_EVER), wait=False, workspace=engine)
    deadline = time.monotonic() + DEADLINE
    while "begun" not in _log(begun, engine):
        assert time.monotonic() < deadline, _log(begun, engine)
        time.sleep(0.05)
    return JobStore(engine.settings.store).read(begun.id)


def _ended(record: Record, state: str, engine: Workspace) -> Record:
    deadline = time.monotonic() + DEADLINE
    while (found := JobStore(engine.settings.store).read(record.id)).state != state:
        assert time.monotonic() < deadline and found.state not in ENDED, found
        time.sleep(0.05)
    return found


def _containers(record: Record, client: docker.DockerClient) -> int:
    return len(client.containers.list(all=True, filters={"label": f"{LABEL}={record.id}"}))


@pytest.mark.usefixtures("ended")
def test_cancel_removes_the_container(job: Job, engine: Workspace, client: docker.DockerClient) -> None:
    running = _running(job, engine)
    assert _containers(running, client) == 1
    assert cancel(running.id, engine).state == "Canceled"
    assert _containers(running, client) == 0


@pytest.mark.usefixtures("ended")
def test_what_a_killed_process_left_is_removed(
    job: Job, engine: Workspace, client: docker.DockerClient
) -> None:
    running = _running(job, engine)
    assert running.runner
    os.kill(running.runner.pid, signal.SIGKILL)
    _ended(running, "Failed", engine)
    assert _containers(running, client) == 1
    cancel(running.id, engine)
    assert _containers(running, client) == 0


@pytest.mark.usefixtures("ended")
def test_a_container_ends_at_its_limit(job: Job, engine: Workspace, client: docker.DockerClient) -> None:
    ended = prebake.submit(replace(job, command=FOR_EVER, timeout=1), workspace=engine)
    assert (ended.state, ended.exit_code) == ("Failed", 3)
    assert "longer than its limit of 1 s" in ended.error
    assert _containers(ended, client) == 0


@pytest.mark.usefixtures("ended")
def test_resources_reach_the_container(job: Job, engine: Workspace) -> None:
    command = "df -k /dev/shm | tail -1; echo x >> ${{inputs.note}}"
    asked = replace(job, command=command, resources=Resources(shm_size="32m", network="host"))
    ended = prebake.submit(asked, workspace=engine)
    assert " 32768 " in _log(ended, engine)
    assert ended.exit_code != 0, "inputs are read-only"


def test_dry_run_builds_nothing(job: Job, world: SampleWorld, tmp_path: Path) -> None:
    from prebake.flows.jobs.preview import intend
    from prebake.flows.progress import Silent
    from prebake.flows.wiring import open_workspace

    machine = open_workspace(world.environ(tmp_path / "store"), tmp_path)
    intended = intend(job, Target(), "", machine, Silent())
    assert intended.layers.endswith("to build")
    assert "--c 0.5 --note /job/inputs/note/note.txt --out /job/outputs/model" in intended.command
    assert "hint" not in str(intended)
    assert not (tmp_path / "store/jobs").exists()
    assert not list((tmp_path / "store").glob("traces/conda*"))
