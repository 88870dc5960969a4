"""`prebake serve`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SettingsError
from .options import file_options, json_option, load, quiet_option

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake serve env.yml --check
  prebake serve scoring@prod --check --data '{"data": [1, 2]}' --timeout 120
  prebake serve env.yml --code app --start 'python server.py'"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    file_options(json_option(quiet_option(parser)))
    parser.add_argument("--start", default="", metavar="LINE", help="the server (default: the image's own)")
    parser.add_argument(
        "--code", type=Path, metavar="FOLDER", help="mounted read-only where the server starts"
    )
    parser.add_argument("--network", help="Docker network mode, for instance host")
    asked = "ask each route once it answers, then stop; without it serve until Ctrl-C"
    parser.add_argument("--check", action="store_true", help=asked)
    parser.add_argument("--data", default="{}", metavar="JSON", help="what is posted to the scoring route")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that a route may take to answer")


def run(options: argparse.Namespace) -> int:
    """Serve, or check the routes."""
    from ..jobs.serve import Question, Server, check, serve
    from ..progress import shown
    from ..wiring import open_workspace

    _refuse_wrong(options)
    environment, workspace = load(options), open_workspace()
    server = Server(options.start, options.code, options.network)
    with shown(quiet=options.quiet or options.json) as progress:
        if not options.check:
            return serve(environment, server, (sys.stdout.buffer, sys.stderr.buffer), workspace, progress)
        answers = check(environment, server, Question(options.data, options.timeout), workspace, progress)
    if options.json:
        print(json.dumps({"routes": [asdict(answer) for answer in answers]}))
    for answer in () if options.json else answers:
        print(answer)
    return 0


def _refuse_wrong(options: argparse.Namespace) -> None:
    try:
        json.loads(options.data)
    except ValueError as error:
        facts = {"found": options.data, "reason": error}
        raise SettingsError("`--data` is not JSON", facts=facts, hint="quote it for the shell") from error
    if options.code and not options.code.is_dir():
        raise SettingsError(
            "the code folder does not exist", facts={"folder": options.code}, hint="correct --code"
        )
