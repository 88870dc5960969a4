"""`Catalog`: the verbs on registered environments; each is one transaction."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from ...errors import ConflictError
from .reference import ANONYMOUS, Reference, check_label, parse
from .registering import anonymous as as_anonymous
from .registering import checked, claim, held_by, insert_new, insert_version, named_by_content
from .rows import as_versions, find_records, find_row, known_names, rows_of
from .tables import deleted, labels, locks, names, records, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from ..definition import Environment
    from .database import Database
    from .version import Record, Version


class Catalog:
    """Registered environments in one database; any number of threads and processes may use it.

    Every verb raises Unreachable or StoreError when the database does not serve, and SettingsError for a
    reference that makes no sense or names nothing. A reference without version or label means `@latest`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(
        self, environment: Environment, *, asked_by: str, anonymous: bool = False, context: str = ""
    ) -> Version:
        """The version that holds `environment`: found, or made.

        Its own name and version are taken; without a version the next number, unless the latest version
        holds the same already. A found version takes over description and tags, as far as given.
        `anonymous` gives the version that is named by content, whatever the environment's name.
        `context` is the digest of its packed build context. Raises ConflictError.
        """
        environment = as_anonymous(environment, context) if anonymous else checked(environment)
        with self._database.writing() as connection:
            return _again(connection, _register(connection, environment, context, asked_by))

    def take_in(
        self, others: Sequence[tuple[Version, Sequence[Record]]], *, asked_by: str
    ) -> tuple[Version, ...]:
        """Register versions of another catalog with their records, all or none. Raises ConflictError."""
        taken = []
        with self._database.writing() as connection:
            for version, found in sorted(others, key=lambda other: other[0].name):  # all lock in one order
                given, context = version.environment, version.context
                known = as_anonymous(given, context) if version.name == ANONYMOUS else checked(given)
                made = _register(connection, known, context, asked_by)
                for record in found:
                    _record(connection, made, record)
                taken.append(_again(connection, made))
        return tuple(taken)

    def get(self, reference: str) -> Version:
        """The version a reference names, archived or not."""
        with self._database.reading() as connection:
            return as_versions(connection, [find_row(connection, parse(reference))])[0]

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions of a name, by number."""
        with self._database.reading() as connection:
            return as_versions(connection, rows_of(connection, name))

    def all(self) -> tuple[Version, ...]:
        """Every version of every name but the anonymous one."""
        with self._database.reading() as connection:
            rows = connection.execute(select(versions).where(versions.c.name != ANONYMOUS)).all()
            return as_versions(connection, rows)

    def names(self) -> list[str]:
        """Names that have a version."""
        with self._database.reading() as connection:
            return known_names(connection)

    def edit(self, reference: str, description: str | None, tags: Mapping[str, str | None]) -> Version:
        """Change what may change: None leaves the description as it is, and takes a tag away."""
        with self._database.writing() as connection:
            row = _claimed(connection, parse(reference))
            _describe(connection, row, description, tags)
            return _again(connection, row.id)

    def label(self, reference: str, label: str) -> Version:
        """Let `NAME@label` mean this version, and no other from now on."""
        check_label(label)
        with self._database.writing() as connection:
            row = _claimed(connection, parse(reference))
            _take_label(connection, row.name, label)
            connection.execute(insert(labels).values(name=row.name, label=label, version_id=row.id))
            return _again(connection, row.id)

    def unlabel(self, name: str, label: str) -> Version:
        """Take a label away; gives the version that had it."""
        check_label(label)
        with self._database.writing() as connection:
            row = _claimed(connection, Reference(name, label=label))
            _take_label(connection, name, label)
            return _again(connection, row.id)

    def archive(self, reference: str) -> None:
        """Hide a version, or a name with all its versions, from lists and `@latest`; references go on."""
        with self._database.writing() as connection:
            _set_archived(connection, parse(reference), archived=True)

    def restore(self, reference: str) -> None:
        """Undo `archive`. Raises ConflictError for a version whose whole name is archived."""
        asked = parse(reference)
        with self._database.writing() as connection:
            if claim(connection, asked.name).archived and (asked.version or asked.label):
                hint = f"`prebake env restore {asked.name}` restores the name with its versions"
                raise ConflictError(f"all of `{asked.name}` is archived", hint=hint)
            _set_archived(connection, asked, archived=False)

    def delete(self, reference: str, *, asked_by: str) -> tuple[Record, ...]:
        """Forget a version, or all versions of a name, for good; their numbers are never given again.

        Gives what they were resolved to: images and layers stay. Raises ConflictError while a label points
        at one.
        """
        asked = parse(reference)
        with self._database.writing() as connection:
            claim(connection, asked.name)
            if asked.version or asked.label:
                rows: Sequence[Any] = [find_row(connection, asked)]
            else:
                rows = rows_of(connection, asked.name)
            return tuple(record for each in rows for record in _forget(connection, each, asked_by))

    def record(self, version: Version, record: Record) -> None:
        """Remember what `version` was resolved to; the same again only moves `last`."""
        with self._database.writing() as connection:
            row = _claimed(connection, Reference(version.name, version.version))
            _record(connection, row.id, record)

    def records(self, version: Version) -> tuple[Record, ...]:
        """All that `version` was ever resolved to, the oldest first."""
        with self._database.reading() as connection:
            row = find_row(connection, Reference(version.name, version.version))
            return find_records(connection, row.id)


def _register(connection: Connection, environment: Environment, context: str, asked_by: str) -> int:
    """The id of the version that holds `environment`."""
    name = claim(connection, environment.name or "")
    row = held_by(connection, environment, context)
    if row is None:
        return insert_version(connection, environment, name.last_number, context, asked_by)
    _describe(connection, row, environment.description, dict(environment.tags))
    return int(row.id)


def _record(connection: Connection, version_id: int, record: Record) -> None:
    key, now = named_by_content(record.lock), time.time()
    held = {"version_id": version_id, "lock_key": key, "image": record.image, "reference": record.reference}
    rest = {"base": record.base, "policy": record.policy, "asked_by": record.asked_by}
    insert_new(connection, locks, version_id=version_id, key=key, text=record.lock)
    insert_new(connection, records, **held, **rest, at=record.at or now, last=now)
    query = update(records).where(*(records.c[field] == value for field, value in held.items()))
    connection.execute(query.values(last=record.last or now))


def _claimed(connection: Connection, reference: Reference) -> Any:
    """The version's row, while nobody else changes anything below its name."""
    claim(connection, reference.name)
    return find_row(connection, reference)


