"""One maker per name among threads and processes; whoever fails or dies is succeeded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from prebake.cache.digest import key_of
from prebake.cache.leases import Holder, Leases
from prebake.cache.single_flight import BUSY, Told, once, rather_once, try_once
from world.leasing import at_once
from world.postgres import postgres

NAME = str(key_of("pip/1", {"a": 1}))
DEADLINE = 60.0


class Failed(Exception):
    """A maker that fails on purpose."""


class Shelf:
    """A place for one result, which counts how often it is made."""

    def __init__(self, value: str | None = None) -> None:
        self.value = value
        self.made = 0

    def find(self) -> str | None:
        return self.value

    def make(self) -> str:
        self.made += 1
        self.value = f"made {self.made}"
        return self.value


class Watched(Leases):
    """Leases that tell when somebody looks who holds one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.looks = threading.Semaphore(0)

    def holder(self, name: str) -> Holder | None:
        found = super().holder(name)
        self.looks.release()
        return found


def fail() -> str:
    raise Failed


def unexpected(holder: Holder) -> None:
    raise AssertionError(holder)


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
    with sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS prebake_leases")
    return server


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(f"sqlite:///{tmp_path}/leases.db")


def test_many_processes_make_each_name_once(url: str, tmp_path: Path) -> None:
    lines = """
leases, names = Leases(url), ["a", "b", "c", "d", "e"]
random.shuffle(names)
for name in names:
    def find():
        return (folder / name).read_text() if (folder / name).exists() else None
    def make():
        with (folder / "made").open("a") as log:
            log.write(name)
        (folder / f"{name}.{number}").write_text(f"the {name}")
        (folder / f"{name}.{number}").rename(folder / name)
        return f"the {name}"
    assert once(name, leases, find, make, print) == f"the {name}"
"""
    at_once(20, lines, url, tmp_path)
    assert sorted((tmp_path / "made").read_text()) == ["a", "b", "c", "d", "e"]
    assert Leases(url).live() == []


def test_what_another_made_meanwhile_is_not_made_again(leases: Leases) -> None:
    shelf = Shelf("")
    assert once(NAME, leases, shelf.find, shelf.make, unexpected) == ""
    assert try_once(NAME, leases, shelf.find, shelf.make) == ""
    assert shelf.made == 0


def test_the_lease_is_given_back_whatever_happens(leases: Leases) -> None:
    for attempt in (
        lambda: once(NAME, leases, Shelf().find, fail, unexpected),
        lambda: try_once(NAME, leases, fail, Shelf().make),
    ):
        with pytest.raises(Failed):
            attempt()
        assert leases.live() == []


def test_busy_is_said_at_once_and_nothing_is_made(leases: Leases) -> None:
    shelf = Shelf()
    lease = leases.acquire(NAME)
    assert lease
    assert try_once(NAME, leases, shelf.find, shelf.make) is BUSY
    lease.release()
    assert try_once(NAME, leases, shelf.find, shelf.make) == "made 1"


def test_who_waits_is_told_once_and_takes_over_from_one_that_fails(url: str) -> None:
    leases, others, shelf, told = Leases(url), Watched(url), Shelf(), list[str]()
    making, waits = threading.Event(), threading.Event()

    def fail_late() -> str:
        making.set()
        assert waits.wait(DEADLINE)
        assert all(others.looks.acquire(timeout=DEADLINE) for _ in range(3))
        raise Failed

    def waiting(message: str) -> None:
        told.append(message)
        while others.looks.acquire(blocking=False):
            pass
        waits.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once, NAME, leases, shelf.find, fail_late, unexpected)
        assert making.wait(DEADLINE)
        second = pool.submit(once, NAME, others, shelf.find, shelf.make, Told(waiting))
        assert second.result(DEADLINE) == "made 1"
        assert isinstance(first.exception(DEADLINE), Failed)
    assert len(told) == 1
    assert f"process {os.getpid()}" in told[0]


def test_who_waited_finds_without_the_lease(leases: Leases, tmp_path: Path) -> None:
    """All who waited go on at once, none behind another."""
    shelf, held = Shelf(), list[int]()
    others = Watched(f"sqlite:///{tmp_path}/leases.db")

    def find() -> str | None:
        held.append(len(leases.live()))
        return shelf.find()

    lease = leases.acquire(NAME)
    assert lease
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(once, NAME, others, find, fail, print)
        assert others.looks.acquire(timeout=DEADLINE)
        shelf.value = "made elsewhere"
        lease.release()
        assert waiter.result(DEADLINE) == "made elsewhere"
    assert held == [0]


def test_nobody_waits_for_a_third_holder(leases: Leases) -> None:
    """So that many who wait for what fails do not fail one after the other."""
    shelf, held = Shelf(), [leases.acquire(NAME)]

    def next_holder(_: Holder) -> None:
        lease = held.pop()
        assert lease
        lease.release()
        held.append(leases.acquire(NAME))

    assert rather_once(NAME, leases, shelf.find, shelf.make, next_holder) == "made 1"
    assert leases.holder(NAME)


def test_a_wait_can_be_ended(leases: Leases) -> None:
    def enough(_: Holder) -> None:
        raise Failed

    lease = leases.acquire(NAME)
    with pytest.raises(Failed):
        rather_once(NAME, leases, Shelf().find, Shelf().make, enough)
    assert lease


def test_leases_that_cannot_be_used_are_done_without(tmp_path: Path) -> None:
    nowhere = Leases(f"sqlite:///{tmp_path}/nowhere/leases.db")
    assert rather_once(NAME, nowhere, Shelf().find, Shelf().make, unexpected) == "made 1"


def test_who_waits_takes_over_from_a_dead_maker(url: str) -> None:
    code = f"""
import sys, threading
from prebake.cache.leases import Holder, Leases
from prebake.cache.single_flight import once

def make():
    print("making", flush=True)
    threading.Event().wait()

once("{NAME}", Leases(sys.argv[1], 1.5), lambda: None, make, print)
"""
    shelf = Shelf()
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) as maker:
        try:
            assert maker.stdout
            assert maker.stdout.readline() == "making\n"
        finally:
            maker.kill()
    assert once(NAME, Leases(url), shelf.find, shelf.make, print) == "made 1"
