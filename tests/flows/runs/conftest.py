"""One Prefect server for all tests of runs, and sites: a worker, and a channel that can be slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conftest import CONDA_FORGE, SampleWorld
from prebake.config.load import load
from prebake.flows.destination import Destination
from prebake.flows.progress import Silent
from prebake.flows.runs import client, states
from prebake.flows.runs.api import PATIENT, Api, connect
from prebake.flows.runs.client import Run
from prebake.flows.runs.record import RunRecord
from prebake.flows.runs.states import state_of
from prebake.flows.runs.submission import Order, Terms
from prebake.flows.runs.submitting import submit
from prebake.flows.wiring import Request, Workspace, open_workspace
from tiny import SETTINGS, tiny_file
from world import faults
from world.faults import Fault, Proxy
from world.prefect import prefect
from world.services import free_port

T = TypeVar("T")
DEADLINE = 120.0  # for what takes a second on an idle machine
SLOW = 300.0  # an answer that nobody waits for


@dataclass(frozen=True)
class Site:
    """Where runs are submitted and built: a store, a server, channel and registry behind proxies."""

    tiny: SampleWorld
    folder: Path
    server: str
    channel: Proxy
    registry: Proxy

    @property
    def environ(self) -> dict[str, str]:
        return (
            self.tiny.environ(self.folder / "store")
            | SETTINGS
            | {
                "PREBAKE_MIRRORS": f"{CONDA_FORGE}=http://{self.channel.host}/channel",
                "PREBAKE_PREFECT_API": self.server,
                "PREBAKE_LEASE_EXPIRY": "5",
            }
        )

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.environ, self.folder)

    @property
    def api(self) -> Api:
        return connect(self.workspace, PATIENT)

    def slow(self, seconds: float = SLOW) -> None:
        """The next push is slow: its layers are there, its manifest waits."""
        push = Fault(lambda seen: seen.method == "PUT" and "/manifests/" in seen.path, delay=seconds)
        self.registry.faults.append(push)

    def submit(self, *parts: str, **terms: Any) -> Run:
        return self.submit_file(tiny_file(self.folder / "files", parts), **terms)

    def submit_file(self, file: Path, **terms: Any) -> Run:
        to = f"{self.registry.host}/runs/{self.folder.name.replace('_', '-').lower()}:{file.stem}"
        environment = load(file, image=self.tiny.base)
        request = Request(Destination.parse(to))
        order = Order(environment, self.tiny.base, request, Terms(**terms))
        run = submit(order, self.workspace, Silent()).run
        assert run
        return run

    def until(self, run: Run, reached: Callable[[Run], bool]) -> Run:
        return until(lambda: client.read(self.api, run), reached)

    def end(self, run: Run) -> tuple[str, RunRecord]:
        """The state that the run ends in, and its record."""
        ended = self.until(run, lambda now: now.state in states.FINAL)
        record = client.record_of(self.api, ended)
        assert record, ended
        return ended.state, record

    def log(self, run: Run) -> str:
        sought = {"logs": {"flow_run_id": {"any_": [run.id]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(line["message"] for line in self.api.post("/logs/filter", sought))

    def logged(self, run: Run, *words: str) -> str:
        """The log as soon as it holds all of `words`."""
        return until(lambda: self.log(run), lambda text: all(word in text for word in words))

    def states(self, run: Run) -> list[str]:
        """The states that the run went through, the oldest first."""
        found = self.api.get(f"/flow_run_states/?flow_run_id={run.id}")
        found.sort(key=lambda each: each["timestamp"])
        return [state for state, _ in groupby(state_of(each["type"], each["name"]) for each in found)]


def until(look: Callable[[], T], reached: Callable[[T], bool]) -> T:
    """What `look` gives as soon as it is right."""
    deadline = time.monotonic() + DEADLINE
    while not reached(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@contextmanager
def site_at(tiny: SampleWorld, folder: Path, server: str) -> Iterator[Site]:
    upstream = tiny.static.removeprefix("http://")
    with faults.proxy(upstream) as channel, faults.proxy(tiny.registry) as registry:
        yield Site(tiny, folder, server, channel, registry)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server's API."""
    with prefect(tmp_path_factory.mktemp("prefect"), free_port()) as api:
        yield api


@pytest.fixture
def site(tiny: SampleWorld, tmp_path: Path, server: str) -> Iterator[Site]:
    with site_at(tiny, tmp_path, server) as made:
        yield made
