"""Rows of the catalog as values, and how a reference finds them; reads only."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ...errors import SettingsError
from ..definition import Environment
from ..places import did_you_mean
from .form import from_json
from .reference import ANONYMOUS, LATEST
from .tables import deleted, labels, locks, names, records, versions
from .version import Record, Version, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from .reference import Reference

_SHOWN = 10  # of what there is, in an error
_AT_ONCE = 10_000  # names in a query: SQLite takes 32,766 parameters by default, PostgreSQL 65,535


def find_row(connection: Connection, reference: Reference) -> Any:
    """The row of the version that `reference` names. Raises SettingsError with what was probably meant."""
    if reference.version:
        query = select(versions).where(
            versions.c.name == reference.name, versions.c.version == reference.version
        )
        found = connection.execute(query).first()
    elif reference.label and reference.label != LATEST:
        on = versions.join(labels, versions.c.id == labels.c.version_id)
        query = select(versions).select_from(on)
        query = query.where(labels.c.name == reference.name, labels.c.label == reference.label)
        found = connection.execute(query).first()
    else:
        found = latest_row(connection, reference.name)
    if found is None:
        raise _nothing(connection, reference)
    return found


def latest_row(connection: Connection, name: str) -> Any:
    """The version registered last among those that are not archived themselves, if there is one."""
    query = select(versions).where(versions.c.name == name, versions.c.archived.is_(False))
    return connection.execute(query.order_by(versions.c.id.desc()).limit(1)).first()


def rows_of(connection: Connection, name: str) -> Sequence[Any]:
    """The rows of all versions of a name, the newest first. Raises SettingsError if it has none."""
    query = select(versions).where(versions.c.name == name).order_by(versions.c.id.desc())
    rows = connection.execute(query).all()
    if not rows:
        hint = did_you_mean(name, known_names(connection)) or "`prebake env list` shows what there is"
        raise SettingsError(f"there is no environment `{name}`", hint=hint)
    return rows


def as_versions(connection: Connection, rows: Sequence[Any]) -> tuple[Version, ...]:
    """The rows with their labels, in the order of names, versions by number."""
    held: dict[int, list[str]] = {}
    archived: set[str] = set()
    asked = sorted({row.name for row in rows})
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        held |= _labels(connection, some)
        query = select(names.c.name).where(names.c.archived, names.c.name.in_(some))
        archived |= set(connection.execute(query).scalars())
    made = [_version(row, row.archived or row.name in archived, tuple(held.get(row.id, ()))) for row in rows]
    return tuple(sorted(made, key=lambda version: (version.name, natural(version.version))))


def natural(version: str) -> list[tuple[int, str]]:
    """How versions sort: runs of digits as numbers.

    >>> sorted(["10", "9", "22.02-py3", "22.1"], key=natural)
    ['9', '10', '22.1', '22.02-py3']
    """
    parts = re.split(r"(\d+)", version)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts if part]


def find_records(connection: Connection, version_id: int) -> tuple[Record, ...]:
    """What a version was resolved to, the oldest first."""
    on = records.join(
        locks, (records.c.lock_key == locks.c.key) & (records.c.version_id == locks.c.version_id)
    )
    query = select(records, locks.c.text).select_from(on).where(records.c.version_id == version_id)
    rows = connection.execute(query.order_by(records.c.id))
    fields = ("base", "image", "reference", "policy", "asked_by", "at", "last")
    return tuple(Record(row.text, **{field: getattr(row, field) for field in fields}) for row in rows)


def known_names(connection: Connection) -> list[str]:
    """Names that have a version, the anonymous one left out."""
    query = select(versions.c.name).distinct().where(versions.c.name != ANONYMOUS)
    return sorted(connection.execute(query).scalars())


def _labels(connection: Connection, asked: Sequence[str]) -> dict[int, list[str]]:
    """Labels by the id of the version they point at, `latest` first."""
    # a look-up in the index for each name; GROUP BY would read all versions
    newest = select(func.max(versions.c.id)).where(
        versions.c.name == names.c.name, versions.c.archived.is_(False)
    )
    query = select(newest.scalar_subquery()).where(names.c.name.in_(asked), names.c.name != ANONYMOUS)
    found = {version_id: [LATEST] for version_id in connection.execute(query).scalars() if version_id}
    own = select(labels).where(labels.c.name.in_(asked)).order_by(labels.c.label)
    for row in connection.execute(own):
        found.setdefault(row.version_id, []).append(row.label)
    return found


def _version(row: Any, archived: bool, labels: tuple[str, ...]) -> Version:
    environment = Environment(
        from_json(json.loads(row.definition)),
        row.name,
        row.version,
        row.description,
        tuple(json.loads(row.tags).items()),
    )
    return Version(environment, row.created, row.asked_by, archived, labels, row.context)


def gone(row: Any) -> SettingsError:
    """The error about a version that was deleted."""
    facts = {"deleted": f"{when(row.at)} by {row.asked_by}"}
    hint = "register it as another version: a reference never comes to mean something else"
    return SettingsError(f"`{row.name}:{row.version}` was deleted", facts=facts, hint=hint)


def _nothing(connection: Connection, reference: Reference) -> SettingsError:
    name, version, label = reference.name, reference.version, reference.label
    at = (deleted.c.name == name, deleted.c.version == (version or ""))
    if tombstone := connection.execute(select(deleted).where(*at)).first():
        return gone(tombstone)
    known = [row.version for row in rows_of(connection, name)]
    facts = {"environment": name, "versions": ", ".join(known[:_SHOWN])}
    if version:
        hint = did_you_mean(version, known) or f"`prebake env versions {name}` shows all"
        return SettingsError(f"there is no version `{version}`", facts=facts, hint=hint)
    if label and label != LATEST:
        given = sorted(connection.execute(select(labels.c.label).where(labels.c.name == name)).scalars())
        facts = {"environment": name, "labels": ", ".join([LATEST, *given])}
        hint = did_you_mean(label, given) or f"`prebake env label {name}:VERSION {label}` sets it"
        return SettingsError(f"there is no label `{label}`", facts=facts, hint=hint)
    hint = f"name a version, or restore one with `prebake env restore {name}:VERSION`"
    return SettingsError("all versions are archived", facts=facts, hint=hint)
