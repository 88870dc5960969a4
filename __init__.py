"""prebake: environment definitions become OCI images, layer by layer.

    import prebake

    environment = prebake.load("env.yml")
    for layer in prebake.plan(environment).layers:
        print(layer.outcome, layer.planned.title)
    built = prebake.ensure(environment, to="registry.example.com/team/vision:v1")
    print(built.reference)

Every verb takes an optional `workspace` (settings, store, connections); without it the one of this
process's environment variables and folder is used. All errors are `PrebakeError`s.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .builders.verify import Report
    from .config.catalog import Version
    from .config.definition import Definition, Environment
    from .config.job import Job
    from .flows.built import Built
    from .flows.jobs.record import Record, Target
    from .flows.preview import Preview
    from .flows.promote import Promoted
    from .flows.version_diff import VersionDiff
    from .flows.wiring import Workspace

__all__ = [
    "Definition",
    "Environment",
    "Job",
    "PrebakeError",
    "Target",
    "diff",
    "ensure",
    "explain",
    "from_conda_file",
    "from_conda_prefix",
    "from_dockerfile",
    "from_image",
    "from_requirements",
    "from_venv",
    "get",
    "load",
    "load_job",
    "lock",
    "open_workspace",
    "plan",
    "promote",
    "register",
    "run",
    "save",
    "submit",
    "verify",
]

_TYPES = {
    "Definition": ".config.definition",
    "Environment": ".config.definition",
    "Job": ".config.job",
    "Target": ".flows.jobs.record",
}


def __getattr__(name: str) -> Any:
    """Types that only some callers name; importing them takes a tenth of a hit."""
    if name not in _TYPES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_TYPES[name], __name__), name)


def load(file: str | Path, *, image: str | None = None) -> Environment:
    """Read an environment, conda or requirements file, or a saved folder; packages alone need an `image`.

    Raises DefinitionError.
    """
    from .config.load import load as load_file

    return load_file(Path(file), image=image)


def from_conda_file(file: str | Path, image: str) -> Environment:
    """A conda file's packages on a base image. Raises DefinitionError."""
    return load(file, image=image)


def from_requirements(file: str | Path, image: str) -> Environment:
    """A requirements file's packages, and a python from conda, on a base image. Raises DefinitionError."""
    return load(file, image=image)


def from_image(image: str) -> Environment:
    """An image as it is. Raises DefinitionError."""
    from .config.load import from_image as make

    return make(image)


def from_dockerfile(dockerfile: str | Path, context: str | Path | None = None) -> Environment:
    """A Dockerfile and the folder it is built in, its own unless given. Raises DefinitionError."""
    from .config.load import from_dockerfile as make

    return make(Path(dockerfile), None if context is None else Path(context))


def from_conda_prefix(image: str, prefix: str | Path | None = None) -> Environment:
    """What the conda environment at `prefix`, else that of this python, holds, on a base image.

    Raises DefinitionError.
    """
    from .config.installed import conda_prefix

    return conda_prefix(Path(prefix or sys.prefix), image)


def from_venv(image: str, prefix: str | Path | None = None) -> Environment:
    """What the virtual environment at `prefix`, else that of this python, holds, on a base image.

    Raises DefinitionError.
    """
    from .config.installed import venv

    return venv(Path(prefix or sys.prefix), image)


def save(environment: Environment, folder: str | Path) -> None:
    """Write an environment to a new folder, from which `load` reads it. Raises DefinitionError."""
    from .config.folder import save as save_it

    save_it(environment, Path(folder))


def register(
    environment: Environment, *, anonymous: bool = False, workspace: Workspace | None = None
) -> Version:
    """Register an environment in the catalog under its name; the same definition again is the same version.

    Raises ConflictError when the name and version stand for another definition.
    """
    from .flows.progress import Silent
    from .flows.registered import register as register_it

    return register_it(environment, workspace or open_workspace(), Silent(), anonymous=anonymous)


def get(reference: str, *, workspace: Workspace | None = None) -> Environment:
    """The registered environment that `name:version` or `name@label` means. Raises SettingsError.

    Whatever it is resolved to from now on is remembered with its version in the catalog.
    """
    from .flows.progress import Silent
    from .flows.registered import registered

    return registered(reference, workspace or open_workspace(), Silent())


