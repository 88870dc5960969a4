"""Where a job finds its code and data: paths of this machine, or in a container what is mounted there.

>>> from pathlib import Path
>>> from prebake.config.job import Input, Job
>>> job = Job("train --data ${{inputs.data}}", inputs=(Input("data", "uri_file", path=Path("/d/iris.csv")),))
>>> command_line(job, in_job_root(job, Path("/jobs/1")))
'train --data /job/inputs/data/iris.csv'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...cache.files import store_errors
from ...config.job import FILES, fill
from .snapshot import OUTPUTS

if TYPE_CHECKING:
    from pathlib import Path

    from ...config.job import Job, Output

ROOT = "/job"
CODE = f"{ROOT}/code"


@dataclass(frozen=True)
class Place:
    """`source` on this machine is `target` where the command runs; `stands_for` is what names it there.

    `written` tells an output: the folder itself, or a `file` that does not exist yet.
    """

    source: Path
    target: str
    stands_for: str
    written: bool = False
    file: bool = False


def in_place(job: Job, folder: Path) -> tuple[Place, ...]:
    """Inputs and outputs as they are here; `folder` is the job's own."""
    inputs = (Place(each.path, str(each.path), f"inputs.{each.name}") for each in job.inputs if each.path)
    outputs = (_output_place(each, folder) for each in job.outputs)
    return (*inputs, *outputs)


def in_job_root(job: Job, folder: Path) -> tuple[Place, ...]:
    """The same below `/job`."""
    inputs = (
        Place(each.path, f"{ROOT}/inputs/{each.name}/{each.path.name}".rstrip("/"), f"inputs.{each.name}")
        for each in job.inputs
        if each.path
    )
    outputs = (_output_place(each, folder, f"{ROOT}/{OUTPUTS}/{each.name}") for each in job.outputs)
    return (*inputs, *outputs)


def _output_place(output: Output, folder: Path, target: str = "") -> Place:
    """A folder to write to, or a file in one: `path`'s own, or one of the job's."""
    file = output.type in FILES
    own = folder / OUTPUTS / output.name
    source = output.path or (own / output.name if file else own)
    named = f"{target}/{source.name}" if target and file else target or str(source)
    return Place(source, named, f"outputs.{output.name}", written=True, file=file)


def make_outputs(places: tuple[Place, ...]) -> None:
    """Make the folders that the command writes to. Raises StoreError."""
    for place in places:
        if place.written:
            folder, _ = mounted(place)
            with store_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)


def mounted(place: Place) -> tuple[Path, str]:
    """What has to be mounted and where: an output that is a file is mounted with its folder."""
    if place.file:
        return place.source.parent, place.target.rpartition("/")[0]
    return place.source, place.target


def command_line(job: Job, places: tuple[Place, ...]) -> str:
    """The command with everything in its place."""
    literals = {f"inputs.{each.name}": each.value or each.remote for each in job.inputs if not each.path}
    remote = {f"outputs.{each.name}": each.remote for each in job.outputs if each.remote}
    return fill(job.command, literals | {place.stands_for: place.target for place in places} | remote)


def variables(job: Job) -> dict[str, str]:
    """The job's own; output that waits in python's buffers would be no live log."""
    return {"PYTHONUNBUFFERED": "1"} | dict(job.environment_variables)
