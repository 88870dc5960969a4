"""Who is making what: one row per name, kept alive by its holder, free again when the holder dies.

SQLite for one machine, PostgreSQL (psycopg 3) for many. Leases save work and decide nothing: results are
content-addressed, so a holder that lost its lease without knowing it (stopped by SIGSTOP, cut off from the
database) writes the same bytes as the one that took over. That is why nobody needs to ask `lease.lost`
before writing, why a release that fails is let pass, and why the table may vanish at any time.

    leases = Leases("sqlite:///STORE/leases.db")
    if lease := leases.acquire(str(key)):
        with lease:
            ...

A step's lease is named by its key, others by `lease_name`. A hit takes no lease and opens no database.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import StoreError, Unreachable
from .digest import key_of_inputs
from .lease_tables import check_url, open_database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .digest import Json
    from .lease_tables import Database


# Each of these is one statement and its own transaction, so it is atomic without any other lock.
_ACQUIRE = """
    INSERT INTO prebake_leases (key, holder, who, acquired, expires)
    VALUES (:key, :holder, :who, {now}, {now} + :expiry)
    ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, who = excluded.who,
        acquired = excluded.acquired, expires = excluded.expires
    WHERE prebake_leases.expires < {now} RETURNING holder"""
_RENEW = "UPDATE prebake_leases SET expires = {now} + :expiry WHERE holder {held} RETURNING holder"
_RELEASE = "DELETE FROM prebake_leases WHERE key = :key AND holder = :holder RETURNING holder"
_HOLDER = "SELECT key, who, acquired FROM prebake_leases WHERE key = :key AND expires >= {now}"
_LIVE = "SELECT key, who, acquired FROM prebake_leases WHERE expires >= {now} ORDER BY acquired"


def lease_name(inputs: Mapping[str, Json]) -> str:
    """Of what is no step, by what `key_inputs` returned.

    It starts with the recipe: whoever holds it takes leases of steps, and keys that collide must not make it
    wait for itself.
    """
    return f"{inputs['recipe']} {key_of_inputs(inputs)}"


@dataclass(frozen=True)
class Holder:
    """Who holds the lease of `name`, in words for people, and since when (seconds since the epoch)."""

    name: str
    who: str
    acquired: float


class Lease:
    """The right to make what has this name, until released. `lost` tells that another has it by now."""

    def __init__(self, name: str, token: str, leases: Leases) -> None:
        self.name = name
        self.lost = False
        self._token = token
        self._leases = leases

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give it back, if it is still ours; if the database cannot be told, the lease expires."""
        self._leases._release(self.name, self._token)


class Leases:
    """Leases in one database; any number of threads may use it.

    `expiry` is how many seconds a lease outlives its holder; it is renewed three times as often.
    Every verb raises Unreachable, StoreError or, for a url that makes no sense, SettingsError.
    """

    def __init__(self, url: str, expiry: float = 15.0) -> None:
        check_url(url)
        self._url = url
        self._expiry = expiry
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._changed = threading.Condition()  # guards the two below
        self._held: dict[str, Lease] = {}
        self._beating = False

    def acquire(self, name: str) -> Lease | None:
        """The lease of `name`, or None if another holds it."""
        token = os.urandom(16).hex()
        who = f"{os.uname().nodename}, process {os.getpid()}"
        if not self._run(_ACQUIRE, key=name, holder=token, who=who, expiry=self._expiry):
            return None
        lease = Lease(name, token, self)
        with self._changed:
            self._held[token] = lease
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="leases", daemon=True).start()
        return lease

    def holder(self, name: str) -> Holder | None:
        """Who holds the lease of `name`, if anyone does."""
        return next((Holder(*row) for row in self._run(_HOLDER, key=name)), None)

    def live(self) -> list[Holder]:
        """Who holds which leases, the oldest first."""
        return [Holder(*row) for row in self._run(_LIVE)]

    def _release(self, name: str, token: str) -> None:
        with self._changed:
            held = self._held.pop(token, None)
            self._changed.notify_all()
        if held:
            with contextlib.suppress(StoreError, Unreachable):  # it expires by itself
                self._run(_RELEASE, key=name, holder=token)

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
            self._database = self._database or open_database(self._url)
        return self._database.run(sql, parameters)
