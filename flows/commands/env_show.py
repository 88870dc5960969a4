"""`prebake env list|show|versions|diff`: what the catalog holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .columns import aligned
from .verbs import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ...config.catalog import Record, Version

_STATES = {True: "archived", False: "active"}


def list_options(parser: argparse.ArgumentParser) -> None:
    """Of `list`."""
    parser.add_argument("--archived", action="store_true", help="show what is archived too")


def list_names(options: argparse.Namespace) -> int:
    """One line per name: its latest version."""
    from ..wiring import open_workspace

    kept = [each for each in open_workspace().catalog.all() if options.archived or not each.archived]
    by_name: dict[str, list[Version]] = {}
    for version in kept:
        by_name.setdefault(version.name, []).append(version)
    newest = [max(versions, key=lambda version: version.created) for versions in by_name.values()]
    data = [version.to_json() | {"versions": len(by_name[version.name])} for version in newest]
    rows = [
        (each.name, each.version, str(len(by_name[each.name])), _STATES[each.archived], _described(each))
        for each in newest
    ]
    table = aligned([("NAME", "NEWEST", "VERSIONS", "STATE", "DESCRIPTION"), *rows])
    say({"environments": data}, table if rows else "no environment is registered", options)
    return 0


def versions_options(parser: argparse.ArgumentParser) -> None:
    """Of `versions`."""
    parser.add_argument("name", metavar="NAME")
    list_options(parser)


def list_versions(options: argparse.Namespace) -> int:
    """One line per version."""
    from ...config.catalog.version import when
    from ..wiring import open_workspace

    versions = open_workspace().catalog.versions(options.name)
    kept = [version for version in versions if options.archived or not version.archived]
    rows = [
        (
            each.version,
            when(each.created),
            each.asked_by,
            ", ".join(each.labels),
            _STATES[each.archived],
            _described(each),
        )
        for each in kept
    ]
    table = aligned([("VERSION", "REGISTERED", "BY", "LABELS", "STATE", "DESCRIPTION"), *rows])
    text = table if rows else "all versions are archived; --archived shows them"
    say({"versions": [version.to_json() for version in kept]}, text, options)
    return 0


def reference_option(parser: argparse.ArgumentParser) -> None:
    """A version."""
    parser.add_argument("reference", metavar="REF", help="NAME:VERSION, NAME@LABEL, or NAME for the latest")


def show(options: argparse.Namespace) -> int:
    """All that is known of a version."""
    from ...config.catalog.reference import parse
    from ..wiring import open_workspace

    catalog = open_workspace().catalog_of(parse(options.reference).registry)
    version = catalog.get(options.reference)
    records = catalog.records(version)
    data = version.to_json() | {"records": [record.to_json() for record in records]}
    say(data, _shown(version, records), options)
    return 0


def diff_options(parser: argparse.ArgumentParser) -> None:
    """Of `diff`."""
    parser.add_argument("was", metavar="REF", help="a version")
    parser.add_argument("now", metavar="REF2", nargs="?", help="another version, to compare it with")
    locks = "compare two resolutions of REF: the last two, or by the numbers that `show` gives them"
    solve = "solve what was never built, to compare packages and layers too"
    parser.add_argument("--solve", action="store_true", help=solve)
    parser.add_argument("--locks", nargs="*", type=int, metavar="N", help=locks)


def diff(options: argparse.Namespace) -> int:
    """Two versions, or two resolutions of one."""
    from ...errors import SettingsError
    from ..progress import shown
    from ..version_diff import compare, compare_resolutions, recorded, solved
    from ..wiring import open_workspace

    if (options.now is None) == (options.locks is None):
        hint = "write `prebake env diff REF REF2` or `prebake env diff REF --locks`"
        raise SettingsError("diff takes two versions, or one and --locks", hint=hint)
    workspace, find = open_workspace(), solved if options.solve else recorded
    with shown(quiet=options.json) as progress:
        if options.now is None:
            found = compare_resolutions(options.was, options.locks, workspace, progress)
        else:
            was, now = (find(reference, workspace, progress) for reference in (options.was, options.now))
            found = compare(was, now, workspace, progress)
    say(found.to_json(), str(found), options)
    return 0


def _described(version: Version) -> str:
    return (version.environment.description or "").partition("\n")[0]


def _shown(version: Version, records: Iterable[Record]) -> str:
    import yaml

    from ...config.catalog.form import to_json
    from ...config.catalog.version import when
    from ..version_diff import resolutions

    tags = ", ".join(f"{name}={value}" for name, value in version.environment.tags)
    known = resolutions(records)
    images = {record.reference: record for record in records}.values()
    parts = [
        ("environment", version.title),
        ("description", version.environment.description or ""),
        ("tags", tags),
        ("labels", ", ".join(version.labels)),
        ("state", _STATES[version.archived]),
        ("registered", f"{when(version.created)} by {version.asked_by}"),
        ("definition", yaml.safe_dump(to_json(version.environment.definition), sort_keys=False)),
        ("resolved", "\n".join(f"{number}  {_resolved(each)}" for number, each in enumerate(known, 1))),
        ("images", "\n".join(f"{each.reference}  {when(each.last)}" for each in images)),
    ]
    return "\n".join(_part(label, text) for label, text in parts if text)


def _part(label: str, text: str) -> str:
    first, *others = text.splitlines()
    return "\n".join([f"{label:<12} {first}", *(f"{'':<12} {line}" for line in others)])


def _resolved(record: Record) -> str:
    from ...config.catalog.version import when

    lock: dict[str, Any] = json.loads(record.lock) if record.lock else {"conda": (), "pip": ()}
    packages = f"{len(lock['conda'])} conda and {len(lock['pip'])} pip packages"
    if jars := lock.get("spark", {}).get("jars"):
        packages += f", {len(jars)} jars for Spark"
    return f"{when(record.at)} by {record.asked_by} ({record.policy}): {packages} on {record.base}"
