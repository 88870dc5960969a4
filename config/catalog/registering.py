"""What registering decides: which version holds an environment, and when that is a conflict."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import xxhash
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ...errors import ConflictError, SettingsError
from .difference import changes, meaning
from .form import from_json, to_json
from .reference import ANONYMOUS, check_name, check_version
from .rows import gone, latest_row
from .tables import deleted, names, versions

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from ..definition import Definition, Environment
    from .difference import Change

_DIGITS = 18  # what fits a BIGINT; a longer number is a text like any other


def checked(environment: Environment) -> Environment:
    """The environment, if its identity can be registered. Raises SettingsError."""
    if environment.name is None:
        hint = "add `name:` to the file, or pass --name"
        raise SettingsError("an environment without a name cannot be registered", hint=hint)
    check_name(environment.name)
    if environment.version is not None:
        check_version(environment.version)
    return environment


def anonymous(environment: Environment, context: str) -> Environment:
    """The environment under the name and version that its content gives it; no description or tags."""
    version = named_by_content(json.dumps(meaning(environment.definition, context), sort_keys=True))
    return replace(environment, name=ANONYMOUS, version=version, description=None, tags=())


def named_by_content(text: str) -> str:
    """xxh3_128 of a text, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(text.encode())


def claim(connection: Connection, name: str) -> Any:
    """The row of `name`, made if need be, and locked until the transaction ends."""
    insert_new(connection, names, name=name, archived=False, last_number=0)
    return connection.execute(select(names).where(names.c.name == name).with_for_update()).one()


def insert_new(connection: Connection, table: Table, **row: object) -> None:
    """Insert a row unless one with its key is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**row).on_conflict_do_nothing())


def held_by(connection: Connection, environment: Environment, context: str) -> Any:
    """The row that holds `environment` already, if one does. Raises ConflictError."""
    definition = environment.definition
    if environment.version is None:
        row = latest_row(connection, environment.name or "")
        return row if row is not None and not _differing(row, definition, context) else None
    at = (versions.c.name == environment.name, versions.c.version == environment.version)
    row = connection.execute(select(versions).where(*at)).first()
    if row is not None and (differing := _differing(row, definition, context)):
        raise _conflict(environment, differing)
    at = (deleted.c.name == environment.name, deleted.c.version == environment.version)
    if tombstone := connection.execute(select(deleted).where(*at)).first():
        error = gone(tombstone)
        raise ConflictError(error.sentence, facts=error.facts, hint=error.hint)
    return row


def insert_version(
    connection: Connection, environment: Environment, last_number: int, context: str, asked_by: str
) -> int:
    """The id of a new version, named by the next number after `last_number` unless it has a version."""
    version = environment.version or str(last_number + 1)
    definition = to_json(environment.definition)
    if context:
        definition["build"]["path"] = "context"  # a folder of the machine that registered it says nothing
    row = {
        "name": environment.name,
        "version": version,
        "description": environment.description,
        "tags": json.dumps(dict(environment.tags)),
        "definition": json.dumps(definition),
        "context": context,
        "archived": False,
        "created": time.time(),
        "asked_by": asked_by,
    }
    made = connection.execute(insert(versions).values(**row)).inserted_primary_key
    if version.isascii() and version.isdecimal() and len(version) <= _DIGITS and int(version) > last_number:
        query = update(names).where(names.c.name == environment.name)
        connection.execute(query.values(last_number=int(version)))
    assert made
    return int(made[0])


def _differing(row: Any, definition: Definition, context: str) -> tuple[Change, ...]:
    was = meaning(from_json(json.loads(row.definition)), row.context)
    return changes(was, meaning(definition, context))


def _conflict(environment: Environment, differing: tuple[Change, ...]) -> ConflictError:
    return ConflictError(
        f"`{environment.title}` is registered with another definition",
        facts={change.field: change.text for change in differing},
        hint="leave the version out, or give a new one: a registered version never changes",
    )
