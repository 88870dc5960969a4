"""What is known of a job, as a value: what was submitted, and what became of it.

A record alone is enough to run the job again. Times are Unix seconds.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...config.job import Job  # noqa: TC001  (pydantic reads records by these annotations)

# Azure ML's words.
QUEUED, PREPARING, RUNNING = "Queued", "Preparing", "Running"
COMPLETED, FAILED, CANCELED = "Completed", "Failed", "Canceled"
ENDED = (COMPLETED, FAILED, CANCELED)


@dataclass(frozen=True)
class Target:
    """Where a job runs: in a container (`docker`) or from a prefix on this machine (`local`).

    `layered` puts the code into the image, as a layer of its own, instead of mounting it; `push` is where
    that image goes besides, so that any node can run it by its reference.
    """

    kind: str = "docker"
    layered: bool = False
    push: str = ""


@dataclass(frozen=True)
class Order:
    """What was submitted: `job` with its environment, and under which reference the catalog has that."""

    job: Job
    reference: str
    target: Target = Target()
    policy: str = ""


@dataclass(frozen=True)
class Runner:
    """The process that runs a job; `started` tells it from a later one with the same number."""

    host: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Runner:
        """A process of this machine that is alive."""
        return cls(socket.gethostname(), pid, _started(pid))

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def gone(self) -> bool:
        """Whether it is certain that it runs no more; of other machines nothing is certain."""
        return self.here and (not self.started or _started(self.pid) != self.started)


@dataclass(frozen=True)
class Record:
    """A job. `image` is pinned by digest, `prefix` a folder; `lock` and `code` are digests."""

    id: str
    order: Order
    requested: float
    state: str = QUEUED
    runner: Runner | None = None
    code: str = ""
    outcome: str = ""
    image: str = ""
    prefix: str = ""
    lock: str = ""
    prepared: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    error: str = ""

    def as_seen(self) -> Record:
        """The record, or the truth where it tells none: a process that is killed records nothing."""
        if self.state in ENDED or self.runner is None or not self.runner.gone:
            return self
        return replace(self, state=FAILED, error="the process that ran it is gone; its end was not recorded")

    def to_json(self) -> dict[str, Any]:
        """The object that `jobs show --json` prints."""
        from ...config.catalog.form import to_json

        job, environment = self.order.job, self.order.job.environment
        assert environment
        own = {name: value for name, value in vars(self).items() if name not in ("order", "runner")}
        return own | {
            "display_name": job.display_name,
            "target": self.order.target.kind,
            "environment": {"reference": self.order.reference, "definition": to_json(environment.definition)},
            "command": job.command,
            "code_folder": str(job.code) if job.code else None,
            "environment_variables": dict(job.environment_variables),
            "inputs": {each.name: each.value or str(each.path) for each in job.inputs},
            "outputs": {each.name: str(each.path or f"outputs/{each.name}") for each in job.outputs},
            "pid": self.runner.pid if self.runner else None,
        }


def _started(pid: int) -> str:
    """Boot and clock ticks of its start (proc(5)), or nothing when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] in "ZX":
            return ""
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except OSError:
        return ""


def this_process() -> Runner:
    """The process that asks."""
    return Runner.of(os.getpid())
