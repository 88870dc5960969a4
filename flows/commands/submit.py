"""`prebake submit`."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SettingsError
from .options import json_option, load, quiet_option, tell

if TYPE_CHECKING:
    import argparse

    from ...config.job import Job
    from ..jobs.record import Record, Target
    from ..progress import Progress
    from ..wiring import Workspace

EXAMPLES = """
  prebake submit job.yml
  prebake submit job.yml --target local --input epochs=3
  prebake submit --env vision@latest -- python train.py --epochs 3
  prebake submit job.yml --no-wait --json
  prebake submit job.yml --dry-run"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    json_option(quiet_option(parser))
    named = "in place of a job file: an environment file, or NAME:VERSION, NAME@LABEL of a registered one"
    parser.add_argument("--env", dest="file", type=Path, metavar="ENV", help=named)
    parser.add_argument("--image", help="base image, for an environment file that names none")
    parser.add_argument(
        "--code", type=Path, metavar="FOLDER", help="with --env: the code (default: this folder)"
    )
    words = "a command job or component (YAML); with --env the command"
    parser.add_argument("words", nargs="+", metavar="JOB | -- CMD", help=words)
    value = "value or local path of an input; repeatable"
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help=value)
    parser.add_argument("--target", choices=("docker", "local"), default="docker", help="where it runs")
    layered = "put the code into the image, as a layer, instead of mounting it"
    parser.add_argument("--layered-code", action="store_true", help=layered)
    pushed = "with --layered-code: push that image too, for nodes that run it by its reference"
    parser.add_argument("--push", default="", metavar="HOST/REPO:TAG", help=pushed)
    parser.add_argument("--gpus", default="", help="as for docker run: all, a number or device=ID,ID")
    parser.add_argument("--shm-size", default="", help="shared memory of the container, as 2g")
    parser.add_argument("--network", default="", help="Docker network mode, for instance host")
    parser.add_argument("--policy", default="", help="age of a lock that serves: locked, always, max-age=7d")
    parser.add_argument(
        "--no-wait", action="store_true", help="print the job's id now, run it in the background"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would run; build and record nothing"
    )


def run(options: argparse.Namespace) -> int:
    """Submit; gives the exit code of the job's command."""
    from ..jobs.record import Target
    from ..wiring import open_workspace

    workspace, target = open_workspace(), Target(options.target, options.layered_code, options.push)
    job = _job(options)
    if options.dry_run:
        return _dry_run(job, target, workspace, options)
    from ..jobs.submit import enter, run_apart
    from ..progress import Lines, Silent

    progress = Silent() if options.json or options.quiet else Lines()  # bars would draw over the job's words
    record = enter(job, target, options.policy, workspace, progress)
    if options.no_wait:
        _tell(run_apart(record, workspace), options)
        return 0
    return _run(record, workspace, progress, options)


def _run(record: Record, workspace: Workspace, progress: Progress, options: argparse.Namespace) -> int:
    """Run it here; what the job prints is what this prints, save where a script wants one JSON object."""
    from ..jobs.record import COMPLETED
    from ..jobs.submit import run_here

    progress.step(f"job {record.id}")
    echo = None if options.json else (sys.stdout.buffer, sys.stderr.buffer)
    ended = run_here(record, workspace, progress, echo)
    if options.json:
        _tell(ended, options)
    elif ended.error:
        print(f"job {ended.id}: {ended.error}", file=sys.stderr)
    return ended.exit_code or int(ended.state != COMPLETED)


def _tell(record: Record, options: argparse.Namespace) -> None:
    print(json.dumps(record.to_json()) if options.json else f"{record.id}  {record.order.reference}")


def _dry_run(job: Job, target: Target, workspace: Workspace, options: argparse.Namespace) -> int:
    from ..jobs.preview import intend
    from ..progress import shown

    with shown(quiet=options.quiet or options.json) as progress:
        intended = intend(job, target, options.policy, workspace, progress)
    print(json.dumps(intended.to_json()) if options.json else intended)
    return 0


def _job(options: argparse.Namespace) -> Job:
    """What the file or the arguments say. Raises DefinitionError, SettingsError."""
    _refuse_misplaced(options)
    job = _from_arguments(options) if options.file else _from_file(options)
    given = {"gpus": options.gpus, "shm_size": options.shm_size, "network": options.network}
    return replace(
        job, resources=replace(job.resources, **{key: text for key, text in given.items() if text})
    )


def _refuse_misplaced(options: argparse.Namespace) -> None:
    """Refuse what would go unheard."""
    own = {"--code": options.code, "--image": options.image}
    unheard = [name for name, given in ({"--input": options.input} if options.file else own).items() if given]
    if options.layered_code and options.target == "local":
        unheard.append("--layered-code")
    if options.push and not options.layered_code:
        unheard.append("--push")
    if unheard:
        what = "an environment of --env" if options.file else "a job file"
        facts = {"found": " ".join(unheard), "with": f"{what}, target {options.target}"}
        raise SettingsError("these arguments do not go together", facts=facts, hint="leave one of them out")


def _from_file(options: argparse.Namespace) -> Job:
    from ...config.job_file import load_job

    file, *more = options.words
    if more:
        hint = "leave it out, or name the environment: prebake submit --env vision@latest -- python train.py"
        facts = {"file": file, "found": shlex.join(more)}
        raise SettingsError("a job file has its command itself", facts=facts, hint=hint)
    job = load_job(Path(file), tuple(_pair(text) for text in options.input))
    tell(job.warnings, options)
    return job


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        facts = {"found": text, "allowed": "NAME=VALUE"}
        raise SettingsError("`--input` is wrong", facts=facts, hint="write --input epochs=3")
    return name, value


def _from_arguments(options: argparse.Namespace) -> Job:
    from ...config.job import Job

    return Job(shlex.join(options.words), load(options), code=(options.code or Path()).resolve())
