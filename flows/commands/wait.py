"""`prebake wait`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .options import json_option

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake wait registry.example.com/team/vision:v1
  prebake wait registry.example.com/team/vision:v1 --timeout 600 --json"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    json_option(parser).add_argument("reference", metavar="REF", help="HOST/REPO:TAG of an image")
    seconds = "wait so long at most (default: 3600)"
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help=seconds)


def run(options: argparse.Namespace) -> int:
    """Wait, and print the reference with its digest."""
    from ...cache.reference import Reference
    from ..runs.api import PATIENT, connect, is_named
    from ..runs.following import wait
    from ..wiring import open_workspace

    workspace, reference = open_workspace(), Reference.parse(options.reference)
    api = connect(workspace, PATIENT) if is_named(workspace) else None
    digest = wait(reference, workspace, api, options.timeout)
    pinned = str(reference.at(digest))
    print(json.dumps({"reference": pinned, "digest": str(digest)}) if options.json else pinned)
    return 0
