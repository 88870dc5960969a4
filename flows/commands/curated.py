"""`prebake curated`: environments that are built, tested and published before anybody asks for them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .options import quiet_option
from .verbs import Verb, add_verbs, no_options, run_verb, say

if TYPE_CHECKING:
    import argparse

    from ..curated.definitions import Curated
    from ..wiring import Workspace

EXAMPLES = """
  prebake curated list
  prebake curated build sklearn nlp --policy max-age=7d
  prebake curated status"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "curated", _VERBS)


run = run_verb


def _names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the set (default: all)")


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs=1, metavar="NAME", help="of the set")


def _build_options(parser: argparse.ArgumentParser) -> None:
    text = "age of a solve that serves: locked, always, max-age=7d (default: always)"
    _names(parser)
    parser.add_argument("--policy", default="always", help=text)
    quiet_option(parser)


def _list(options: argparse.Namespace) -> int:
    from ..wiring import open_workspace

    found = {each.name: each.description for each in _found([], open_workspace())}
    say({"environments": found}, "\n".join(f"{name}\t{text}" for name, text in found.items()), options)
    return 0


def _build(options: argparse.Namespace) -> int:
    from ..curated.prebuild import prebuild
    from ..progress import shown
    from ..wiring import open_workspace

    workspace = open_workspace()
    chosen = _found(options.names, workspace)
    with shown(quiet=options.quiet or options.json) as progress:
        done = prebuild(chosen, options.policy, workspace, progress)
    for each in done.outcomes:
        if each.error and not options.json:
            print(f"{each.name}\n{each.error}", file=sys.stderr)
    lines = "\n".join(map(str, (*done.outcomes, done)))
    say(done.to_json(), lines, options)
    return done.exit_code


def _serve_options(parser: argparse.ArgumentParser) -> None:
    _build_options(parser)
    text = "when, as five fields of cron, UTC (default: '0 3 * * *')"
    parser.add_argument("--cron", default="0 3 * * *", metavar="CRON", help=text)


def _serve(options: argparse.Namespace) -> int:
    from ...builders.world import Policy
    from ..curated.deployment import LANE, Schedule, deploy
    from ..runs.api import connect
    from ..wiring import open_workspace

    workspace = open_workspace()
    names = tuple(each.name for each in _found(options.names, workspace)) if options.names else ()
    Policy.parse(options.policy)
    found = deploy(Schedule(options.cron, names, options.policy), connect(workspace))
    text = f"workers prebuild {', '.join(names) or 'the whole set'} at `{options.cron}` in lane {LANE}"
    say({"deployment": found, "cron": options.cron, "environments": list(names)}, text, options)
    return 0


def _status(options: argparse.Namespace) -> int:
    from ..curated.status import status
    from ..wiring import open_workspace

    workspace = open_workspace()
    found = [status(each, workspace) for each in _found(options.names, workspace)]
    lines = "\n".join(each.line() for each in found)
    say({"environments": [each.to_json() for each in found]}, lines, options)
    return 0


def _show(options: argparse.Namespace) -> int:
    from ..curated.status import status
    from ..wiring import open_workspace

    workspace = open_workspace()
    (curated,) = _found(options.names, workspace)
    found, definition = status(curated, workspace), curated.definition.read_text()
    say(found.to_json() | {"definition": definition}, f"{found}\n\n{definition.rstrip()}", options)
    return 0


def _found(names: list[str], workspace: Workspace) -> tuple[Curated, ...]:
    from ..curated.definitions import find

    return find(names, workspace.settings.curated_set)


_VERBS = {
    "list": Verb("show the set", ("",), no_options, _list),
    "build": Verb(
        "solve the set, build each layer once, test and publish what changed",
        ("", " sklearn nlp", " --policy max-age=7d --json"),
        _build_options,
        _build,
    ),
    "serve": Verb(
        "have workers build the set on a schedule",
        ("", " --cron '0 3 * * 1' --policy always", " sklearn nlp"),
        _serve_options,
        _serve,
    ),
    "status": Verb("show the last good versions, and what failed", ("", " --json"), _names, _status),
    "show": Verb("show one environment, where it is and what is attached", (" sklearn",), _name, _show),
}
