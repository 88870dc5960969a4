"""`prebake bases`: follow the tags of base images."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from .verbs import Verb, add_verbs, no_options, run_verb

if TYPE_CHECKING:
    import argparse

    from ..bases.follow import Policy, Result

EXAMPLES = """
  prebake bases status
  prebake bases check registry.example.com/base/ubuntu:24.04
  prebake bases watch --listen 127.0.0.1:8765 --stage 20"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "bases", _VERBS)


run = run_verb


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tags", nargs="*", metavar="TAG", help="base images (default: all that are followed)")
    _policy_options(parser)


def _watch_options(parser: argparse.ArgumentParser) -> None:
    hear = "hear docker-registry's notifications at this address"
    parser.add_argument("--listen", metavar="HOST:PORT", help=hear)
    pace = "look at each tag at random between these"
    parser.add_argument("--least", default="10m", metavar="AGE", help=f"{pace} (default: 10m)")
    parser.add_argument("--most", default="60m", metavar="AGE", help=f"{pace} (default: 60m)")
    _policy_options(parser)


def _policy_options(parser: argparse.ArgumentParser) -> None:
    stage = "percent of the environments that go first; the rest when they pass (default: 10)"
    parser.add_argument("--stage", type=int, default=10, metavar="PERCENT", help=stage)
    held = "when glibc or platform changed: hold the environment, or solve and build it anew (default: hold)"
    parser.add_argument("--incompatible", choices=("hold", "rebuild"), default="hold", help=held)


def _policy(options: argparse.Namespace) -> Policy:
    from ...errors import SettingsError
    from ..bases.follow import Policy

    if not 1 <= options.stage <= 100:
        raise SettingsError("a stage makes no sense", facts={"found": options.stage, "allowed": "1 to 100"})
    return Policy(options.stage, options.incompatible)


def _check(options: argparse.Namespace) -> int:
    from ...cache.reference import Reference
    from ..bases.dependents import dependents
    from ..bases.follow import REBUILT, follow
    from ..progress import shown
    from ..wiring import open_workspace

    workspace, policy = open_workspace(), _policy(options)
    followed = {each.base for each in dependents(workspace) if each.follows}
    bases = [Reference.parse(tag) for tag in options.tags] or sorted(followed, key=str)
    with shown(quiet=options.json) as progress:
        done = [result for base in bases for result in follow(base, workspace, policy, progress)]
    _tell(done, options)
    if not (done or options.json):
        print("every environment that follows its base stands on where it is")
    return 0 if all(result.outcome == REBUILT for result in done) else 1


def _watch(options: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from ..bases.notify import listening
    from ..bases.watch import Pace, Watch, watch
    from ..progress import shown
    from ..quantities import seconds
    from ..wiring import open_workspace

    watched = Watch(open_workspace(), Pace(seconds(options.least), seconds(options.most)))
    policy = _policy(options)
    with shown(quiet=options.json) as progress, ExitStack() as stack:
        if options.listen:
            url = stack.enter_context(listening(options.listen, watched.hear))
            progress.step(f"listening at {url}")
        watch(watched, policy, progress, lambda done: _tell(done, options))
    return 0


def _tell(done: list[Result], options: argparse.Namespace) -> None:
    if options.json and (done or options.verb is _check):
        print(json.dumps({"environments": [asdict(result) for result in done]}), flush=True)
    for result in () if options.json else done:
        print(result, flush=True)


def _status(options: argparse.Namespace) -> int:
    from ..bases.status import freshness
    from ..progress import shown
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        found = freshness(open_workspace(), progress)
    if options.json:
        print(json.dumps({"environments": [each.to_json() for each in found]}))
    for each in () if options.json else found:
        print(each)
    return 0


_VERBS = {
    "check": Verb(
        "look at base tags now, and rebuild in stages what stands on an older one",
        ("", " registry.example.com/base/ubuntu:24.04 --stage 20"),
        _check_options,
        _check,
    ),
    "watch": Verb(
        "do so whenever a tag moves, until interrupted",
        (" --listen 127.0.0.1:8765", " --least 1h --most 2h --json"),
        _watch_options,
        _watch,
    ),
    "status": Verb(
        "tell which environments stand on an older base than their tag names",
        ("", " --json"),
        no_options,
        _status,
    ),
}
