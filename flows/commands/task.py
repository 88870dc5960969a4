"""`prebake task`: ACR task files, run or shown."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import tell
from .verbs import Verb, add_verbs, run_verb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..tasks.log import Say
    from ..tasks.start import Asked
    from ..tasks.states import TaskRun
    from ..wiring import Workspace

EXAMPLES = """
  prebake task run task.yaml --registry registry.example.com --set tag=v1
  prebake task run task.yaml --values values.yaml --set-secret token=env:TOKEN
  prebake task show task.yaml --set tag=v1"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "task", _VERBS)


run = run_verb


def _value_options(parser: argparse.ArgumentParser) -> None:
    sources = "NAME=VALUE, NAME=@FILE or NAME=env:VARIABLE; never shown"
    folder = "copied to /workspace; /dev/null for nothing (default: the task file's folder)"
    parser.add_argument("file", type=Path, metavar="FILE", help="task file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a value, for .Values"
    )
    parser.add_argument("--values", type=Path, metavar="FILE", help="YAML file of values; --set wins over it")
    parser.add_argument("--set-secret", action="append", default=[], metavar="NAME=SOURCE", help=sources)
    parser.add_argument("--registry", default="", metavar="HOST", help="for .Run.Registry")
    parser.add_argument("--context", type=Path, metavar="DIR", help=folder)
    parser.add_argument("--name", default="quickrun", help="of the task, for .Run.TaskName")
    parser.add_argument("--run-id", default="", metavar="ID", help="for .Run.ID (default: a new one)")


def _run_options(parser: argparse.ArgumentParser) -> None:
    from ..tasks.limits import RUN_TIMEOUT

    _value_options(parser)
    network = "Docker network mode of steps that name none (default: a bridge of the run's own)"
    timeout = f"of the whole run, in seconds (default: {RUN_TIMEOUT})"
    socket = "let every step drive the engine, as in ACR: such a step may do all that the engine may"
    parser.add_argument("--network", default="", metavar="MODE", help=network)
    parser.add_argument("--timeout", type=int, default=RUN_TIMEOUT, metavar="N", help=timeout)
    parser.add_argument("--engine-socket", action="store_true", help=socket)
    parser.add_argument("--dry-run", action="store_true", help="show the steps, run nothing")
    flow = "run as a Prefect flow: a task per step, shown by the server that PREFECT_API_URL names"
    parser.add_argument("--flow", dest="perform", action="store_const", const=_as_flow, help=flow)
    parser.set_defaults(perform=_plainly)


def _asked(options: argparse.Namespace) -> Asked:
    from ..tasks.start import Asked

    running = ("network", "timeout", "engine_socket")
    return Asked(
        options.file,
        options.values,
        tuple(options.set),
        tuple(options.set_secret),
        options.registry,
        options.context,
        name=options.name,
        run_id=options.run_id,
        **{name: getattr(options, name) for name in running if hasattr(options, name)},
    )


def _show(options: argparse.Namespace) -> int:
    from ..tasks.show import described, lines
    from ..tasks.start import prepare
    from ..wiring import open_workspace

    task = prepare(_asked(options), open_workspace()).task
    tell(task.warnings, options)
    if options.json:
        print(json.dumps(described(task)))
    for line in () if options.json else lines(task):
        print(line)
    return 0


def _run(options: argparse.Namespace) -> int:
    """The log goes to standard output, with --json to standard error."""
    if options.dry_run:
        return _show(options)
    from ..wiring import open_workspace

    out = sys.stderr if options.json else sys.stdout
    with _ended_by_signals():
        done: TaskRun = options.perform(
            _asked(options), open_workspace(), lambda line: print(line, file=out, flush=True)
        )
    if options.json:
        print(json.dumps(done.to_json()))
    elif done.error:
        print(done.error, file=sys.stderr)
    return done.error.exit_code if done.error else 0


def _plainly(asked: Asked, workspace: Workspace, write: Say) -> TaskRun:
    from ..tasks.runner import Terms, run_task
    from ..tasks.start import prepare, room_plan

    ready = prepare(asked, workspace)
    return run_task(ready.task, room_plan(ready, asked, workspace), Terms(asked.timeout), write)


def _as_flow(asked: Asked, workspace: Workspace, write: Say) -> TaskRun:
    from ..runs.server import for_flows
    from ..tasks.runner import Terms
    from ..tasks.start import prepare, room_plan

    ready = prepare(asked, workspace)
    with for_flows(workspace):
        from ..tasks.flow import run_task_here

        return run_task_here(ready.task, room_plan(ready, asked, workspace), Terms(asked.timeout), write)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM is an interrupt too; further ones are ignored, because containers have to be removed."""

    def interrupt(number: int, frame: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


_VERBS = {
    "run": Verb(
        "run all steps; ends when they have, or when the first fails",
        (
            " task.yaml --registry registry.example.com --set tag=v1",
            " task.yaml --context src --set-secret token=env:TOKEN --json",
        ),
        _run_options,
        _run,
    ),
    "show": Verb(
        "print the steps as they would run, and what they wait for",
        (" task.yaml --set tag=v1",),
        _value_options,
        _show,
    ),
}
