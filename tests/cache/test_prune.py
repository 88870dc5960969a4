"""Prune: the plan keeps what roots reach and what is young; carrying it out harms nobody who builds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebake.cache.digest import Digest, Key, key_inputs, key_of_inputs
from prebake.cache.directory import DirectoryStore
from prebake.cache.inventory import BlobFile, TraceFile, incomplete, list_blobs, list_traces
from prebake.cache.oci import Descriptor
from prebake.cache.pins import list_pins, parse_held, pin, pinned, unpin
from prebake.cache.prune import (
    OVER_BUDGET,
    TOO_OLD,
    Limits,
    Prune,
    Roots,
    last_used,
    plan_prune,
)
from prebake.cache.store import Miss, Reason, Trace
from prebake.cache.sweep import Told, pruning, sweep
from prebake.cache.tombstones import SECONDS, tombstone
from prebake.errors import SettingsError, StoreError

NOW = 1_000.0
NOBODY = Told()


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


def key(number: int) -> Key:
    return Key(f"{number:032x}")


# -- the plan


@st.composite
def states(draw: st.DrawFn) -> tuple[list[TraceFile], list[BlobFile], Roots, Limits]:
    times = st.integers(0, int(NOW)).map(float)
    blobs = [
        BlobFile(digest(n), draw(st.integers(0, 50)), draw(times)) for n in range(draw(st.integers(0, 8)))
    ]
    reach = st.lists(st.integers(0, 9), max_size=4, unique=True)  # 8 and 9 are never there
    problems = st.sampled_from(["", "", "", Reason.DAMAGED.value])
    traces = []
    for n in range(draw(st.integers(0, 8))):
        problem = draw(problems)
        reached = () if problem else tuple(map(digest, draw(reach)))
        traces.append(TraceFile(key(n), draw(times), "x/1", reached, problem=problem))
    keys, digests = draw(st.sets(st.integers(0, 9))), draw(st.sets(st.integers(0, 9), max_size=2))
    roots = Roots(frozenset(map(key, keys)), frozenset(map(digest, digests)))
    limits = Limits(draw(times), draw(st.integers(0, 1000)), draw(st.integers(0, 200)))
    return traces, blobs, roots, limits


@given(states())
def test_what_roots_reach_stays(
    state: tuple[list[TraceFile], list[BlobFile], Roots, Limits],
) -> None:
    traces, blobs, roots, limits = state
    plan = plan_prune(traces, blobs, roots, limits, NOW)
    gone = {eviction.trace.key for eviction in plan.traces}
    rooted = [trace for trace in traces if trace.key in roots.keys or roots.digests & set(trace.blobs)]
    assert not gone & {trace.key for trace in rooted}
    held = roots.digests | {each for trace in rooted for each in trace.blobs}
    assert not held & {blob.digest for blob in plan.blobs}
    parts = {trace.key for trace in traces if trace.blobs and trace.blobs[0] in held}
    assert not gone & parts, "the traces of a pinned image's layers"


@given(states())
def test_what_is_young_stays(state: tuple[list[TraceFile], list[BlobFile], Roots, Limits]) -> None:
    traces, blobs, roots, limits = state
    plan = plan_prune(traces, blobs, roots, limits, NOW)
    assert all(eviction.trace.used <= limits.cutoff for eviction in plan.traces)
    assert all(blob.used <= limits.cutoff for blob in plan.blobs)


@given(states())
def test_no_trace_that_stays_loses_a_blob_and_nothing_unreached_stays(
    state: tuple[list[TraceFile], list[BlobFile], Roots, Limits],
) -> None:
    traces, blobs, roots, limits = state
    plan = plan_prune(traces, blobs, roots, limits, NOW)
    gone = {eviction.trace.key for eviction in plan.traces}
    reached = {each for trace in traces if trace.key not in gone for each in trace.blobs} | roots.digests
    expected = [blob for blob in blobs if blob.digest not in reached and blob.used <= limits.cutoff]
    assert list(plan.blobs) == expected
    assert plan.kept_bytes == sum(blob.size for blob in blobs) - sum(blob.size for blob in expected)


@given(states())
def test_what_stays_is_within_the_limits_unless_it_must(
    state: tuple[list[TraceFile], list[BlobFile], Roots, Limits],
) -> None:
    traces, blobs, roots, limits = state
    plan, used = plan_prune(traces, blobs, roots, limits, NOW), last_used(traces, roots)
    gone = {eviction.trace.key for eviction in plan.traces}
    free = [trace for trace in traces if trace.key not in gone and used(trace) <= limits.cutoff]
    assert not [trace for trace in free if trace.problem or used(trace) < NOW - limits.max_age]
    assert plan.kept_bytes <= limits.max_bytes or not [trace for trace in free if trace.blobs]


@given(states())
def test_the_least_recently_used_goes_first_and_no_further_than_needed(
    state: tuple[list[TraceFile], list[BlobFile], Roots, Limits],
) -> None:
    traces, blobs, roots, limits = state
    plan, used = plan_prune(traces, blobs, roots, limits, NOW), last_used(traces, roots)
    over = [eviction.trace for eviction in plan.traces if eviction.why == OVER_BUDGET]
    gone = {eviction.trace.key for eviction in plan.traces}
    stay = [used(trace) for trace in traces if trace.blobs and trace.key not in gone]
    assert all(used(trace) <= min(stay, default=used(trace)) for trace in over)
    if over:
        without = [trace for trace in traces if trace.key not in gone or trace.key == over[-1].key]
        reached = {each for trace in without for each in trace.blobs} | roots.digests
        kept = sum(b.size for b in blobs if b.digest in reached or b.used > limits.cutoff)
        assert kept > limits.max_bytes, "the last one did not have to go"


def image(number: int, used: float, *layers: int) -> list[TraceFile]:
    """As builds record: environment/1 and image/1 with manifest and layers, looked at on a hit; older layer
    traces with layer and listing."""
    manifest = digest(100 + number)
    reach = (manifest, *map(digest, layers))
    made = [TraceFile(key(n), 1.0, "conda/1", (digest(n), digest(50 + n)), 10) for n in layers]
    return [
        TraceFile(key(200 + number), used, "environment/1", reach),
        TraceFile(key(300 + number), 1.0, "image/1", reach),
        *made,
    ]


def lying(traces: list[TraceFile], size: int = 10) -> list[BlobFile]:
    return [BlobFile(each, size, 1.0) for each in sorted({each for trace in traces for each in trace.blobs})]


def recipes(plan: Prune) -> list[tuple[str, str]]:
    return [(eviction.trace.recipe, eviction.trace.key.hex[-3:]) for eviction in plan.traces]


def test_a_hit_keeps_the_traces_of_layers_it_does_not_look_at() -> None:
    hot, cold = image(0, 990.0, 1, 2), image(1, 1.0, 2, 3)
    traces = list({trace.key: trace for trace in hot + cold}.values())
    plan = plan_prune(traces, lying(traces), Roots(), Limits(995.0, max_age=100.0), NOW)
    assert recipes(plan) == [("environment/1", "0c9"), ("image/1", "12d"), ("conda/1", "003")]
    assert {eviction.why for eviction in plan.traces} == {TOO_OLD}
    assert [blob.digest for blob in plan.blobs] == sorted([digest(101), digest(3), digest(53)])


def test_under_a_budget_an_image_goes_before_its_layers() -> None:
    traces = image(0, 990.0, 1) + image(1, 5.0, 2, 3)
    blobs = lying(traces)
    plan = plan_prune(traces, blobs, Roots(), Limits(995.0, max_bytes=10 * len(blobs) - 30), NOW)
    assert recipes(plan) == [("environment/1", "0c9"), ("image/1", "12d"), ("conda/1", "002")]
    assert [blob.digest for blob in plan.blobs] == [digest(2), digest(52), digest(101)]


# -- carrying it out


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def recorded(store: DirectoryStore, name: str, *shared: bytes, **notes: int) -> Trace:
    """A trace with a blob of its own and some that others have too."""
    datas = (f"the blob of {name}".encode(), *shared)
    blobs = tuple(Descriptor("text/plain", store.put_bytes(data), len(data)) for data in datas)
    inputs = key_inputs("test/1", {"name": name})
    trace = Trace(key_of_inputs(inputs), inputs, {"n": 1}, blobs, notes)
    store.record(trace)
    return trace


def age(store: DirectoryStore, seconds: float) -> None:
    """Make everything in the store older than it is."""
    for path in (*store.root.glob("traces/*/*"), *store.root.glob("blobs/sha256/*")):
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


def plan_now(store: DirectoryStore, limits: Limits) -> Prune:
    blobs = list_blobs(store)
    traces = incomplete(list_traces(store), blobs)
    return plan_prune(traces, blobs, pinned(list_pins(store)), limits, time.time())


def prune(store: DirectoryStore, grace: float, max_age: float = 0.0) -> Prune:
    with pruning(store, lambda: None):
        cutoff = time.time() - grace
        plan = plan_now(store, Limits(cutoff, max_age))
        sweep(store, plan, cutoff, time.time(), NOBODY)
    return plan


def complete(store: DirectoryStore, trace: Trace) -> bool:
    return isinstance(store.look(trace.key, trace.inputs), Trace) and not store.missing(trace.blobs)


def missed(store: DirectoryStore, trace: Trace) -> Reason | None:
    found = store.look(trace.key, trace.inputs)
    return found.reason if isinstance(found, Miss) else None


def test_what_is_old_goes_and_what_it_shares_stays(store: DirectoryStore) -> None:
    old = recorded(store, "old", b"shared")
    age(store, 1000)
    new = recorded(store, "new", b"shared")
    plan = prune(store, 500)
    assert [(each.trace.key, each.why) for each in plan.traces] == [(old.key, TOO_OLD)]
    assert missed(store, old) is Reason.NEVER
    assert store.missing(old.blobs) == {old.blobs[0].digest}
    assert complete(store, new)
    assert not list((store.root / "trash").iterdir())


def test_a_trace_in_use_keeps_a_blob_that_is_old(store: DirectoryStore) -> None:
    trace = recorded(store, "a")
    age(store, 1000)
    assert complete(store, trace)
    assert not prune(store, 500).traces
    assert complete(store, trace)


def test_damaged_and_incomplete_traces_go(store: DirectoryStore) -> None:
    damaged, emptied = recorded(store, "damaged"), recorded(store, "emptied")
    (store.root / "traces" / damaged.key.hex[:2] / f"{damaged.key.hex}.json").write_text("{")
    store.path(emptied.blobs[0].digest).unlink()
    age(store, 1000)
    whys = {each.trace.key: each.why for each in prune(store, 500, float("inf")).traces}
    assert whys == {damaged.key: Reason.DAMAGED.value, emptied.key: Reason.BLOBS_GONE.value}
    assert store.missing(damaged.blobs)


def test_what_nothing_reaches_goes_when_it_is_old_enough(store: DirectoryStore) -> None:
    left = store.put_bytes(b"left by a killed build")
    prune(store, 500)
    assert store.path(left).exists()
    age(store, 1000)
    prune(store, 500)
    assert not store.path(left).exists()


def planned_then(store: DirectoryStore, trace: Trace) -> tuple[Prune, float]:
    """A plan that takes `trace`."""
    age(store, 1000)
    cutoff = time.time() - 500
    plan = plan_now(store, Limits(cutoff, 0.0))
    assert trace.key in {eviction.trace.key for eviction in plan.traces}
    return plan, cutoff


@pytest.mark.parametrize("use", ["look", "record", "pin", "pin image"])
def test_a_trace_that_is_used_after_the_plan_stays_whole(store: DirectoryStore, use: str) -> None:
    trace = recorded(store, "a", b"another")
    plan, cutoff = planned_then(store, trace)
    match use:
        case "look":
            assert complete(store, trace)
        case "record":
            store.record(trace)
        case "pin":
            pin(store, "p", [trace.key])
        case "pin image":
            pin(store, "p", [trace.blobs[0].digest])
    evicted: list[object] = []
    with pruning(store, lambda: None):
        sweep(store, plan, cutoff, time.time(), Told(evicted.append, evicted.append))
    assert evicted == []
    assert complete(store, trace)
    assert tombstone(store, trace.key) is None


def test_a_touch_between_rename_and_look_brings_a_trace_back(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest race: a look-up that has read the trace touches it just before it is renamed."""
    trace = recorded(store, "a")
    plan, cutoff = planned_then(store, trace)
    rename = Path.rename

    def slow(path: Path, target: Path) -> Path:
        assert complete(store, trace)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", slow)
    with pruning(store, lambda: None):
        sweep(store, plan, cutoff, time.time(), NOBODY)
    assert complete(store, trace)


