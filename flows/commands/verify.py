"""`prebake verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .options import json_option

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake verify registry.example.com/team/vision:v1"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    json_option(parser).add_argument("reference", metavar="REF", help="HOST/REPO:TAG or oci:FOLDER[:TAG]")


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 if something is wrong."""
    from ..progress import shown
    from ..verification import verify
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        report = verify(options.reference, open_workspace(), progress)
    print(json.dumps(report.to_json()) if options.json else report)
    return 0 if report.ok else 1
