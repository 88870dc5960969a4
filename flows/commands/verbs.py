"""Commands of several verbs: `prebake cache stats`, `prebake runs list`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .options import json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Verb:
    """What it does, in words; arguments as examples; its options; what runs."""

    text: str
    examples: tuple[str, ...]
    options: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]


def declare(parser: argparse.ArgumentParser, command: str, verbs: Mapping[str, Verb]) -> None:
    """Declare the verbs of `prebake COMMAND`, each with `--json`."""
    declared = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, verb in verbs.items():
        own = declared.add_parser(
            name,
            help=verb.text,
            description=verb.text[0].upper() + verb.text[1:] + ".",
            epilog="examples:" + "".join(f"\n  prebake {command} {name}{each}" for each in verb.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(verb=verb.run)
        verb.options(json_option(own))


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verb: Callable[[argparse.Namespace], int] = options.verb
    return verb(options)
