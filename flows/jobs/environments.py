"""The environment of a job and the catalog: what a reference names, and a name for what has none."""

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


def entered(job: Job, workspace: Workspace, progress: Progress) -> Job:
    """The job with an environment that the catalog knows and builds of which it remembers.

    One without a name is registered anonymously, as in Azure ML.
    """
    job = with_environment(job, workspace, progress)
    assert job.environment
    if job.environment.registered:
        return job
    version = register(job.environment, workspace, progress, anonymous=True)
    known = replace(job.environment, name=version.name, version=version.version, registered=True)
    return replace(job, environment=known)
