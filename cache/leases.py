"""Who is making what: one row per key, kept alive by its holder, free again when the holder dies.

SQLite for one machine, PostgreSQL (psycopg 3) for many. Leases save work and decide nothing: results are
content-addressed, so a holder that lost its lease without knowing it (stopped by SIGSTOP, cut off from the
database) writes the same bytes as the one that took over. That is why nobody needs to ask `lease.lost`
before writing, why a release that fails is let pass, and why the table may vanish at any time.

    leases = Leases("sqlite:///STORE/leases.db")
    if lease := leases.acquire(key):
        with lease:
            ...

SQLAlchemy is imported when the first statement runs (0.3 s); a hit takes no lease and never pays that.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PrebakeError, SettingsError, StoreError, Unreachable
from .digest import Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_SCHEMES = ("sqlite:///", "postgresql+psycopg://")
_PATIENCE_SECONDS = 60.0  # with other processes that write to the same SQLite file

# The database's clock, in seconds since the epoch: between machines no other is comparable, and on SQLite it
# is read after the wait for the file's lock, not before.
_NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(extract(epoch FROM now()) AS double precision)",
}
# Unlogged: no wait for the disk; after a crash of the server the table is empty, as if all had expired.
_CREATE = {
    "sqlite": ("PRAGMA journal_mode=WAL", "CREATE TABLE IF NOT EXISTS {table}"),
    "postgresql": ("CREATE UNLOGGED TABLE IF NOT EXISTS {table}",),
}
_TABLE = """prebake_leases (
    key VARCHAR(32) PRIMARY KEY, holder VARCHAR(32) NOT NULL, who TEXT NOT NULL,
    acquired DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION NOT NULL)"""
# Each of these is one statement and its own transaction, so it is atomic without any other lock.
_ACQUIRE = """
    INSERT INTO prebake_leases (key, holder, who, acquired, expires)
    VALUES (:key, :holder, :who, {now}, {now} + :expiry)
    ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, who = excluded.who,
        acquired = excluded.acquired, expires = excluded.expires
    WHERE prebake_leases.expires < {now} RETURNING holder"""
_RENEW = "UPDATE prebake_leases SET expires = {now} + :expiry WHERE holder IN :holders RETURNING holder"
_RELEASE = "DELETE FROM prebake_leases WHERE key = :key AND holder = :holder RETURNING holder"
_HOLDER = "SELECT key, who, acquired FROM prebake_leases WHERE key = :key AND expires >= {now}"
_LIVE = "SELECT key, who, acquired FROM prebake_leases WHERE expires >= {now} ORDER BY acquired"


@dataclass(frozen=True)
class Holder:
    """Who holds the lease of `key`, in words for people, and since when (seconds since the epoch)."""

    key: Key
    who: str
    acquired: float


class Lease:
    """The right to make what `key` names, until released. `lost` tells that another has it by now."""

    def __init__(self, key: Key, token: str, leases: Leases) -> None:
        self.key = key
        self.lost = False
        self._token = token
        self._leases = leases

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give it back, if it is still ours; if the database cannot be told, the lease expires."""
        self._leases._release(self.key, self._token)


