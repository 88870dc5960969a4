"""The environment of a job and the catalog: what a reference names, and a reference for what has none."""

from __future__ import annotations

from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.catalog.reference import parse
from ...config.job_file import is_file
from ...config.load import load

if TYPE_CHECKING:
    from ...config.definition import Environment
    from ...config.job import Job
    from ..wiring import Workspace


def find(text: str, image: str | None, workspace: Workspace) -> tuple[Environment, str]:
    """The environment in a file, on base `image` if given, or of a reference; and that, if it has one.

    Raises DefinitionError, SettingsError for what names nothing.
    """
    if is_file(text) or Path(text).is_file():
        return load(Path(text.removeprefix("file:")), image=image), ""
    version = workspace.catalog_of(parse(text).registry).get(text)
    return version.environment, f"azureml:{version.title}"


def with_environment(job: Job, workspace: Workspace) -> tuple[Job, str]:
    """The job with its environment, and that one's reference; one that is not registered gets none.

    Raises SettingsError for a reference that names nothing.
    """
    if job.environment:
        return job, job.reference
    environment, reference = find(job.reference, None, workspace)
    return replace(job, environment=environment), reference


def registered(job: Job, workspace: Workspace) -> tuple[Job, str]:
    """The same; an environment that is not registered is, anonymously, as Azure ML does at submission."""
    job, reference = with_environment(job, workspace)
    if reference:
        return job, reference
    assert job.environment
    version = workspace.catalog.register(job.environment, asked_by=getuser(), anonymous=True)
    return job, f"azureml:{version.title}"
