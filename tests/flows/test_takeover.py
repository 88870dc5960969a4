"""Whoever holds a lease and dies is succeeded: the next build makes what was not finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import prebake
from building import Job
from conftest import SampleWorld
from prebake.cache.leases import Leases
from prebake.flows.wiring import Workspace
from tiny import PARTS, SETTINGS, Heard, build, outcomes, tiny_file, tiny_machine
from world.postgres import postgres

DEADLINE = 60.0
_HOLDER = """
import sys, threading
from prebake.cache.leases import Leases
leases = Leases(sys.argv[1], expiry=3)
held = [leases.acquire(name) for name in sys.argv[2:]]
print(all(held), flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True)
class Shop:
    """An environment, the leases of its layers, its digest if nobody disturbs, and what machines share."""

    tiny: SampleWorld
    folder: Path
    file: Path
    digest: str
    names: tuple[str, ...]
    leases: Leases
    shared: dict[str, str]

    @property
    def environment(self) -> prebake.Environment:
        return prebake.load(self.file, image=self.tiny.base)

    def machine(self, name: str) -> Workspace:
        return tiny_machine(self.tiny, self.folder / name, **self.shared)

    def held_by(self, process: subprocess.Popen[str]) -> bool:
        """Whether the process holds the lease of a layer."""
        of = f"process {process.pid}"
        return any(holder.name in self.names and holder.who.endswith(of) for holder in self.leases.live())


@pytest.fixture
def shop(tiny: SampleWorld, tmp_path: Path) -> Iterator[Shop]:
    file = tiny_file(tmp_path / "files", PARTS)
    alone = prebake.ensure(
        prebake.load(file, image=tiny.base), workspace=tiny_machine(tiny, tmp_path / "alone")
    )
    names = tuple(str(layer.planned.key) for layer in alone.image.layers)
    with postgres() as url:
        shared = {"PREBAKE_WORKSPACE": f"{tiny.registry}/{tmp_path.name}/cache", "PREBAKE_LEASES": url}
        yield Shop(tiny, tmp_path, file, str(alone.image.digest), names, Leases(url), shared)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_dead_holder_of_all_leases_is_succeeded(shop: Shop) -> None:
    held = [sys.executable, "-c", _HOLDER, shop.shared["PREBAKE_LEASES"], *shop.names]
    holder = subprocess.Popen(held, stdout=subprocess.PIPE, text=True)
    heard = Heard()
    try:
        assert holder.stdout and holder.stdout.readline() == "True\n"
        with ThreadPoolExecutor(1) as pool:
            waiter = pool.submit(build, shop.environment, shop.machine("waiter"), None, heard)
            until(lambda: waiter.done() or any("makes the same" in message for message in heard.messages))
            assert not waiter.done()
            holder.kill()
            built = waiter.result(DEADLINE)[0]
    finally:
        holder.kill()
        holder.communicate()
    assert str(built.image.digest) == shop.digest
    assert outcomes(built) == {"built"}
    assert f"process {holder.pid} makes the same" in " ".join(heard.messages)


def test_a_build_that_is_killed_is_finished_by_one_that_waits(shop: Shop) -> None:
    victim = Job(shop.tiny, shop.file, shop.folder / "victim", extra=tuple((SETTINGS | shop.shared).items()))
    with ThreadPoolExecutor(1) as pool:
        killed = victim.start()
        try:
            until(lambda: shop.held_by(killed) or killed.poll() is not None)
            waiter = pool.submit(build, shop.environment, shop.machine("waiter"))
            stop_holding(killed, shop)
            killed.kill()
        finally:
            killed.kill()
            killed.communicate()
        assert shop.held_by(killed)
        built = waiter.result(DEADLINE)[0]
    assert str(built.image.digest) == shop.digest
    assert "built" in outcomes(built)
    after = prebake.ensure(shop.environment, workspace=shop.machine("later"))
    assert (str(after.image.digest), outcomes(after)) == (shop.digest, {"hit-workspace"})
    assert str(prebake.ensure(shop.environment, workspace=shop.machine("victim")).image.digest) == shop.digest


def stop_holding(process: subprocess.Popen[str], shop: Shop) -> None:
    """Stop the process at a moment when it holds a layer's lease."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        os.kill(process.pid, signal.SIGSTOP)
        if shop.held_by(process):
            return
        os.kill(process.pid, signal.SIGCONT)
        assert process.poll() is None, "it was over before it could be stopped"
    raise AssertionError("it held no lease")