def _again(connection: Connection, version_id: int) -> Version:
    row = connection.execute(select(versions).where(versions.c.id == version_id)).one()
    return as_versions(connection, [row])[0]


def _describe(
    connection: Connection, row: Any, description: str | None, tags: Mapping[str, str | None]
) -> None:
    merged = json.loads(row.tags) | dict(tags)
    kept = {name: value for name, value in merged.items() if value is not None}
    new = {"description": row.description if description is None else description, "tags": json.dumps(kept)}
    connection.execute(update(versions).where(versions.c.id == row.id).values(**new))


def _take_label(connection: Connection, name: str, label: str) -> None:
    connection.execute(delete(labels).where(labels.c.name == name, labels.c.label == label))


def _set_archived(connection: Connection, asked: Reference, *, archived: bool) -> None:
    claim(connection, asked.name)
    if asked.version or asked.label:
        query = update(versions).where(versions.c.id == find_row(connection, asked).id)
    else:
        rows_of(connection, asked.name)
        query = update(names).where(names.c.name == asked.name)
    connection.execute(query.values(archived=archived))


def _forget(connection: Connection, row: Any, asked_by: str) -> tuple[Record, ...]:
    pointing = connection.execute(select(labels.c.label).where(labels.c.version_id == row.id)).scalars().all()
    if pointing:
        facts = {"labels": ", ".join(sorted(pointing))}
        hint = "move or remove the labels first, or pass --force"
        raise ConflictError(f"labels point at `{row.name}:{row.version}`", facts=facts, hint=hint)
    found = find_records(connection, row.id)
    for table in (records, locks):
        connection.execute(delete(table).where(table.c.version_id == row.id))
    connection.execute(delete(versions).where(versions.c.id == row.id))
    if row.name != ANONYMOUS:  # whose versions are named by content: there the same is always the same
        values = {"name": row.name, "version": row.version, "at": time.time(), "asked_by": asked_by}
        connection.execute(insert(deleted).values(**values))
    return found
