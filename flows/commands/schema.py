"""`prebake schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake schema > environment.schema.json"""


def options(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    from ...config.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0