def test_a_trace_recorded_while_the_old_one_is_away_is_not_replaced(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = recorded(store, "a")
    plan, cutoff = planned_then(store, trace)
    newer = Trace(trace.key, trace.inputs, {"n": 2}, trace.blobs)
    rename = Path.rename

    def slow(path: Path, target: Path) -> Path:
        assert complete(store, trace)
        moved = rename(path, target)
        store.record(newer)
        return moved

    monkeypatch.setattr(Path, "rename", slow)
    with pruning(store, lambda: None):
        sweep(store, plan, cutoff, time.time(), NOBODY)
    found = store.look(trace.key, trace.inputs)
    assert found == newer
    assert complete(store, trace)


def test_a_second_prune_waits_for_the_first(store: DirectoryStore) -> None:
    waits, inside = threading.Event(), threading.Event()
    order: list[str] = []

    def second() -> None:
        with pruning(store, waits.set):
            order.append("second")
            inside.set()

    with pruning(store, lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        order.append("first")
    thread.join()
    assert inside.is_set()
    assert order == ["first", "second"]


KILLED = """
import os, signal, sys
from functools import partial
sys.path.insert(0, {tests!r})
from test_prune import DirectoryStore, prune

def counted(call, *arguments, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*arguments, **options)

store, left = DirectoryStore(__import__("pathlib").Path({root!r})), {left}
for name in ("rename", "replace", "link", "unlink"):
    setattr(os, name, partial(counted, getattr(os, name)))
prune(store, 500)
"""


def test_a_prune_killed_before_any_of_its_steps_leaves_a_store_that_works(tmp_path: Path) -> None:
    """No blob of a trace that stays is gone, no trace is without record, and the next prune finishes it."""
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        store = DirectoryStore(tmp_path / str(step))
        old = [recorded(store, name, b"shared", b"old") for name in ("first", "second")]
        age(store, 1000)
        new = recorded(store, "new", b"shared")
        text = KILLED.format(tests=str(Path(__file__).parent), root=str(store.root), left=step)
        code = subprocess.run([sys.executable, "-c", text], check=False).returncode
        traces, there = list_traces(store), {blob.digest for blob in list_blobs(store)}
        assert all(there.issuperset(trace.blobs) for trace in traces)
        here = {trace.key.hex for trace in traces} | {path.stem for path in store.root.glob("trash/*")}
        assert all(trace.key.hex in here or tombstone(store, trace.key) for trace in old)
        prune(store, 500)
        assert [trace.key for trace in list_traces(store)] == [new.key]
        assert complete(store, new)
        assert {blob.digest for blob in list_blobs(store)} == {blob.digest for blob in new.blobs}
        assert not list((store.root / "trash").iterdir())
    assert (code, step > 10) == (0, True)


def test_what_a_killed_prune_left_in_trash_comes_back(store: DirectoryStore) -> None:
    trace = recorded(store, "a")
    (store.root / "trash").mkdir()
    for path in (*store.root.glob("traces/*/*"), *store.root.glob("blobs/sha256/*")):
        path.rename(store.root / "trash" / path.name)
    prune(store, 500)
    assert complete(store, trace)


GRACE = 0.5


def test_builds_that_run_meanwhile_keep_what_they_were_given(store: DirectoryStore) -> None:
    """Three threads find or make traces; what they were given whole stays so for as long as the grace."""
    end, evicted = time.monotonic() + 10, []

    def build(seed: int) -> tuple[int, int]:
        dice, own, hits, made = random.Random(seed), DirectoryStore(store.root), 0, 0
        while time.monotonic() < end:
            name = f"layer {int(dice.expovariate(0.1))}"
            inputs = key_inputs("test/1", {"name": name})
            given = time.monotonic()
            found = own.look(key_of_inputs(inputs), inputs)
            if isinstance(found, Miss):
                found, made = recorded(own, name, b"shared by all"), made + 1
            else:
                hits += 1
            until = given + dice.choice((0.01, 0.01, 0.01, GRACE / 2))
            assert_there(own, found)
            while time.monotonic() < until:
                assert_there(own, found)
        return hits, made

    def prune_again_and_again() -> None:
        while time.monotonic() < end:
            evicted.extend(prune(store, GRACE).traces)

    with ThreadPoolExecutor(4) as pool:
        pruner, *builders = [pool.submit(prune_again_and_again), *(pool.submit(build, n) for n in range(3))]
        hits, made = (sum(figures) for figures in zip(*(each.result() for each in builders), strict=True))
        pruner.result()
    assert min(hits, made, len(evicted)) > 20


def assert_there(store: DirectoryStore, trace: Trace) -> None:
    """All blobs are there, but for the microseconds between rename and look (see sweep.py)."""
    deadline = time.monotonic() + 5
    while gone := store.missing(trace.blobs):
        assert time.monotonic() < deadline, f"{gone} of {trace.key} are gone"


# -- tombstones and pins


def test_a_tombstone_tells_what_was_and_why(store: DirectoryStore) -> None:
    trace = recorded(store, "a", milliseconds=1200, bytes=34, host="x")  # type: ignore[arg-type]
    age(store, 1000)
    prune(store, 500)
    stone = tombstone(store, trace.key)
    assert stone
    assert (stone.recipe, stone.why, stone.milliseconds, stone.bytes) == ("test/1", TOO_OLD, 1200, 34)
    assert stone.size == sum(blob.size for blob in trace.blobs)
    assert abs(stone.when - time.time()) < 60
    assert tombstone(store, key(5)) is None


def test_a_tombstone_goes_after_90_days_and_a_damaged_one_is_none(store: DirectoryStore) -> None:
    traces = [recorded(store, name) for name in "ab"]
    age(store, 1000)
    prune(store, 500)
    first, second = (store.root / "tombstones" / t.key.hex[:2] / f"{t.key.hex}.json" for t in traces)
    long_ago = time.time() - SECONDS - 60
    os.utime(first, (long_ago, long_ago))
    second.write_text("[1]")
    prune(store, 500)
    assert not first.exists()
    assert tombstone(store, traces[1].key) is None


@pytest.fixture
def aged(store: DirectoryStore) -> Iterator[tuple[Trace, Trace]]:
    traces = recorded(store, "held", b"layer"), recorded(store, "other", b"layer")
    age(store, 1000)
    yield traces


def test_a_pin_holds_until_it_is_taken_away(store: DirectoryStore, aged: tuple[Trace, Trace]) -> None:
    held, other = aged
    made = pin(store, "vision", [held.key])
    assert list_pins(store) == [made]
    age(store, 1000)
    prune(store, 500)
    assert complete(store, held)
    assert missed(store, other) is Reason.NEVER
    unpin(store, "vision")
    age(store, 1000)
    prune(store, 500)
    assert missed(store, held) is Reason.NEVER
    assert list_blobs(store) == []


def test_a_pinned_image_keeps_its_traces_and_all_they_reach(
    store: DirectoryStore, aged: tuple[Trace, Trace]
) -> None:
    held, other = aged
    pin(store, "vision", [held.blobs[0].digest])
    age(store, 1000)
    prune(store, 500)
    assert complete(store, held)
    assert missed(store, other)


def test_a_pin_takes_the_place_of_its_name_sake(store: DirectoryStore, aged: tuple[Trace, Trace]) -> None:
    pin(store, "vision", [aged[0].key])
    pin(store, "vision", [aged[1].key])
    assert [each.keys for each in list_pins(store)] == [(aged[1].key,)]


@pytest.mark.parametrize("text", ["0" * 32, f"sha256:{'0' * 64}"])
def test_what_is_not_there_cannot_be_pinned(
    store: DirectoryStore, text: str, aged: tuple[Trace, Trace]
) -> None:
    with pytest.raises(SettingsError, match="is not here"):
        pin(store, "p", [aged[0].key, parse_held(text)])
    assert list_pins(store) == []


@pytest.mark.parametrize("name", ["", ".x", "../x", "a/b", "x" * 101])
def test_names_that_are_none(store: DirectoryStore, name: str, aged: tuple[Trace, Trace]) -> None:
    with pytest.raises(SettingsError, match="is no name"):
        pin(store, name, [aged[0].key])
    with pytest.raises(SettingsError, match="is no name"):
        unpin(store, name)


def test_a_damaged_pin_stops_a_prune(store: DirectoryStore, aged: tuple[Trace, Trace]) -> None:
    pin(store, "p", [aged[0].key])
    (store.root / "pins/p.json").write_text("{}")
    with pytest.raises(StoreError, match="a pin is damaged"):
        prune(store, 500)
    assert all(complete(store, trace) for trace in aged)


def test_an_unreadable_trace_stops_a_prune(store: DirectoryStore, aged: tuple[Trace, Trace]) -> None:
    """Taken for none, its blobs would go."""
    path = store.root / "traces" / aged[0].key.hex[:2] / f"{aged[0].key.hex}.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError):
        prune(store, 500)
    assert not store.missing(aged[1].blobs)
