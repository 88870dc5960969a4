"""The environment's lock as a `conda-lock.yml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..builders.resolve import resolve
from ..errors import DefinitionError

if TYPE_CHECKING:
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace


def lock_text(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> str:
    """What conda-lock renders and installs. Raises DefinitionError when there is nothing to lock."""
    from ..builders.condalock import to_conda_lock

    if environment.definition.conda is None:
        facts = {"environment": environment.title}
        raise DefinitionError("there is nothing to lock", facts=facts, hint="add a conda file or a pip list")
    resolved = resolve(environment, workspace.world(request, progress.step), workspace.recipe.prefix)
    assert resolved.lock
    return to_conda_lock(resolved.lock, environment.source.name if environment.source else environment.title)
