"""`prebake build`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .options import load, plan_options, quiet_option, request, tell

if TYPE_CHECKING:
    import argparse

    from ..built import Built
    from ..progress import Progress

EXAMPLES = """
  prebake build env.yml --to registry.example.com/team/vision:v1
  prebake build conda.yaml --image debian:12 --to docker:vision
  prebake build env.yml --to oci:out:v1 --json"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    places = "HOST/REPO:TAG, oci:FOLDER[:TAG] or docker:NAME; default: the local store"
    plan_options(parser).add_argument("--to", metavar="DEST", help=places)
    quiet_option(parser)


def run(options: argparse.Namespace) -> int:
    """Build and print where the image is."""
    from ..progress import shown

    with shown(quiet=options.quiet or options.json) as progress:
        built = _built(options, progress)
    if options.json:
        print(json.dumps(built.to_json()))
    else:
        print(built.summary())
        print(built.reference)
    return 0


def _built(options: argparse.Namespace, progress: Progress) -> Built:
    """By the file's bytes if they are known, else by what the file says."""
    from ..shortcut import recall_file, remember_file
    from ..wiring import open_workspace

    workspace, asked = open_workspace(), request(options)
    found = recall_file(options.file, options.image, asked, workspace, progress)
    if found:
        built, warnings = found
        tell(warnings, options)
        return built
    from ..ensure import ensure

    environment = load(options)
    built = ensure(environment, asked, workspace, progress)
    remember_file(environment, options.image, workspace)
    return built
