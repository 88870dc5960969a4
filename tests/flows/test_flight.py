"""Many processes of one machine want an environment in a registry: what is missing there is sent once."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from building import Job, finish
from conftest import SampleWorld
from tiny import PARTS, SETTINGS, tiny_file
from world.faults import Fault, Proxy, Seen, proxy

DEADLINE = 60.0
EXPIRY = {"PREBAKE_LEASE_EXPIRY": "3"}


@dataclass(frozen=True)
class Desk:
    """Builds of one store that go to a registry whose requests are seen."""

    front: Proxy
    job: Job

    def asks(self, parts: int, to: str) -> Job:
        """A build of the first parts for a repository and tag."""
        file = tiny_file(self.job.store.parent / "files", PARTS[:parts])
        return replace(self.job, file=file, to=f"{self.front.host}/{self.job.store.parent.name}/{to}")

    def put(self, what: str) -> Counter[str]:
        """How often each blob or manifest was put."""
        paths = (unquote(seen.path) for seen in self.front.seen if seen.method == "PUT")
        return Counter(found[1] for path in paths if (found := re.search(what, path)))

    @contextmanager
    def held_upload(self, repository: str) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
        """A build that is sending its first blob there until the event, or for as long as this lasts."""
        reached, over = threading.Event(), threading.Event()

        def starts(seen: Seen) -> bool:
            return seen.method == "POST" and f"/{repository}/blobs/uploads/" in seen.path

        def late(body: bytes) -> bytes:
            reached.set()
            over.wait(DEADLINE)
            return body

        self.front.faults.append(Fault(starts, altered=late))
        try:
            with ended(self.asks(5, f"{repository}:v1").start()) as process:
                assert reached.wait(DEADLINE)
                yield process, over
        finally:
            over.set()


BLOB, MANIFEST = r"/blobs/uploads/.*(sha256:\w+)", r"/manifests/(.*)"


@pytest.fixture
def desk(tiny: SampleWorld, tmp_path: Path) -> Iterator[Desk]:
    extra = tuple((SETTINGS | EXPIRY).items())
    with proxy(tiny.registry) as front:
        yield Desk(front, Job(tiny, tmp_path, tmp_path / "store", extra=extra))


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def waiting(job: Job) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A build that waits for another, and for whom it says so."""
    with ended(
        subprocess.Popen(job.command, env=job.environ(), text=True, stdout=subprocess.PIPE, stderr=-1)
    ) as process:
        assert process.stderr
        yield process, next(line for line in process.stderr if "waiting for it" in line)


def at_once(jobs: list[Job]) -> tuple[set[str], Counter[str]]:
    """The digests that they give, and how often each layer was built."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        results = list(pool.map(finish, [job.start() for job in jobs]))
    layers = [layer for result in results for layer in result.data["layers"]]
    built = Counter(layer["digest"] for layer in layers if layer["outcome"] == "built")
    return {result.digest for result in results}, built


def test_the_same_is_built_and_sent_once(desk: Desk) -> None:
    images, built = at_once([desk.asks(5, "team:v1")] * 12)
    assert len(images) == 1
    assert set(built.values()) == {1}
    assert set(desk.put(BLOB).values()) == {1}
    assert set(desk.put(MANIFEST).values()) == {1}, "who waited had nothing to push"


def test_what_different_ones_share_is_sent_once(desk: Desk) -> None:
    images, built = at_once([desk.asks(3 + number, f"team:v{number}") for number in range(8)])
    assert len(images) == 8
    assert set(built.values()) == {1}
    assert set(desk.put(BLOB).values()) == {1}


def test_what_the_store_has_is_sent_once(desk: Desk) -> None:
    replace(desk.asks(5, ""), to="").run()
    with desk.held_upload("team") as (first, over), waiting(desk.asks(5, "team:v1")) as (second, heard):
        assert f"process {first.pid} sends the same layer" in heard
        over.set()
        assert (first.wait(DEADLINE), second.wait(DEADLINE)) == (0, 0)
    assert set(desk.put(BLOB).values()) == {1}


def test_repositories_do_not_wait_for_each_other(desk: Desk) -> None:
    with desk.held_upload("team") as (first, _):
        assert desk.asks(5, "other:v1").run().digest
        assert first.poll() is None


def test_one_that_is_killed_while_it_sends_is_succeeded(desk: Desk) -> None:
    job = desk.asks(5, "team:v1")
    with desk.held_upload("team") as (victim, _), waiting(job) as (waiter, heard):
        assert f"process {victim.pid} builds the same environment" in heard
        victim.kill()
        assert waiter.wait(DEADLINE) == 0
    assert job.run().data["bytes_pushed"] == 0


def test_who_waits_may_be_interrupted(desk: Desk) -> None:
    with desk.held_upload("team") as (first, _), waiting(desk.asks(5, "team:v1")) as (waiter, _):
        waiter.send_signal(signal.SIGINT)
        assert waiter.wait(DEADLINE) == 130
        assert first.poll() is None


def test_each_is_told_why_it_fails(desk: Desk) -> None:
    file = desk.job.store.parent / "none.yml"
    file.write_text("channels: [conda-forge]\ndependencies: [python=3.11, nobody-made-this]\n")
    failing = replace(desk.asks(5, "team:v1"), file=file)
    ends = [(process.communicate()[1], process.returncode) for process in [failing.start() for _ in range(6)]]
    assert {code for _, code in ends} == {3}
    assert all("nobody-made-this" in errors for errors, _ in ends)
