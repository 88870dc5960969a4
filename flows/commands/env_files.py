"""`prebake env export|import`: versions as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .verbs import say

if TYPE_CHECKING:
    import argparse


def export_options(parser: argparse.ArgumentParser) -> None:
    """Of `export`."""
    text = "NAME:VERSION or NAME@LABEL; NAME alone means all its versions; default: everything"
    parser.add_argument("references", nargs="*", metavar="REF", help=text)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="a zip file")


def export(options: argparse.Namespace) -> int:
    """Write versions to a file."""
    from ..catalog_files import export as export_it
    from ..progress import shown
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        versions = export_it(options.references, options.output, open_workspace(), progress)
    titles = [version.title for version in versions]
    say({"file": str(options.output), "exported": titles}, "\n".join(titles) or "nothing to export", options)
    return 0


def import_options(parser: argparse.ArgumentParser) -> None:
    """Of `import`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what `export` wrote")


def import_(options: argparse.Namespace) -> int:
    """Register what a file holds."""
    from ..catalog_files import import_file
    from ..progress import shown
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        versions = import_file(options.file, open_workspace(), progress)
    titles = [version.title for version in versions]
    say({"imported": titles}, "\n".join(titles) or "the file holds nothing", options)
    return 0
