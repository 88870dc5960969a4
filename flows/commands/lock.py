"""`prebake lock`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .options import load, plan_options, request
from .output import write_output

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake lock env.yml -o conda-lock.yml"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    plan_options(parser).add_argument("-o", "--output", type=Path, help="a file; default: print")


def run(options: argparse.Namespace) -> int:
    """Print the lock or write it to a file."""
    from ..locking import lock_text
    from ..progress import shown
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        text = lock_text(load(options), request(options), open_workspace(), progress)
    if options.output:
        write_output(options.output, text)
    print(json.dumps({"lock": text}) + "\n" if options.json else "" if options.output else text, end="")
    return 0
