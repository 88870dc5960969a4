"""One step from start to end: its delay, its time-out, its attempts, what becomes of its errors."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ...builders import docker_task_build, docker_task_cmd, docker_task_push
from ...builders.docker_task_bases import bases
from ...builders.stop import Stop, Stopped
from ...config.task import Build, Command
from ...errors import EngineError, PrebakeError
from .attempts import repeated
from .log import mask, masked_error
from .states import State, StepRun

if TYPE_CHECKING:
    from ...builders.docker_task_room import Room
    from ...config.task import Step
    from .log import Say

_OUT_OF_TIME = "the step's time-out"


class StepFailed(Exception):
    """A step failed; `run` has its error, without secrets, and how long it took."""

    def __init__(self, run: StepRun) -> None:
        super().__init__(str(run.error))
        self.run = run


def perform(step: Step, room: Room, stop: Stop, say: Say) -> StepRun:
    """Do the step. Raises StepFailed, Stopped when the whole run is to end."""
    own, started = Stop(), time.monotonic()
    try:
        with stop.through(lambda: own.ask(stop.reason)):
            own.wait(step.start_delay)
            started = time.monotonic()
            with own.within(step.timeout, _OUT_OF_TIME):
                done = _do(step, room, own, say)
        return replace(done, state=State.SUCCESSFUL, seconds=time.monotonic() - started)
    except (Stopped, PrebakeError) as error:
        told = _out_of_time(step) if isinstance(error, Stopped) else error
    stop.check()  # outside of `except`: what is raised must not drag along a cause that may hold secrets
    shown = masked_error(told, mask(room.task.hidden))
    failed = StepRun(step.id, step.action.kind, State.FAILED, time.monotonic() - started, shown)
    if not step.ignore_errors:
        raise StepFailed(failed)
    ignored = "but is set to ignore errors. Continuing..."
    say(f"Step ID: {step.id} encountered an error: {shown.sentence}, {ignored}")
    return replace(failed, state=State.SUCCESSFUL)


def _do(step: Step, room: Room, stop: Stop, say: Say) -> StepRun:
    run = StepRun(step.id, step.action.kind)
    if isinstance(step.action, Command):
        docker_task_cmd.bring_image(step, room, stop, say)
        repeated(
            step.attempts, lambda listen: docker_task_cmd.run_command(step, room, stop, listen), stop, say
        )
        return run
    if isinstance(step.action, Build):
        return _build(step, step.action, room, stop, say)
    return replace(run, images=docker_task_push.push_images(step, room, stop, say))


def _build(step: Step, build: Build, room: Room, stop: Stop, say: Say) -> StepRun:
    texts: list[str] = []
    repeated(
        step.attempts,
        lambda listen: texts.append(docker_task_build.build_image(step, room, stop, listen)),
        stop,
        say,
    )
    runtime, buildtime = bases(step, room, texts[-1], say) if texts[-1] else ({}, {})
    tags = tuple(map(room.task.reveal, build.tags))
    return StepRun(step.id, build.kind, built=tags, runtime=runtime, buildtime=buildtime)


def _out_of_time(step: Step) -> EngineError:
    return EngineError(
        f"step `{step.id}` ran out of time",
        facts={"file": step.place.path, "line": step.place.line, "timeout": f"{step.timeout} s"},
        hint="raise the step's `timeout`, or `stepTimeout`",
    )