class Leases:
    """Leases in one database; any number of threads may use it.

    `expiry` is how many seconds a lease outlives its holder; it is renewed three times as often.
    Every verb raises Unreachable, StoreError or, for a url that makes no sense, SettingsError.
    """

    def __init__(self, url: str, expiry: float = 15.0) -> None:
        if not url.startswith(_SCHEMES):
            raise _bad_url()
        self._url = url
        self._expiry = expiry
        self._opening = threading.Lock()
        self._database: _Database | None = None
        self._changed = threading.Condition()  # guards the two below
        self._held: dict[str, Lease] = {}
        self._beating = False

    def acquire(self, key: Key) -> Lease | None:
        """The lease of `key`, or None if another holds it."""
        token = os.urandom(16).hex()
        who = f"{os.uname().nodename}, process {os.getpid()}"
        if not self._run(_ACQUIRE, key=key.hex, holder=token, who=who, expiry=self._expiry):
            return None
        lease = Lease(key, token, self)
        with self._changed:
            self._held[token] = lease
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="leases", daemon=True).start()
        return lease

    def holder(self, key: Key) -> Holder | None:
        """Who holds the lease of `key`, if anyone does."""
        return next((_holder(row) for row in self._run(_HOLDER, key=key.hex)), None)

    def live(self) -> list[Holder]:
        """Who holds which leases, the oldest first."""
        return [_holder(row) for row in self._run(_LIVE)]

    def _release(self, key: Key, token: str) -> None:
        with self._changed:
            held = self._held.pop(token, None)
            self._changed.notify_all()
        if held:
            with contextlib.suppress(StoreError, Unreachable):  # it expires by itself
                self._run(_RELEASE, key=key.hex, holder=token)

    def _beat(self) -> None:
        """Renew all that is held, until nothing is."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._held, self._expiry / 3):
                    self._beating = False
                    return
                held = list(self._held)
            with contextlib.suppress(StoreError, Unreachable):  # the next beat tries again
                self._renew(held)

    def _renew(self, held: list[str]) -> None:
        renewed = {row[0] for row in self._run(_RENEW, holders=held, expiry=self._expiry)}
        with self._changed:
            for token in set(held) - renewed:
                if lease := self._held.pop(token, None):  # else it was released meanwhile
                    lease.lost = True

    def _run(self, sql: str, **parameters: object) -> Sequence[Any]:
        with self._opening:
            self._database = self._database or _Database(self._url)
        return self._database.run(sql, parameters)


def _holder(row: Any) -> Holder:
    return Holder(Key(row[0]), row[1], row[2])


def _bad_url() -> SettingsError:
    # not even the url: what cannot be parsed may hold a password anywhere
    allowed = "\n".join(f"{scheme}..." for scheme in _SCHEMES)
    return SettingsError("the url of the lease database makes no sense", facts={"allowed": allowed})


class _Database:
    """Runs single statements on either kind of database and makes the table when it is not there."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import NullPool, create_engine, event, make_url
        from sqlalchemy.exc import ArgumentError

        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError):
            raise _bad_url() from None  # SQLAlchemy's words may hold the url
        self._kind = self._url.get_backend_name()
        if self._kind == "sqlite" and self._url.database in (None, "", ":memory:"):
            raise _bad_url()  # it would be another one for each connection
        # SQLite: a connection for each statement, as one that is kept would go on writing to a deleted file;
        # and one idle, as a process that closes its last one flushes the file to the disk.
        self._idle: Connection | None = None
        special: dict[str, Any]
        if self._kind == "sqlite":
            special = {"poolclass": NullPool, "connect_args": {"timeout": 1.0, "check_same_thread": False}}
        else:
            special = {"pool_size": 2, "max_overflow": 0, "pool_timeout": _PATIENCE_SECONDS}
            special |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
        self._engine = create_engine(self._url, isolation_level="AUTOCOMMIT", **special)
        if self._kind == "sqlite":  # no flush per statement either (6 ms in all); WAL keeps the file whole
            event.listen(self._engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=NORMAL"))

    def run(self, sql: str, parameters: dict[str, object]) -> Sequence[Any]:
        """The rows of one statement."""
        from sqlalchemy import bindparam, text
        from sqlalchemy.exc import DBAPIError, TimeoutError

        statement = text(sql.format(now=_NOW[self._kind]))
        if "holders" in parameters:
            statement = statement.bindparams(bindparam("holders", expanding=True))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._attempt(statement, parameters)
            except (DBAPIError, TimeoutError) as error:
                if not _RACES & _codes(error) or time.monotonic() > deadline:
                    raise self._refusal(error) from error
                time.sleep(0.01)

    def _attempt(self, statement: Executable, parameters: dict[str, object]) -> Sequence[Any]:
        from sqlalchemy.exc import DBAPIError

        if self._kind == "sqlite" and not self._idle:
            idle = self._engine.connect()
            self._create(idle)
            self._idle = idle
        with self._engine.connect() as connection:
            try:
                return connection.execute(statement, parameters).all()
            except DBAPIError as error:
                if not _no_table(error):
                    raise
            self._create(connection)
            return connection.execute(statement, parameters).all()

    def _create(self, connection: Connection) -> None:
        for create in _CREATE[self._kind]:
            connection.exec_driver_sql(create.format(table=_TABLE)).close()

    def _refusal(self, error: SQLAlchemyError) -> PrebakeError:
        from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        if self._kind == "sqlite":
            facts = {"file": self._url.database, "reason": reason}
            hint = next((_HINTS[code] for code in _codes(error) if code in _HINTS), "")
            return StoreError("the lease database cannot be used", facts=facts, hint=hint)
        shown = self._url.set(query={}).render_as_string(hide_password=True)  # a query may hold one too
        facts = {"database": shown, "reason": reason}
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


def _codes(error: SQLAlchemyError) -> set[str]:
    """SQLite's result code and the primary one it extends, or PostgreSQL's SQLSTATE."""
    original = getattr(error, "orig", None)
    code = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None) or ""
    return {code, "_".join(code.split("_")[:2])}


def _no_table(error: DBAPIError) -> bool:
    return "42P01" in _codes(error) or "no such table" in str(error.orig)
