"""The database behind a catalog: SQLite for one machine, PostgreSQL (psycopg 3) for many.

Whoever opens one brings its tables up to date, in one transaction that keeps all others out: SQLite by
its write lock, PostgreSQL by an advisory lock.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, TimeoutError

from ...errors import PrebakeError, SettingsError, StoreError, Unreachable
from .tables import HEAD, REVISION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import SQLAlchemyError

_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_PATIENCE_SECONDS = 60
_MIGRATING = 0x70726562616B65  # the advisory lock; "prebake" in ASCII, so that nobody else takes it


class Database:
    """Connections to one database whose tables are up to date."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises Unreachable, StoreError."""
        with self._told(), self._engine.connect() as connection:
            yield connection.execution_options(prebake_begin="BEGIN")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept if the block ends well. Raises Unreachable, StoreError."""
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, TimeoutError) as error:
            raise _refusal(self._engine.url, error) from error


def open_database(url: str) -> Database:
    """Connect, and make or upgrade the tables. Raises SettingsError, Unreachable, StoreError."""
    engine = _engine(_checked(url))
    database = Database(engine)
    with database.reading() as connection:
        current = _revision(connection)
    if current != HEAD:
        with database.writing() as connection:
            _upgrade(connection)
    return database


def _checked(url: str) -> URL:
    """The url with its driver. Its text is not shown: what cannot be parsed may hold a password anywhere."""
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    except (ArgumentError, ValueError, KeyError):
        parsed = None
    if parsed is None or not parsed.database or parsed.database == ":memory:":
        allowed = "sqlite:////FOLDER/catalog.db\npostgresql+psycopg://USER@HOST/DATABASE"
        hint = "correct the setting `catalog`, or leave it out: the store's folder then holds the catalog"
        raise SettingsError("the url of the catalog makes no sense", facts={"allowed": allowed}, hint=hint)
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url,
            pool_size=2,
            pool_timeout=_PATIENCE_SECONDS,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        facts = {"folder": folder, "reason": error.strerror}
        raise StoreError(
            "the catalog's folder cannot be made", facts=facts, hint="correct the setting `catalog`"
        ) from error
    engine = create_engine(url, connect_args={"timeout": _PATIENCE_SECONDS})
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engine


def _connected(connection: object, _: object) -> None:
    """Leave transactions to `_begun`: by itself the driver begins late, and two that read first clash."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[attr-defined]


def _begun(connection: Connection) -> None:
    """Take the write lock at once, unless the transaction only reads."""
    connection.exec_driver_sql(connection.get_execution_options().get("prebake_begin", "BEGIN IMMEDIATE"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {REVISION_TABLE}").scalar()


def _upgrade(connection: Connection) -> None:
    """Bring the tables to HEAD, whoever else tries; whoever comes second finds nothing to do."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes |= {"connection": connection, "version_table": REVISION_TABLE}
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        facts = {"revision": _revision(connection), "known": HEAD}
        hint = "update prebake on this machine; nothing was changed"
        raise StoreError("the catalog was made by a newer prebake", facts=facts, hint=hint) from error


def _refusal(url: URL, error: SQLAlchemyError) -> PrebakeError:
    # neither the password nor the query, which may hold one too
    shown = url.set(password=None, query={})
    reason = str(getattr(error, "orig", error)).partition("\n")[0]
    facts = {"database": str(shown), "reason": reason}
    if url.get_backend_name() == "sqlite":
        hint = "is the disk full, the file another's, or its folder read-only? The setting `catalog` moves it"
        return StoreError("the catalog cannot be used", facts=facts, hint=hint)
    if isinstance(error, OperationalError | InterfaceError | TimeoutError):
        hint = "is PostgreSQL up, and may this user connect?"
        return Unreachable("the catalog's database does not answer", facts=facts, hint=hint)
    hint = "may this user create, read and write tables there?"
    return StoreError("the catalog's database refused a statement", facts=facts, hint=hint)
