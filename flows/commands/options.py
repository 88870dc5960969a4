"""Options that several commands share, and what they mean."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from ...config.definition import Environment
    from ..runs.submission import Order
    from ..wiring import Request


def json_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object; errors too")
    return parser


def quiet_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`--quiet`."""
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    return parser


def plan_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """An environment, how it is solved, and `--json`."""
    return solve_options(file_options(json_option(parser)))


def file_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """An environment."""
    text = "environment, conda or requirements file; or a registered environment: NAME:VERSION, NAME@LABEL"
    parser.add_argument("file", type=Path, metavar="FILE", help=text)
    parser.add_argument("--image", help="base image, for a file that names none")
    return parser


def solve_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """How it is solved."""
    sdist = "let a package be built from source"
    parser.add_argument("--policy", default="", help="age of a lock that serves: locked, always, max-age=7d")
    parser.add_argument("--refresh", dest="policy", action="store_const", const="always", help="solve again")
    parser.add_argument("--allow-sdist", action="append", default=[], metavar="NAME", help=sdist)
    return parser


def remote_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """How a remote run is queued, and what time it is given."""
    lane, seconds = "on-demand (default), curated or warming", "SECONDS"
    run_text = "a run may take, 300 to 28800; queueing does not count (default: 3600)"
    parser.add_argument("--lane", default="on-demand", help=lane)
    parser.add_argument("--timeout", type=int, default=3600, metavar=seconds, help=run_text)
    step_text = "a step of it may take (default: 600)"
    parser.add_argument("--step-timeout", type=int, default=600, metavar=seconds, help=step_text)
    return parser


def load(options: argparse.Namespace) -> Environment:
    """The environment asked for; its warnings go to standard error."""
    from ...config.load import load as load_file

    if not options.file.exists():
        from ...config.catalog.reference import looks_like

        if looks_like(str(options.file)):
            return _registered(options)
    environment = load_file(options.file, image=options.image)
    tell(environment.warnings, options)
    return environment


def _registered(options: argparse.Namespace) -> Environment:
    from ...errors import SettingsError
    from ..progress import Lines, Silent
    from ..registered import registered
    from ..wiring import open_workspace

    if options.image:
        hint = "clone it, or load its definition from a file"
        raise SettingsError(
            "the image of a registered environment is fixed", facts={"--image": options.image}, hint=hint
        )
    return registered(str(options.file), open_workspace(), Silent() if options.json else Lines())


def say_built(build: Mapping[str, Any], options: argparse.Namespace) -> None:
    """A build's result, which `Built.to_json` describes, on standard output."""
    from ..built import summary

    print(json.dumps(build) if options.json else f"{summary(build)}\n{build['reference']}")


def tell(warnings: Iterable[str], options: argparse.Namespace) -> None:
    """A definition's warnings, for people."""
    for warning in () if options.json else warnings:
        print(f"warning: {warning}", file=sys.stderr)


def request(options: argparse.Namespace) -> Request:
    """What is asked beyond the environment."""
    from ..destination import Destination
    from ..wiring import Request

    to = Destination.parse(getattr(options, "to", None))
    return Request(to, options.policy, frozenset(options.allow_sdist))


def order(options: argparse.Namespace) -> Order:
    """What is asked of a remote run; what to beware of goes to standard error."""
    from ..runs.submission import Order, Terms

    terms = Terms(options.lane, options.timeout, options.step_timeout)
    tell(terms.warnings, options)
    return Order(load(options), options.image, request(options), terms)
