"""`prebake warm`: what to put where jobs will run, doing it, how it stands, and whether it was worth it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .verbs import Verb, add_verbs, no_options, run_verb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..warming.grade import Grade
    from ..warming.survey import Aim
    from ..wiring import Workspace

EXAMPLES = """
  prebake warm plan --target docker: --budget 20GB
  prebake warm run --target oci:/mnt/node/images --target mirror.example.com/team/warm
  prebake warm report"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "warm", _VERBS)


run = run_verb


def _target_options(parser: argparse.ArgumentParser) -> None:
    places = "docker:[URL], oci:FOLDER or HOST/REPOSITORY; repeatable (default: setting warm_targets)"
    parser.add_argument("--target", action="append", default=[], metavar="PLACE", help=places)
    size = "bytes of images in each target, as 20GB (default: setting warm_budget)"
    parser.add_argument("--budget", default="", metavar="SIZE", help=size)


def _opened(options: argparse.Namespace) -> tuple[Workspace, Aim]:
    from ..warming.survey import Aim
    from ..wiring import open_workspace

    workspace = open_workspace()
    return workspace, Aim.of(workspace, options.target, options.budget)


def _plan(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..warming.survey import survey

    with shown(quiet=options.json) as progress:
        found = survey(*_opened(options), progress)
    lines = "\n".join(map(found.line, found.picks)) or "nothing was asked for yet"
    print(json.dumps({"picks": found.to_json()}) if options.json else lines)
    return 0


def _run(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..warming.run import warm

    with shown(quiet=options.json) as progress:
        done = warm(*_opened(options), progress)
    print(json.dumps(done.to_json()) if options.json else done)
    return 0 if done.equal else 1


def _status(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..warming.survey import survey

    with shown(quiet=options.json) as progress:
        states = survey(*_opened(options), progress).states
    if options.json:
        print(json.dumps({"targets": [state.to_json() for state in states]}))
    for state in () if options.json else states:
        print(state)
    return 0 if all(state.equal for state in states) else 1


def _report(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from ..warming.grade import grades
    from ..wiring import open_workspace

    found = grades(open_workspace())
    print(json.dumps({"targets": [asdict(each) for each in found]}) if options.json else _table(found))
    return 0


def _table(grades: Sequence[Grade]) -> str:
    return "\n".join(map(str, grades)) or "nothing was warmed yet"


_PLACES = " --target docker: --budget 20GB"
_VERBS = {
    "plan": Verb(
        "show what should be where, by expected seconds saved", ("", _PLACES), _target_options, _plan
    ),
    "run": Verb("bring every target to what it should hold", ("", _PLACES), _target_options, _run),
    "status": Verb("compare what is there with what should be", ("", " --json"), _target_options, _status),
    "report": Verb(
        "grade what was warmed: used within its horizon, in vain, or needed and not there",
        ("", " --json"),
        no_options,
        _report,
    ),
}
