"""`prebake run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import load, plan_options, quiet_option, request

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake run env.yml -- python train.py
  prebake run env.yml --local -- python -c 'import numpy'"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    text = "from a prefix on this machine, without an image"
    plan_options(parser).add_argument("--local", action="store_true", help=text)
    parser.add_argument("--network", help="Docker network mode, for instance host")
    quiet_option(parser).add_argument("argv", nargs="+", metavar="-- CMD", help="the command")


def run(options: argparse.Namespace) -> int:
    """Make the environment ready and run the command; gives the command's exit code."""
    from ..progress import shown
    from ..run import Command, prepare
    from ..wiring import open_workspace

    environment, asked = load(options), request(options)
    command = Command(tuple(options.argv), options.local, options.network)
    with shown(quiet=options.quiet) as progress:
        start = prepare(environment, asked, command, open_workspace(), progress)
    return start()
