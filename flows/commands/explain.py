"""`prebake explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .options import load, plan_options, request

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake explain env.yml --against old/env.yml"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    text = "another definition: which fields differ"
    plan_options(parser).add_argument("--against", type=Path, metavar="OTHER", help=text)


def run(options: argparse.Namespace) -> int:
    """Print what keys are made of, or in what two definitions differ."""
    from ..differences import differences
    from ..explain import explain, made_of
    from ..progress import shown
    from ..wiring import open_workspace

    workspace, asked = open_workspace(), request(options)
    with shown(quiet=options.json) as progress:
        if options.against:
            now = made_of(load(options), asked, workspace, progress)
            options.file = options.against
            found = differences(made_of(load(options), asked, workspace, progress), now)
        else:
            found = explain(load(options), asked, workspace, progress)
    print(json.dumps(found, indent=None if options.json else 2, sort_keys=True))
    return 0
