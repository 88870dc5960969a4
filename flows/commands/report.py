"""`prebake report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .options import json_option
from .output import write_output

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake report -o report.html
  prebake report --days 7"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    json_option(parser)
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="default: report.html")
    parser.add_argument("--days", type=int, default=30, help="how far back (default: 30)")


def run(options: argparse.Namespace) -> int:
    """Write the page."""
    from ...errors import SettingsError
    from ..progress import shown
    from ..report.facts import gather
    from ..report.page import render
    from ..wiring import open_workspace

    if options.days < 1:
        raise SettingsError("a report of no days", facts={"found": options.days, "allowed": "1 or more"})
    with shown(quiet=options.json) as progress:
        facts = gather(open_workspace(), options.days, progress)
        write_output(options.output, render(facts))
    told = {"file": str(options.output), "environments": len(facts.environments)}
    told |= {"requests": len(facts.requests), "stored": facts.stored, "nominal": facts.nominal}
    print(json.dumps(told) if options.json else options.output)
    return 0
