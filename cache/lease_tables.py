"""The table of leases in SQLite or PostgreSQL: single statements, each a transaction of its own."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import PrebakeError, SettingsError, StoreError, Unreachable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.exc import SQLAlchemyError

_SQLITE = "sqlite:///"
_SCHEMES = (_SQLITE, "postgresql+psycopg://")
_PATIENCE_SECONDS = 60.0  # with other processes that write to the same SQLite file

# The database's clock, in seconds since the epoch: between machines no other is comparable, and on SQLite it
# is read after the wait for the file's lock, not before.
_SQLITE_NOW = "((julianday('now') - 2440587.5) * 86400.0)"
_POSTGRES_NOW = "CAST(extract(epoch FROM now()) AS double precision)"
_NO_TABLE = "42P01"
_TABLE = """prebake_leases (
    key TEXT PRIMARY KEY, holder VARCHAR(32) NOT NULL, who TEXT NOT NULL,
    acquired DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION NOT NULL)"""


def open_database(url: str) -> Database:
    """The database behind `url`; connects when it is first asked. Raises SettingsError."""
    if not url.startswith(_SQLITE):
        return _Postgres(url)
    file = url.removeprefix(_SQLITE)
    if not file or file == ":memory:":
        raise _bad_url()
    return _Sqlite(file)


def check_url(url: str) -> None:
    """Raise SettingsError for a database that leases cannot be in."""
    if not url.startswith(_SCHEMES):
        raise _bad_url()


def _bad_url() -> SettingsError:
    # not even the url: what cannot be parsed may hold a password anywhere
    allowed = "\n".join(f"{scheme}..." for scheme in _SCHEMES)
    hint = "write for instance postgresql+psycopg://prebake@db.example.com/prebake"
    return SettingsError(
        "the url of the lease database makes no sense", facts={"allowed": allowed}, hint=hint
    )


class Database(Protocol):
    """Runs single statements, and makes the table when it is not there."""

    def run(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Any]:
        """The rows of one statement."""


class _Sqlite:
    """The standard library's driver alone: SQLAlchemy takes 0.3 s to import, as long as building a layer."""

    def __init__(self, file: str) -> None:
        self._file = file
        # A connection for each statement, as one that is kept would go on writing to a deleted file; and one
        # idle, as a process that closes its last one flushes the file to the disk.
        self._idle: sqlite3.Connection | None = None

    def run(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Any]:
        """The rows of one statement. Raises StoreError."""
        import sqlite3

        statement = sql.format(now=_SQLITE_NOW, held="IN (SELECT value FROM json_each(:holders))")
        values = {name: json.dumps(each) if name == "holders" else each for name, each in parameters.items()}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._attempt(statement, values)
            except sqlite3.Error as error:
                if not _RACES & _codes(error) or time.monotonic() > deadline:
                    raise self._refusal(error) from error
                time.sleep(0.01)

    def _attempt(self, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
        import sqlite3

        if not self._idle:
            idle = self._connect()
            self._create(idle)
            self._idle = idle
        with contextlib.closing(self._connect()) as connection:
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
            self._create(connection)
            return connection.execute(statement, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        connection = sqlite3.connect(self._file, timeout=5.0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")  # no flush per statement; WAL keeps the file whole
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE}")

    def _refusal(self, error: sqlite3.Error) -> StoreError:
        hint = next((_HINTS[code] for code in _codes(error) if code in _HINTS), "")
        facts = {"file": self._file, "reason": error}
        return StoreError("the lease database cannot be used", facts=facts, hint=hint)


class _Postgres:
    """Through SQLAlchemy, for its pool, its time-outs and its parsing of the url."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import ArgumentError

        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError):
            raise _bad_url() from None  # SQLAlchemy's words may hold the url
        if not self._url.database:
            raise _bad_url()
        self._engine = create_engine(
            self._url,
            isolation_level="AUTOCOMMIT",
            pool_size=2,
            max_overflow=0,
            pool_timeout=_PATIENCE_SECONDS,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )

    def run(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Any]:
        """The rows of one statement. Raises Unreachable, StoreError."""
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError, TimeoutError

        statement = text(sql.format(now=_POSTGRES_NOW, held="= ANY(:holders)"))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._attempt(statement, parameters)
            except (DBAPIError, TimeoutError) as error:
                if not _RACES & _codes(getattr(error, "orig", None)) or time.monotonic() > deadline:
                    raise self._refusal(error) from error
                time.sleep(0.01)

    def _attempt(self, statement: Executable, parameters: Mapping[str, object]) -> Sequence[Any]:
        from sqlalchemy.exc import DBAPIError

        with self._engine.connect() as connection:
            try:
                return connection.execute(statement, dict(parameters)).all()
            except DBAPIError as error:
                if _NO_TABLE not in _codes(error.orig):
                    raise
            # Unlogged: no wait for the disk; after a crash of the server it is empty, as if all had expired.
            connection.exec_driver_sql(f"CREATE UNLOGGED TABLE IF NOT EXISTS {_TABLE}").close()
            return connection.execute(statement, dict(parameters)).all()

    def _refusal(self, error: SQLAlchemyError) -> PrebakeError:
        from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

        # neither the password nor the query, which may hold one too
        shown = self._url.set(password=None, query={})
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        facts = {"database": str(shown), "reason": reason}
        if isinstance(error, OperationalError | InterfaceError | TimeoutError):
            hint = "is PostgreSQL up, and may this user connect? Builds on one machine can do without it"
            return Unreachable("the lease database does not answer", facts=facts, hint=hint)
        hint = f"may this user create, read and write the table {_TABLE.split()[0]}?"
        return StoreError("the lease database refused a statement", facts=facts, hint=hint)


# What a later attempt does not meet: other writers, others that make the table, a file that was deleted.
_RACES = {
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_READONLY_DBMOVED"),
    *("23505", "42P07", "42710"),  # PostgreSQL: the same name, found at three moments of CREATE TABLE
}
_HINTS = {
    "SQLITE_BUSY": "another process writes to it and does not end: is one stopped?",
    "SQLITE_FULL": "free some space or point the store elsewhere",
    "SQLITE_IOERR": "the disk is full or fails: free some space or point the store elsewhere",
    "SQLITE_READONLY": "give this user write permission or point the store elsewhere",
    "SQLITE_CANTOPEN": "its folder must be there, and this user must be allowed to write in it",
    "SQLITE_CORRUPT": "delete it: nothing in it outlives a build",
    "SQLITE_NOTADB": "delete it: nothing in it outlives a build",
}


def _codes(error: BaseException | None) -> set[str]:
    """SQLite's result code and the primary one it extends, or PostgreSQL's SQLSTATE."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or ""
    return {code, "_".join(code.split("_")[:2])}
