"""The environment of a job and the catalog: what a reference names, and a reference for what has none."""

from __future__ import annotations

from dataclasses import replace
from getpass import getuser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...config.job import Job
    from ..wiring import Workspace


def with_environment(job: Job, workspace: Workspace) -> tuple[Job, str]:
    """The job with its environment, and that one's reference; one that is not registered gets none.

    Raises SettingsError for a reference that names nothing.
    """
    if job.environment:
        return job, ""
    version = workspace.catalog.get(job.reference)
    return replace(job, environment=version.environment), f"azureml:{version.title}"


def registered(job: Job, workspace: Workspace) -> tuple[Job, str]:
    """The same; an environment that is not registered is, anonymously, as Azure ML does at submission."""
    job, reference = with_environment(job, workspace)
    if reference:
        return job, reference
    assert job.environment
    version = workspace.catalog.register(job.environment, asked_by=getuser(), anonymous=True)
    return job, f"azureml:{version.title}"
