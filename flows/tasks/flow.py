"""A task as a Prefect flow: a task run per step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import PrebakeError
from ..runs.here import run_here
from .runner import run_task

if TYPE_CHECKING:
    from ...builders.docker_task_room import RoomPlan
    from ...config.task import TaskFile
    from ..runs.log import Logger
    from ..runs.pieces import Pieces
    from .log import Say
    from .runner import Terms
    from .states import TaskRun

FLOW = "run_task"


def run_task_here(task: TaskFile, plan: RoomPlan, terms: Terms, write: Say) -> TaskRun:
    """Like `run_task`, as a flow run of this process, which has the log too."""
    ended: list[TaskRun] = []

    def work(pieces: Pieces, logger: Logger) -> None:
        def say(line: str) -> None:
            logger.info("%s", line)
            write(line)

        ended.append(run_task(task, plan, replace(terms, around=pieces), say))
        if error := ended[0].error:
            raise error

    try:
        run_here(FLOW, {"run": plan.run_id}, work)
    except PrebakeError:
        if not ended:
            raise
    return ended[0]
