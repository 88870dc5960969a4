"""`prebake plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .options import load, plan_options, request

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake plan env.yml --json | jq '.layers[] | select(.outcome == "miss")'"""

options = plan_options


def run(options: argparse.Namespace) -> int:
    """Print the plan."""
    from ..preview import preview
    from ..progress import shown
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        found = preview(load(options), request(options), open_workspace(), progress)
    print(json.dumps(found.to_json()) if options.json else found.table())
    return 0
