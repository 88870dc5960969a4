"""What a submission would do: packages are solved, but nothing is built, copied or recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PrebakeError
from ..preview import MISS, preview
from ..wiring import Request
from .environments import with_environment
from .places import CODE, Place, command_line, in_job_root, in_place
from .store import JobStore

if TYPE_CHECKING:
    from ...config.definition import Environment
    from ...config.job import Job
    from ..progress import Progress
    from ..wiring import Workspace
    from .record import Target

_ID = "JOB"


@dataclass(frozen=True)
class Intended:
    """A job that was not submitted; `layers` tells what is there, or why that cannot be known just now."""

    job: Job
    reference: str
    target: str
    command: str
    places: tuple[Place, ...]
    layers: str

    @property
    def kind(self) -> str:
        """Azure ML's word for the environment."""
        assert self.job.environment
        return self.job.environment.kind

    @property
    def not_local(self) -> tuple[str, ...]:
        """Addresses that a real run would refuse."""
        inputs = (each.remote for each in self.job.inputs)
        return tuple(filter(None, (*inputs, *(each.remote for each in self.job.outputs))))

    def to_json(self) -> dict[str, Any]:
        """The object that `submit --dry-run --json` prints."""
        return {
            "target": self.target,
            "environment": self.reference or "anonymous",
            "kind": self.kind,
            "layers": self.layers,
            "command": self.command,
            "code": str(self.job.code) if self.job.code else None,
            "environment_variables": dict(self.job.environment_variables),
            "data": [
                {"name": place.stands_for, "source": str(place.source), "target": place.target}
                for place in self.places
            ],
            "not_local": list(self.not_local),
            "resources": vars(self.job.resources),
            "timeout": self.job.timeout,
        }

    def __str__(self) -> str:
        place = CODE if self.target == "docker" else "its copy in the job's folder"
        lines = [
            f"target       {self.target}",
            f"environment  {self.reference or 'anonymous'}, {self.kind}",
            f"layers       {self.layers}",
            f"code         {self.job.code} at {place}" if self.job.code else "code         none",
            *(f"variable     {name}={value}" for name, value in self.job.environment_variables),
            *(f"{place.stands_for:<12} {place.source} at {place.target}" for place in self.places),
            *(f"not local    {address}" for address in self.not_local),
            f"command      {self.command.rstrip()}",
        ]
        return "\n".join(lines)


def intend(job: Job, target: Target, policy: str, workspace: Workspace, progress: Progress) -> Intended:
    """What submitting would do. Raises DefinitionError, SettingsError, SolveError."""
    job = with_environment(job, workspace, progress)
    assert job.environment
    reference = f"azureml:{job.environment.title}" if job.environment.registered else ""
    folder = JobStore(workspace.settings.store).folder(_ID)
    places = in_place(job, folder) if target.kind == "local" else in_job_root(job, folder)
    layers = _layers(job.environment, policy, workspace, progress)
    return Intended(job, reference, target.kind, command_line(job, places), places, layers)


def _layers(environment: Environment, policy: str, workspace: Workspace, progress: Progress) -> str:
    """How many are there; a registry or channel that does not answer makes a dry run no less useful."""
    try:
        found = preview(environment, Request(policy=policy), workspace, progress).layers
    except PrebakeError as error:
        if not error.retryable:
            raise
        return f"not known: {error.sentence} ({', '.join(error.facts.values())})"
    there = sum(layer.outcome != MISS for layer in found)
    return (
        f"hit: all {len(found)} are there"
        if there == len(found)
        else f"{len(found) - there} of {len(found)} to build"
    )