def diff(was: str, now: str, *, workspace: Workspace | None = None) -> VersionDiff:
    """What two registered versions differ in: definitions, and what they were resolved to last.

    Solves what was never built. Raises SettingsError.
    """
    from .flows.progress import Silent
    from .flows.version_diff import compare, solved

    workspace = workspace or open_workspace()
    sides = [solved(reference, workspace, Silent()) for reference in (was, now)]
    return compare(sides[0], sides[1], workspace, Silent())


@functools.cache
def open_workspace() -> Workspace:
    """The workspace of this process; made once. Raises SettingsError, StoreError."""
    from .flows.wiring import open_workspace as open_it

    return open_it()


def plan(environment: Environment, *, policy: str = "", workspace: Workspace | None = None) -> Preview:
    """What a build would do, layer by layer; solves, but builds nothing."""
    from .flows.preview import preview
    from .flows.progress import Silent
    from .flows.wiring import Request

    return preview(environment, Request(policy=policy), workspace or open_workspace(), Silent())


def ensure(
    environment: Environment, *, to: str | None = None, policy: str = "", workspace: Workspace | None = None
) -> Built:
    """The image of `environment` at `to` (HOST/REPO:TAG, oci:FOLDER, docker:NAME, or the local store).

    Found if it exists, else built from the layers that nobody has built yet.
    """
    from .flows.destination import Destination
    from .flows.ensure import ensure as ensure_it
    from .flows.progress import Silent
    from .flows.wiring import Request

    request = Request(Destination.parse(to), policy)
    return ensure_it(environment, request, workspace or open_workspace(), Silent())


def lock(environment: Environment, *, policy: str = "", workspace: Workspace | None = None) -> str:
    """The environment's `conda-lock.yml`."""
    from .flows.locking import lock_text
    from .flows.progress import Silent
    from .flows.wiring import Request

    return lock_text(environment, Request(policy=policy), workspace or open_workspace(), Silent())


def explain(environment: Environment, *, workspace: Workspace | None = None) -> dict[str, Any]:
    """Keys of the environment's solves, layers and image, with the canonical inputs they are made of."""
    from .flows.explain import explain as explain_it
    from .flows.progress import Silent
    from .flows.wiring import Request

    return explain_it(environment, Request(), workspace or open_workspace(), Silent())


def verify(reference: str, *, workspace: Workspace | None = None) -> Report:
    """Recompute every digest of the image at HOST/REPO:TAG or oci:FOLDER:TAG."""
    from .flows.progress import Silent
    from .flows.verification import verify as verify_it

    return verify_it(reference, workspace or open_workspace(), Silent())


def promote(environment: Environment, *, workspace: Workspace | None = None) -> Promoted:
    """Copy an environment that was built before to the global tier, which builds only read."""
    from .flows.progress import Silent
    from .flows.promote import promote as promote_it
    from .flows.wiring import Request

    return promote_it(environment, Request(), workspace or open_workspace(), Silent())


def run(
    environment: Environment,
    command: Sequence[str],
    *,
    local: bool = False,
    workspace: Workspace | None = None,
) -> int:
    """Run a command in the environment, in a container or from a local prefix; returns its exit code."""
    from .flows.progress import Silent
    from .flows.run import Command, prepare
    from .flows.wiring import Request

    asked = Command(tuple(command), local)
    return prepare(environment, Request(), asked, workspace or open_workspace(), Silent())()


def submit(
    job: Job, *, target: Target | None = None, wait: bool = True, workspace: Workspace | None = None
) -> Record:
    """Run a job and record it: `Job("python train.py", environment, code=Path("src"))`, or `load_job(file)`.

    It runs in a container unless `target` is `Target("local")`. The record has its id, state, exit code and
    image; with `wait=False` it is that of a job just begun. A command that fails is no error here.
    """
    from .flows.jobs.record import Target
    from .flows.jobs.submit import enter, run_apart, run_here
    from .flows.progress import Silent

    workspace = workspace or open_workspace()
    record = enter(job, target or Target(), "", workspace, Silent())
    return run_here(record, workspace, Silent(), None) if wait else run_apart(record, workspace)


def load_job(file: str | Path) -> Job:
    """Read a command job or component. Raises DefinitionError."""
    from .config.job_file import load_job as load_file

    return load_file(Path(file))
