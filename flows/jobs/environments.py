"""The environment of a job and the catalog: what a reference names, and a reference for what has none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..registered import register, registered

if TYPE_CHECKING:
    from ...config.job import Job
    from ..progress import Progress
    from ..wiring import Workspace


def with_environment(job: Job, workspace: Workspace, progress: Progress) -> Job:
    """The job with the environment its reference names. Raises SettingsError for one that names nothing."""
    if job.environment:
        return job
    return replace(job, environment=registered(job.reference, workspace, progress))


def reference_of(job: Job, workspace: Workspace, progress: Progress) -> str:
    """What names the job's environment; one without a name is registered anonymously, as in Azure ML."""
    assert job.environment
    if job.environment.registered:
        return f"azureml:{job.environment.title}"
    return f"azureml:{register(job.environment, workspace, progress, anonymous=True).title}"
