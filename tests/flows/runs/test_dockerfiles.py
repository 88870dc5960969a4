"""Dockerfiles in remote runs: the context travels, the worker's engine builds, cancel leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

import prebake
from conftest import SampleWorld
from prebake.builders.docker import connect
from prebake.flows.destination import Destination
from prebake.flows.progress import Silent
from prebake.flows.runs import client, states
from prebake.flows.runs.client import Run
from prebake.flows.runs.submission import Order, Terms
from prebake.flows.runs.submitting import submit
from prebake.flows.wiring import Request
from world.prefect import worker

from .conftest import Site, site_at, until


@pytest.fixture(scope="module")
def works(world: SampleWorld, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a worker that has an engine."""
    folder = tmp_path_factory.mktemp("engine")
    own = {"DOCKER_HOST": world.docker, "PREBAKE_DOCKER_NETWORK": "host"}
    with site_at(world, folder, server) as site, worker(site.environ | own, folder / "worker.log"):
        yield site


@pytest.fixture
def engine(world: SampleWorld) -> Iterator[docker.DockerClient]:
    with connect(world.docker) as opened:
        yield opened


def submitted(works: Site, folder: Path, *lines: str) -> Run:
    """A run of a Dockerfile, whose context is gone as soon as it is submitted."""
    context = folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("\n".join([f"FROM {works.tiny.base}", *lines]) + "\n")
    (context / "note.txt").write_text("from afar")
    (folder / "env.yml").write_text("build: {path: context}\n")
    to = Destination.parse(f"{works.tiny.registry}/dockerfiles/{folder.name.replace('_', '-')}:v1")
    order = Order(prebake.load(folder / "env.yml"), None, Request(to), Terms())
    run = submit(order, works.workspace, Silent()).run
    context.rename(folder / "elsewhere")
    assert run
    return run


def test_it_is_built_by_the_workers_engine(works: Site, tmp_path: Path) -> None:
    run = submitted(works, tmp_path, "COPY note.txt /", "RUN cat note.txt > copy.txt && echo heard the copy")
    state, record = works.end(run)
    assert state == states.SUCCEEDED, record
    assert "heard the copy" in works.log(run)
    assert prebake.verify(run.to, workspace=works.workspace).ok


def test_what_fails_in_it_is_the_users_error(works: Site, tmp_path: Path) -> None:
    run = submitted(works, tmp_path, "RUN echo words; exit 3")
    state, record = works.end(run)
    assert state == states.FAILED
    assert record.error and record.error["type"] == "EngineError"
    assert record.analysis and record.analysis.hint


def test_cancel_ends_its_containers(works: Site, tmp_path: Path, engine: docker.DockerClient) -> None:
    run = submitted(works, tmp_path, "RUN sleep 4000")
    until(sleeping, bool)
    assert client.cancel(works.api, run, patience=60).state == states.CANCELED
    until(sleeping, lambda found: not found)
    until(engine.containers.list, lambda found: not found)


def sleeping() -> list[str]:
    """Processes of the container, wherever it is: BuildKit's are no containers to the engine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", b"4000"]:
            found.append(folder.name)
    return found


def test_the_same_context_again_is_the_same_run(works: Site, tmp_path: Path) -> None:
    run = submitted(works, tmp_path, "COPY note.txt /")
    works.end(run)
    (tmp_path / "elsewhere").rename(tmp_path / "context")
    to = Destination.parse(run.to)
    order = Order(prebake.load(tmp_path / "env.yml"), None, Request(to), Terms())
    again = submit(order, works.workspace, Silent())
    assert again.run is None or again.run.id == run.id
    changed = replace(order, environment=prebake.load(tmp_path / "env.yml"))
    (tmp_path / "context/note.txt").write_text("another")
    other = submit(changed, works.workspace, Silent()).run
    assert other and other.id != run.id
