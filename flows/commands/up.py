"""`prebake up`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .worker import serve, slots_option, tell

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake up
  PREFECT_API_DATABASE_CONNECTION_URL=postgresql+asyncpg://db.example.com/prefect prebake up --slots 8"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--port", type=int, default=4200, help="of the server and its pages (default: 4200)")
    slots_option(parser)


def run(options: argparse.Namespace) -> int:
    """Start a server and be its worker, until told to stop."""
    from ..runs.environ import settle
    from ..runs.server import server
    from ..wiring import open_workspace

    settle(open_workspace(), os.environ)
    with server(options.port, os.environ) as url:
        os.environ["PREFECT_API_URL"] = os.environ["PREBAKE_PREFECT_API"] = f"{url}/api"
        tell(f"pages at {url}; submit with PREBAKE_PREFECT_API={url}/api; Ctrl-C ends all")
        serve(options, "")
    return 0
