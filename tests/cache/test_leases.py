"""Leases on both databases: one holder at a time among real processes, and none that outlives its holder."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy

from prebake.cache.digest import key_of
from prebake.cache.leases import Lease, Leases
from prebake.errors import SettingsError, StoreError, Unreachable
from world.leasing import at_once
from world.postgres import PASSWORD, postgres

T = TypeVar("T")
NAME = str(key_of("pip/1", {"a": 1}))
OTHER = str(key_of("pip/1", {"a": 2}))
DEADLINE = 60.0
EXPIRY = 1.5

# Holds NAME until it is killed, and tells when it lost it.
HOLD = f"""
import sys, time
from prebake.cache.leases import Leases
lease = Leases(sys.argv[1], {EXPIRY}).acquire("{NAME}")
print("held" if lease else "refused", flush=True)
while not lease.lost:
    time.sleep(0.01)
lease.release()
print("lost", flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without the table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/leases.db"
    server: str = request.getfixturevalue("server")
    execute(server, "DROP TABLE IF EXISTS prebake_leases")
    return server


def execute(url: str, statement: str) -> None:
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def taken(leases: Leases, name: str = NAME) -> Lease:
    lease = leases.acquire(name)
    assert lease, "it should have been free"
    return lease


def until(ask: Callable[[], T | None]) -> T:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.01)
    raise AssertionError("it never happened")


