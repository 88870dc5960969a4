"""A real registry tells of its pushes, twice if it likes; polls make up for what it does not tell."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.errors import SettingsError
from prebake.flows.bases.follow import Policy, Result
from prebake.flows.bases.notify import listening, pushed
from prebake.flows.bases.watch import Pace, Watch, watch
from prebake.flows.progress import Silent
from tiny import tiny_machine
from world import services

from .conftest import Base, Fleet

if TYPE_CHECKING:
    from conftest import SampleWorld

DEADLINE = 90.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@contextmanager
def running(watched: Watch) -> Iterator[list[Result]]:
    """The watch in a thread; what it did."""
    done: list[Result] = []
    stop = threading.Event()
    arguments = (watched, Policy(), Silent(), done.extend, stop.is_set)
    thread = threading.Thread(target=watch, args=arguments)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        watched.hear("nothing", "any")
        thread.join()


def test_a_push_is_followed_at_once_and_only_once(tiny: SampleWorld, program: bytes, tmp_path: Path) -> None:
    machine = tiny_machine(tiny, tmp_path / "store", PREBAKE_SMOKE_TEST="")
    watched = Watch(machine, Pace(3600, 3600))
    with listening("127.0.0.1:0", watched.hear) as url, services.registry(tmp_path / "r", tells=url) as own:
        fleet = Fleet(Base(f"{own.host}/team/base:1", tmp_path, program), machine, tmp_path)
        fleet.base.move("first")
        fleet.build(2)
        watched.turn()  # the first look, after which polls are an hour away
        with running(watched) as done:
            digest = fleet.base.move("patched")
            until(lambda: len(done) == 2)
            for _ in range(2):
                watched.hear("team/base", "1")
            second = fleet.base.move("patched again")
            until(lambda: len(done) == 4)
        assert [result.digest for result in done] == [str(digest)] * 2 + [str(second)] * 2
        assert {result.outcome for result in done} == {"rebuilt"}
        while not watched.heard.empty():
            watched.heard.get()


def test_a_poll_finds_what_nobody_told(fleet: Fleet) -> None:
    fleet.build(1)
    watched = Watch(fleet.machine, Pace(0.01, 0.05))
    with running(watched) as done:
        fleet.base.move("patched")
        until(lambda: len(done) == 1)
        until(lambda: all(at > time.time() - 60 for at in watched.due.values()))
    assert len(done) == 1


def test_what_failed_is_left_alone_until_the_base_moves_again(fleet: Fleet) -> None:
    fleet.build(1)
    watched = Watch(fleet.machine, Pace(0.01, 0.05))
    with running(watched) as done:
        fleet.base.move("other", glibc="2.41")
        until(lambda: len(done) == 1)
        looks = dict(watched.due)
        until(lambda: watched.due != looks)
        fleet.base.move("back")
        until(lambda: len(done) == 2)
    assert [result.outcome for result in done] == ["held", "rebuilt"]


def test_a_pace_is_jittered_within_its_bounds() -> None:
    found = {Pace(10, 60).next(1000.0) for _ in range(50)}
    assert len(found) > 40
    assert min(found) >= 1010.0 and max(found) <= 1060.0


def test_only_pushes_of_tags_are_heard() -> None:
    events = [
        {"action": "push", "target": {"repository": "a", "tag": "1"}},
        {"action": "push", "target": {"repository": "a", "digest": "sha256:x"}},
        {"action": "pull", "target": {"repository": "b", "tag": "1"}},
    ]
    assert pushed(json.dumps({"events": events}).encode()) == [("a", "1")]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"events": [{}]}', b'{"events": [1]}'])
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    heard: list[tuple[str, str]] = []
    with listening("127.0.0.1:0", lambda *told: heard.append(told)) as url:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, data=body, timeout=DEADLINE)
        assert caught.value.code == 400
        urllib.request.urlopen(url, data=b'{"events": []}', timeout=DEADLINE)
    assert heard == []


@pytest.mark.parametrize("place", ["127.0.0.1", "127.0.0.1:many", "203.0.113.1:80"])
def test_a_place_where_nobody_can_listen(place: str) -> None:
    with pytest.raises(SettingsError, match="cannot listen"), listening(place, lambda *_: None):
        pass
