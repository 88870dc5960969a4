"""The flow `build_environment`: a build whose pieces are Prefect task runs.

Prefect shows and orders; what is built once stays built by traces and leases, so a flow may be run again at
any time. `build_here` runs one in this process, `build_environment` is what workers run for a submission.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import flow

from ...builders.context import unpack
from ...config.load import load
from ...errors import PrebakeError
from ..destination import Destination
from ..ensure import ensure
from ..wiring import Request, open_workspace
from .api import connect
from .artifacts import show
from .attempt import Attempt, begin
from .here import run_here
from .log import Logged
from .outcome import Outcome, finish
from .retry import retrying
from .submission import FLOW, LANES, Submission
from .watch import watched

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from ...config.definition import Environment
    from ..built import Built
    from ..progress import Progress
    from ..wiring import Workspace
    from .log import Logger
    from .pieces import Pieces

_GENTLE = 10  # nice of bulk work


def build_here(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Built:
    """Like `ensure`, as a flow run of this process."""
    to = request.destination

    def build(pieces: Pieces, logger: Logger) -> Built:
        built = ensure(environment, replace(request, around=pieces), workspace, Logged(logger, progress))
        show(built, _line(to) or environment.title, logger)
        return built

    return run_here(FLOW, {"definition": environment.title, "to": to.place}, build)


@flow(name=FLOW, persist_result=False, validate_parameters=False)
def build_environment(submission: dict[str, Any]) -> State[Any]:
    """Build what was submitted; the state it ends in is one that `states` reads, and a record is written."""
    asked = Submission.from_json(submission)
    if asked.terms.lane != LANES[0]:
        os.nice(_GENTLE)
    workspace = asked.workspace_of(open_workspace())
    with begin(asked, workspace) as attempt, watched(attempt, connect(workspace)):
        return finish(attempt, _outcome(attempt, workspace))


def _outcome(attempt: Attempt, workspace: Workspace) -> Outcome:
    """Whatever a build may end in, as a value."""
    try:
        return Outcome(built=retrying(lambda: _build(attempt, workspace), attempt.logger))
    except PrebakeError as error:
        attempt.logger.error("%s", error)
        return Outcome(error=error)
    except Exception as error:
        attempt.logger.exception("this is a mistake of prebake's own")
        return Outcome(error=error)


def _build(attempt: Attempt, workspace: Workspace) -> Built:
    asked = attempt.submission
    to = Destination.parse(asked.to)
    request = Request(to, asked.policy, frozenset(asked.allow_sdist), attempt.pieces)
    progress = Logged(attempt.logger)
    with workspace.local.scratch() as scratch:
        folder = scratch / "pack"
        with workspace.store(progress.step).open(asked.pack.digest) as stream:
            unpack(stream, folder)
        environment = load(folder / asked.file, image=asked.image)
        for warning in environment.warnings:
            attempt.logger.warning(warning)
        built = ensure(environment, request, workspace, progress)
    show(built, _line(to), attempt.logger)
    return built


def _line(to: Destination) -> str:
    """The name of all builds for a destination: its repository."""
    return to.reference().name if to.kind == "registry" else to.place
