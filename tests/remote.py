"""A Prefect server without workers: runs stay where they are put, by the same API that workers use.

with prefect(folder, free_port()) as url:
    api = Api(url)
    deploy(api)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prebake
from prebake.flows.destination import Destination
from prebake.flows.progress import Progress, Silent
from prebake.flows.runs.client import Run, read
from prebake.flows.runs.record import ARTIFACT, Dependency, Image, RunRecord
from prebake.flows.runs.states import STATES
from prebake.flows.runs.submission import DEPLOYMENT, FLOW, LANES, POOL, Order, Terms
from prebake.flows.runs.submitting import Submitted, submit
from prebake.flows.wiring import Request, Workspace, open_workspace
from tiny import SETTINGS

if TYPE_CHECKING:
    from conftest import SampleWorld
    from prebake.flows.runs.api import Api

_PREFECT = {
    "Queued": ("SCHEDULED", "Scheduled"),
    "Started": ("PENDING", "Pending"),
    "Running": ("RUNNING", "Running"),
    "Succeeded": ("COMPLETED", "Completed"),
    "Failed": ("FAILED", "Failed"),
    "Canceled": ("CANCELLED", "Cancelled"),
    "Error": ("CRASHED", "Error"),
    "Timeout": ("FAILED", "Timeout"),
}
assert _PREFECT.keys() == set(STATES)


def deploy(api: Api) -> None:
    """What a worker declares when it starts."""
    api.post("/work_pools/", {"name": POOL, "type": "process", "base_job_template": {}})
    flow = api.post("/flows/", {"name": FLOW})
    api.post(
        "/deployments/",
        {
            "name": DEPLOYMENT,
            "flow_id": flow["id"],
            "work_pool_name": POOL,
            "work_queue_name": LANES[0],
            "enforce_parameter_schema": False,
            "parameter_openapi_schema": {},
        },
    )


def put(api: Api, run: Run, state: str, record: RunRecord | None = None) -> Run:
    """Bring a run into a state, as its worker would."""
    kind, name = _PREFECT[state]
    if record:
        api.post("/artifacts/", {"type": ARTIFACT, "data": record.to_json(), "flow_run_id": run.id})
    api.post(f"/flow_runs/{run.id}/set_state", {"state": {"type": kind, "name": name}, "force": True})
    return read(api, run)


def failed(error: prebake.PrebakeError) -> RunRecord:
    return RunRecord("Failed", error=error.to_json())


def succeeded(reference: str, digest: str, base: str = "", base_digest: str = "") -> RunRecord:
    """The record of a build of `reference` on `base`, both HOST/REPO:TAG."""
    image = _image(reference, digest)
    needs = (Dependency(image, _image(base, base_digest)),) if base else ()
    return RunRecord("Succeeded", (image,), needs, build={"reference": reference, "digest": digest})


def _image(reference: str, digest: str) -> Image:
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    return Image(registry, repository, tag, digest)


@dataclass(frozen=True)
class Desk:
    """A user's machine: a folder, a store of its own, the team's workspace, the server."""

    world: SampleWorld
    folder: Path
    api: str
    registry: str = ""
    more: tuple[tuple[str, str], ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        team = {"PREBAKE_WORKSPACE": f"{self.registry or self.world.registry}/team/cache"}
        own = self.world.environ(self.folder / "store") | SETTINGS | team
        return own | {"PREBAKE_PREFECT_API": self.api} | dict(self.more)

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.environ, self.folder)

    def file(self, parts: str) -> Path:
        """A definition of packages part-a, part-b, ... by their letters."""
        names = ", ".join(["python=3.11", *(f"part-{letter}" for letter in parts)])
        file = self.folder / f"{parts}.yml"
        conda = f"{{channels: [conda-forge], dependencies: [{names}]}}"
        file.write_text(f"image: {self.world.base}\nconda_file: {conda}\n")
        return file

    def order(self, file: Path, to: str | None = None, policy: str = "", **terms: Any) -> Order:
        return Order(prebake.load(file), None, Request(Destination.parse(to), policy), Terms(**terms))

    def submit(
        self, file: Path, to: str | None = None, progress: Progress | None = None, **more: Any
    ) -> Submitted:
        return submit(self.order(file, to, **more), self.workspace, progress or Silent())


def lines(api: Api, run: Run, *messages: tuple[str, str]) -> None:
    """Log (time, message), as processes of the run do."""
    logs = [
        {"name": "run", "level": 20, "message": message, "timestamp": at, "flow_run_id": run.id}
        for at, message in messages
    ]
    api.post("/logs/", logs)
