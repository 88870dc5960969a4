"""Tasks in a real engine: their containers need the host's network there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from prebake.builders.docker import connect
from prebake.builders.docker_task_room import LABEL, RoomPlan
from prebake.config.task_file import Given, read_task
from prebake.flows.tasks.runner import Terms, run_task
from prebake.flows.tasks.states import State, TaskRun


@dataclass
class Played:
    """A run, and what its log said."""

    run: TaskRun
    log: list[str] = field(default_factory=list)

    @property
    def states(self) -> dict[str, State]:
        return {step.id: step.state for step in self.run.steps}

    def said(self, step_id: str) -> list[str]:
        """The lines of a step's container."""
        mark = f" [{step_id}] "
        return [line.partition(mark)[2] for line in self.log if mark in line]


@pytest.fixture(scope="session")
def engine(world: Any) -> Iterator[docker.DockerClient]:
    with connect(world.docker) as opened:
        yield opened


@pytest.fixture
def play(world: Any, engine: docker.DockerClient, tmp_path: Path) -> Iterator[Callable[..., Played]]:
    """`play(text, terms, tag="v1")` runs a task; nothing of it may be left in the engine."""
    ids = iter(range(100))

    def run(
        text: str, terms: Terms | None = None, *, plan: dict[str, Any] | None = None, **more: Any
    ) -> Played:
        run_id = f"{tmp_path.name.lower().replace('_', '-')}-{next(ids)}"
        file = tmp_path / "task.yaml"
        file.write_text(text)
        values = {"base": world.base} | more
        facts = {"ID": run_id, "Registry": world.registry}
        environ = {"TOKEN": "hunter2-token"}
        chosen = {"network": "host", "context": None, "connect": partial(connect, world.docker)}
        log: list[str] = []
        task = read_task(file, Given(facts, values, environ))
        try:
            return Played(
                run_task(task, RoomPlan(run_id, **chosen | (plan or {})), terms or Terms(), log.append), log
            )
        finally:
            assert left(engine, run_id) == []

    yield run


def left(engine: docker.DockerClient, run_id: str) -> list[Any]:
    asked: Any = {"label": f"{LABEL}={run_id}"}
    return [
        *engine.containers.list(all=True, filters=asked, ignore_removed=True),
        *engine.volumes.list(filters=asked),
        *engine.networks.list(filters=asked),
    ]
