"""`prebake worker`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  PREFECT_API_URL=http://prefect.example.com:4200/api prebake worker
  prebake worker --slots 4 --name builder-7"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    slots_option(parser)
    parser.add_argument("--name", default="", help="what runs and pages call it; default: the host's name")


def slots_option(parser: argparse.ArgumentParser) -> None:
    """How many runs at a time."""
    express = "slots more for on-demand runs alone (default: 1)"
    parser.add_argument("--slots", type=number, default=2, metavar="N", help="runs at a time (default: 2)")
    parser.add_argument("--express", type=number, default=1, metavar="N", help=express)


def run(options: argparse.Namespace) -> int:
    """Take runs until told to stop."""
    from ..runs.api import address
    from ..runs.environ import settle
    from ..wiring import open_workspace

    workspace = open_workspace()
    settle(workspace, os.environ)
    os.environ["PREFECT_API_URL"] = address(workspace)
    serve(options, options.name)
    return 0


def serve(options: argparse.Namespace, name: str) -> None:
    """Be a worker in this process, whose environment names the server."""
    from ..runs.worker import Slots, work
    from ..wiring import open_workspace

    slots = Slots(name or f"{os.uname().nodename}-{os.getpid()}", options.slots, options.express)
    work(slots, open_workspace(), tell)


def tell(message: str) -> None:
    """A line for people."""
    print(message, file=sys.stderr, flush=True)


def number(text: str) -> int:
    """A whole number, 0 or more; argparse tells what is none."""
    if not text.isdigit():
        raise ValueError(text)
    return int(text)