@contextmanager
def holding(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds NAME."""
    with subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_one_of_many_threads_gets_it(url: str) -> None:
    leases, barrier = Leases(url), threading.Barrier(30)

    def compete(_: int) -> Lease | None:
        barrier.wait(DEADLINE)
        return leases.acquire(NAME)

    with ThreadPoolExecutor(30) as pool:
        got = [lease for lease in pool.map(compete, range(30)) if lease]
    assert len(got) == 1
    got[0].release()


def test_processes_never_hold_it_together(url: str, tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    lines = """
leases = Leases(url)
for _ in range(5):
    while (lease := leases.acquire('counter')) is None:
        time.sleep(0.002)
    with lease:
        os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
        counted = int((folder / "counter").read_text())
        (folder / "counter").write_text(str(counted + 1))
        (folder / "inside").unlink()
"""
    at_once(20, lines, url, tmp_path)
    assert (tmp_path / "counter").read_text() == "100"


def test_fifty_processes_start_with_no_table(url: str, tmp_path: Path) -> None:
    lines = "with Leases(url).acquire(str(number)): (folder / str(number)).touch()"
    at_once(50, lines, url, tmp_path)
    assert sum((tmp_path / str(number)).exists() for number in range(50)) == 50
    assert Leases(url).live() == []


def test_released_is_free_and_other_names_always_were(url: str) -> None:
    ours, theirs = Leases(url), Leases(url)
    with taken(ours) as lease:
        assert ours.acquire(NAME) is None
        assert theirs.acquire(NAME) is None
        taken(theirs, OTHER).release()
    again = taken(theirs)
    lease.release()
    assert ours.acquire(NAME) is None, "a second release must not free what another took"
    again.release()


def test_a_loser_that_has_not_noticed_frees_nothing(url: str) -> None:
    with taken(Leases(url)):
        execute(url, "UPDATE prebake_leases SET expires = 0")
        successor = taken(Leases(url))
    assert Leases(url).holder(NAME)
    successor.release()


def test_who_holds_what_since_when(url: str) -> None:
    leases = Leases(url)
    assert leases.holder(NAME) is None
    with taken(leases, OTHER), taken(leases, NAME):
        holder = leases.holder(NAME)
        assert holder
        assert holder.name == NAME
        assert f"process {os.getpid()}" in holder.who
        assert abs(holder.acquired - time.time()) < DEADLINE
        assert [live.name for live in leases.live()] == [OTHER, NAME]
    assert leases.live() == []


def test_a_killed_holder_is_succeeded(url: str) -> None:
    leases = Leases(url, EXPIRY)
    with holding(url) as process:
        holder = leases.holder(NAME)
        assert holder
        assert f"process {process.pid}" in holder.who
        assert leases.acquire(NAME) is None
        process.kill()
        until(lambda: leases.acquire(NAME)).release()


def test_a_lease_outlives_many_expiries_while_its_holder_lives(url: str) -> None:
    leases = Leases(url, 0.6)
    with taken(leases) as lease, taken(leases, OTHER):
        end = time.monotonic() + 4 * 0.6
        while time.monotonic() < end:
            assert len(leases.live()) == 2
            assert leases.acquire(NAME) is None
        assert not lease.lost


def test_a_stopped_holder_notices_that_it_lost(url: str) -> None:
    leases = Leases(url, EXPIRY)
    with holding(url) as process:
        process.send_signal(signal.SIGSTOP)
        lease = until(lambda: leases.acquire(NAME))
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=DEADLINE)[0] == "lost\n"
        holder = leases.holder(NAME)
        assert holder
        assert f"process {os.getpid()}" in holder.who, "the loser released what was not its own"
        lease.release()


def test_the_heartbeat_ends_with_the_last_lease(url: str) -> None:
    def beating() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "leases"]

    until(lambda: not beating() or None)  # those of earlier tests
    leases = Leases(url)
    one, two = taken(leases), taken(leases, OTHER)
    assert len(beating()) == 1
    one.release()
    assert len(beating()) == 1
    two.release()
    until(lambda: not beating() or None)


def test_a_deleted_file_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    leases = Leases(f"sqlite:///{path}", 0.6)
    with taken(leases) as lease:
        path.unlink()
        taken(leases, OTHER).release()
        taken(Leases(f"sqlite:///{path}")).release()
        until(lambda: lease.lost or None)
    assert path.exists()


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    leases = Leases(f"sqlite:///{path}")
    taken(leases).release()
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, ThreadPoolExecutor(1) as pool:
        writer.execute("BEGIN IMMEDIATE")
        waiter = pool.submit(taken, leases)
        with pytest.raises(TimeoutError):  # longer than SQLite waits by itself
            waiter.result(2.5)
        writer.execute("COMMIT")
        waiter.result(DEADLINE).release()


def test_who_makes_the_table_second_uses_the_first_ones(server: str) -> None:
    execute(server, "DROP TABLE IF EXISTS prebake_leases, model")
    taken(Leases(server)).release()
    execute(server, "ALTER TABLE prebake_leases RENAME TO model")
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    engine = sqlalchemy.create_engine(server)
    with engine.connect() as first, engine.connect() as watcher, ThreadPoolExecutor(1) as pool:
        first.exec_driver_sql("CREATE TABLE prebake_leases (LIKE model INCLUDING ALL)")
        second = pool.submit(taken, Leases(server))
        until(lambda: watcher.exec_driver_sql(blocked).scalar() or watcher.rollback())
        first.commit()
        second.result(DEADLINE).release()


def test_a_restarted_server_is_not_noticed(server: str) -> None:
    leases = Leases(server)
    taken(leases).release()
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    execute(server, f"{others} AND backend_type = 'client backend'")
    taken(leases).release()


def test_one_machine_needs_no_sqlalchemy(tmp_path: Path) -> None:
    """It takes as long to import as a layer takes to build."""
    code = f"""
import sys
from prebake.cache.leases import Leases
Leases("sqlite:///{tmp_path}/leases.db").acquire("x").release()
assert "sqlalchemy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://u:s3cret@h/db",
        "u:s3cret@h",
        "postgresql+psycopg://u:s3cret@h:port/db",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_makes_no_sense_is_refused_unseen(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Leases(url).acquire(NAME)
    assert "s3" not in str(caught.value)


def test_a_silent_server_is_named_without_its_password(server: str) -> None:
    closed = server.replace(f"@{server.split('@')[1]}", "@127.0.0.1:1/db?password=s3cret-too")
    refused = server.replace(PASSWORD, "s3cret-that-is-wrong")
    for url in (closed, refused):
        with pytest.raises(Unreachable) as caught:
            Leases(url).acquire(NAME)
        assert "s3cret" not in str(caught.value)
        assert "@127.0.0.1:" in caught.value.facts["database"]
        assert caught.value.hint


def test_a_refused_statement_is_told(server: str) -> None:
    execute(server, "DROP TABLE IF EXISTS prebake_leases")
    execute(server, "CREATE TABLE prebake_leases (key text)")
    with pytest.raises(StoreError, match="prebake_leases"):
        Leases(server).acquire(NAME)
    execute(server, "DROP TABLE prebake_leases")


def test_a_file_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database\n" * 1000)
    for name, hint in (("absent/leases.db", "folder"), ("text", "delete it")):
        with pytest.raises(StoreError, match=hint) as caught:
            Leases(f"sqlite:///{tmp_path}/{name}").acquire(NAME)
        assert caught.value.facts["file"] == f"{tmp_path}/{name}"


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    code = f"""
import resource
from prebake.cache.leases import Leases
leases = Leases("sqlite:///{tmp_path}/leases.db")
leases.acquire("x").release()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
leases.acquire("x")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "StoreError: error: the lease database cannot be used" in done.stderr
    assert "hint: " in done.stderr
    assert "free some space" in done.stderr
