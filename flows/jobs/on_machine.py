"""Target `local`: the environment's prefix in the local store, shared by all jobs that have the same lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...builders.local import activated, ensure_prefix, prefix_folder
from ...builders.resolve import resolve
from ...errors import DefinitionError
from ..wiring import Request
from .places import command_line, in_place, make_outputs, variables
from .process import ProcessGroup, stop_orphan
from .ready import BUILT, HIT, Ready

if TYPE_CHECKING:
    from pathlib import Path

    from ..wiring import Workspace
    from .log import Log
    from .record import Record


NOTE = "process.json"


def clear(folder: Path) -> None:
    """Stop the command of a job whose own process is gone, if it is still there."""
    stop_orphan(folder / NOTE)


def prepare(record: Record, folder: Path, workspace: Workspace, log: Log) -> Ready:
    """Install the prefix unless it is there. Raises what `resolve` and `ensure_prefix` do."""
    job, order = record.order.job, record.order
    assert job.environment
    world = workspace.world(Request(policy=order.policy), log.step)
    resolved = resolve(job.environment, world, workspace.recipe.prefix)
    if resolved.lock is None:
        raise DefinitionError(
            "an image cannot run without an image",
            facts={"environment": job.environment.title},
            hint="choose the target docker, or declare conda packages",
        )
    found = prefix_folder(resolved.lock, world).exists()
    prefix = ensure_prefix(resolved.lock, world)
    places = in_place(job, folder)
    make_outputs(places)
    command = ("/bin/sh", "-c", command_line(job, places))
    environ = dict(workspace.environ) | resolved.variables | variables(job)
    arguments, environ = activated(prefix, command, environ)
    group = ProcessGroup(arguments, environ, folder / "code", folder / NOTE)
    return Ready(
        HIT if found else BUILT, resolved.lock, lambda: group.run(log.streams), group.stop, prefix=str(prefix)
    )
