"""`prebake cache`: a verb each for what one may want of the stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .options import file_options, load, request, solve_options
from .verbs import Verb, add_verbs, no_options, run_verb, say

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake cache stats
  prebake cache prune --max-age 30d --max-size 200GB --dry-run
  prebake cache ls 'numpy-*' --recipe conda/1"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "cache", _VERBS)


run = run_verb


def _ls_options(parser: argparse.ArgumentParser) -> None:
    text = "part of a key or of a package's name; * and ? stand for what they do in a shell"
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help=text)
    parser.add_argument("--recipe", default="", help="only of this recipe, for instance conda/1")


def _prune_options(parser: argparse.ArgumentParser) -> None:
    grace = "keep what is younger; has to be longer than the longest build (default: 24h)"
    parser.add_argument("--max-age", metavar="AGE", help="evict what was not used for so long, as 30d")
    parser.add_argument("--max-size", metavar="SIZE", help="evict the least recently used beyond it, as 20GB")
    parser.add_argument("--grace", metavar="AGE", help=grace)
    parser.add_argument("--dry-run", action="store_true", help="tell what would go and why; change nothing")
    tier = "which store; a remote one counts ages from when things were recorded (default: local)"
    parser.add_argument("--tier", choices=("local", "workspace", "global"), default="local", help=tier)


def _pin_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the pin; what it held is held no more")
    parser.add_argument("held", nargs="+", metavar="KEY|DIGEST", help="key of a trace, digest of an image")


def _unpin_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the pin")


def _promote_options(parser: argparse.ArgumentParser) -> None:
    solve_options(file_options(parser))


def _key_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="where the private key goes; must not exist")


def _stats(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..stock import stats
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        found = stats(open_workspace(), progress)
    print(json.dumps(found.to_json()) if options.json else found)
    return 0


def _ls(options: argparse.Namespace) -> int:
    from ..stock import described, find, line
    from ..wiring import open_workspace

    found = find(open_workspace(), options.pattern, options.recipe)
    if options.json:
        print(json.dumps({"traces": [described(trace) for trace in found]}))
    for trace in () if options.json else found:
        print(line(trace))
    return 0


def _prune(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..pruning import Asked, preview_prune, prune
    from ..quantities import byte_count, seconds
    from ..wiring import open_workspace

    asked = Asked(
        seconds(options.max_age) if options.max_age is not None else Asked.max_age,
        byte_count(options.max_size) if options.max_size is not None else Asked.max_bytes,
        seconds(options.grace) if options.grace is not None else Asked.grace,
        options.tier,
    )
    how = preview_prune if options.dry_run else prune
    with shown(quiet=options.json) as progress:
        pruned = how(open_workspace(), asked, progress)
        if options.dry_run:
            progress.step("dry run: nothing was changed")
    print(json.dumps(pruned.to_json()) if options.json else pruned)
    return 0


def _pin(options: argparse.Namespace) -> int:
    from ...cache.pins import parse_held, pin
    from ..wiring import open_workspace

    made = pin(open_workspace().local, options.name, [parse_held(text) for text in options.held])
    say({"pin": made.to_json()}, f"{made.name} holds {len(options.held)}", options)
    return 0


def _unpin(options: argparse.Namespace) -> int:
    from ...cache.pins import unpin
    from ..wiring import open_workspace

    unpin(open_workspace().local, options.name)
    say({"unpinned": options.name}, f"{options.name} holds nothing any more", options)
    return 0


def _pins(options: argparse.Namespace) -> int:
    from ...cache.pins import list_pins
    from ..wiring import open_workspace

    pins = list_pins(open_workspace().local)
    lines = [f"{pin.name}\t{held}" for pin in pins for held in (*pin.keys, *pin.digests)]
    say({"pins": [pin.to_json() for pin in pins]}, "\n".join(lines) or "there are no pins", options)
    return 0


def _promote(options: argparse.Namespace) -> int:
    from ..progress import shown
    from ..promote import promote
    from ..wiring import open_workspace

    with shown(quiet=options.json) as progress:
        done = promote(load(options), request(options), open_workspace(), progress)
    say(done.to_json(), str(done), options)
    return 0


def _key(options: argparse.Namespace) -> int:
    from ...cache.signed import make_key

    public = make_key(options.file).public_text
    say({"public": public}, public, options)
    return 0


_VERBS = {
    "stats": Verb("count and measure what the stores hold", ("", " --json"), no_options, _stats),
    "ls": Verb("list traces of the local store", (" numpy", " --recipe image/2 --json"), _ls_options, _ls),
    "prune": Verb(
        "delete what no trace reaches, and what is too old or too much, from a store",
        (" --dry-run", " --max-age 30d --max-size 200GB", " --tier workspace --max-age 180d"),
        _prune_options,
        _prune,
    ),
    "pin": Verb(
        "keep traces and images from being pruned",
        (f" vision-v1 sha256:{'5f' * 32}",),
        _pin_options,
        _pin,
    ),
    "unpin": Verb("let prune have what a pin held", (" vision-v1",), _unpin_options, _unpin),
    "pins": Verb("list what is pinned", ("",), no_options, _pins),
    "promote": Verb(
        "copy an environment that was built to the global tier", (" env.yml",), _promote_options, _promote
    ),
    "key": Verb("make a key that signs traces; print its public part", (" signing.pem",), _key_options, _key),
}
