"""Grades: used within the horizon, in vain, too young to tell; requests met and missed."""

from __future__ import annotations

from dataclasses import dataclass

from prebake.flows.warming.grade import Grade, grade
from prebake.flows.warming.history import DROPPED, FAILED, WARMED, Event

HORIZON = 100.0


@dataclass(frozen=True)
class Asked:
    at: float
    digest: str


def graded(events: list[Event], asked: list[Asked], now: float = 1000.0) -> list[Grade]:
    return grade(events, asked, HORIZON, now)


def event(at: float, what: str, digest: str, target: str = "node") -> Event:
    return Event(at, what, target, digest)


def test_used_within_the_horizon_or_in_vain() -> None:
    events = [event(10, WARMED, "a"), event(10, WARMED, "b"), event(950, WARMED, "c")]
    asked = [Asked(50, "a"), Asked(111, "b")]
    assert graded(events, asked) == [Grade("node", used=1, unused=1, pending=1, met=2, missed=0)]


def test_needed_but_not_there() -> None:
    events = [event(10, WARMED, "a"), event(60, DROPPED, "a"), event(70, FAILED, "b")]
    asked = [Asked(5, "b"), Asked(20, "a"), Asked(65, "a"), Asked(80, "b")]
    (found,) = graded(events, asked)
    assert (found.used, found.met, found.missed) == (1, 1, 2)
    assert (found.precision, found.recall) == (1.0, 1 / 3)


def test_each_target_for_itself() -> None:
    events = [event(10, WARMED, "a", "one"), event(30, WARMED, "a", "two")]
    one, two = graded(events, [Asked(20, "a")])
    assert (one.target, one.used, one.met) == ("one", 1, 1)
    assert (two.target, two.used, two.unused, two.met, two.missed) == ("two", 0, 1, 0, 0)
    assert two.recall is None


def test_dropped_before_anybody_asked_is_in_vain() -> None:
    (found,) = graded([event(990, WARMED, "a"), event(995, DROPPED, "a")], [])
    assert (found.unused, found.pending, found.precision) == (1, 0, 0.0)
