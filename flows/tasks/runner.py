"""Run a task: each step starts when the steps it waits for have ended; the first that fails ends the run.

    run = run_task(task, RoomPlan("r1", Path("context"), connect), Terms(), print)

Steps run in threads of their own, each through `Terms.around`: that is where a flow makes tasks of them.
"""

from __future__ import annotations

import contextvars
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from ...builders.around import Around, directly
from ...builders.docker_task_cmd import last_words
from ...builders.docker_task_room import open_room
from ...builders.stop import Stop, Stopped
from ...errors import EngineError, PrebakeError
from .limits import RUN_TIMEOUT
from .log import mask, masked_error, of_step, stamped
from .states import State, StepRun, TaskRun
from .step import StepFailed, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...builders.docker_task_room import Room, RoomPlan
    from ...config.task import Step, TaskFile
    from .log import Say

_STEP_FAILED, _OUT_OF_TIME, _CANCELED = "a step failed", "the run's time-out", "the run was canceled"


def _nobody(step_id: str, state: State) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Terms:
    """How a run is carried out. `stop` cancels it from elsewhere; `timeout` in seconds."""

    timeout: int = RUN_TIMEOUT
    around: Around = directly
    stop: Stop = field(default_factory=Stop)
    on_state: Callable[[str, State], None] = _nobody


def run_task(task: TaskFile, plan: RoomPlan, terms: Terms, write: Say) -> TaskRun:
    """Run all steps and tell what became of them; `write` gets the log's lines. Steps' errors are not raised.

    Raises what keeps the run from starting: EngineError, Unreachable. An interrupt ends the steps, and is
    raised when nothing is left of them.
    """
    hide = mask(task.hidden)
    say, started = stamped(write, hide), time.monotonic()
    for warning in (*task.warnings, *_too_long(task, terms.timeout)):
        say(f"warning: {warning}")
    try:
        with terms.stop.within(terms.timeout, _OUT_OF_TIME), open_room(task, plan, say) as room:
            runs, error = _run_steps(room, terms, say)
    except PrebakeError as refused:
        raise masked_error(refused, hide) from None
    run = TaskRun(
        plan.run_id,
        tuple(runs[step.id] for step in task.steps),
        time.monotonic() - started,
        _state(error, terms.stop.reason),
        error,
        task.commit,
    )
    _tell(run, say)
    return run


def _too_long(task: TaskFile, timeout: int) -> list[str]:
    """ACR's users are caught by it: https://github.com/Azure/acr-builder/issues/678"""
    longest: dict[str, int] = {}
    steps = {step.id: step for step in task.steps}
    for name in TopologicalSorter({step.id: step.parents for step in task.steps}).static_order():
        before = max((longest[parent] for parent in steps[name].parents), default=0)
        longest[name] = before + steps[name].start_delay + steps[name].timeout
    most = max(longest.values())
    told = f"one after another the steps may take {most} s, the run's time-out of {timeout} s ends them first"
    return [told] if most > timeout and len(steps) > 1 else []


def _run_steps(room: Room, terms: Terms, say: Say) -> tuple[Mapping[str, StepRun], PrebakeError | None]:
    """What became of each step, and the error that ended the run."""
    runs = {step.id: StepRun(step.id, step.action.kind) for step in room.task.steps}
    steps = {step.id: step for step in room.task.steps}
    order = TopologicalSorter({step.id: step.parents for step in room.task.steps})
    order.prepare()
    error: PrebakeError | None = None
    running: set[Future[StepRun]] = set()
    with ThreadPoolExecutor(len(steps), thread_name_prefix="step") as pool:
        try:
            while (order.is_active() and not terms.stop.reason) or running:
                for name in () if terms.stop.reason else order.get_ready():
                    start = contextvars.copy_context().run
                    running.add(pool.submit(start, _run_step, steps[name], room, terms, say))
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for run in (future.result() for future in ended):
                    runs[run.id] = run
                    order.done(run.id)
                    if run.state is State.FAILED and not terms.stop.reason:
                        error = run.error
                        terms.stop.ask(_STEP_FAILED)
        except BaseException:
            terms.stop.ask(_CANCELED)
            raise
    if error:
        _tell_detached(room, runs, say)
    done = all(run.state is State.SUCCESSFUL for run in runs.values())
    return runs, None if done else error or _ended(terms)


def _run_step(step: Step, room: Room, terms: Terms, say: Say) -> StepRun:
    network = room.network(step.container.network)
    say(
        f"Executing step ID: {step.id}. Timeout(sec): {step.timeout}, "
        f"Working directory: '{step.container.folder or ''}', Network: '{network}'"
    )
    terms.on_state(step.id, State.INPROGRESS)
    started = time.monotonic()
    try:
        own = of_step(say, step.id)
        run = terms.around(f"step {step.id}", lambda: perform(step, room, terms.stop, own))
    except StepFailed as failed:
        run = failed.run
    except Stopped as stopped:
        error = EngineError(f"step `{step.id}` was stopped", facts={"reason": stopped})
        run = StepRun(step.id, step.action.kind, State.FAILED, time.monotonic() - started, error)
    terms.on_state(step.id, run.state)
    return run


def _tell_detached(room: Room, runs: Mapping[str, StepRun], say: Say) -> None:
    """What containers in the background said last: the reason may be there."""
    for step in room.task.steps:
        if step.container.detach and runs[step.id].state is State.SUCCESSFUL:
            last_words(step, room, of_step(say, step.id))


def _ended(terms: Terms) -> PrebakeError:
    if terms.stop.reason == _OUT_OF_TIME:
        return EngineError(
            "the run ran out of time", facts={"timeout": f"{terms.timeout} s"}, hint="pass a longer --timeout"
        )
    return EngineError("the run was canceled", facts={"reason": terms.stop.reason})


def _state(error: PrebakeError | None, reason: str) -> str:
    if error is None:
        return "Succeeded"
    return {_STEP_FAILED: "Failed", _OUT_OF_TIME: "Timeout"}.get(reason, "Canceled")


def _tell(run: TaskRun, say: Say) -> None:
    import json

    for step in run.steps:
        say(f"Step ID: {step.id} marked as {step.state} (elapsed time in seconds: {step.seconds:f})")
    if run.dependencies:
        say("The following dependencies were found:")
        say(json.dumps(run.dependencies))
    ended = "was successful" if run.error is None else f"ended as {run.state}"
    say(f"Run ID: {run.id} {ended} after {run.seconds:.0f}s")
