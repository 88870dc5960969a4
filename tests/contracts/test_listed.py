"""What prune relies on in every remote store."""

from __future__ import annotations

import time
from typing import cast

import pytest

from prebake.cache.digest import Digest, Key, key_inputs
from prebake.cache.inventory import BlobFile, Listed, TraceFile
from prebake.cache.store import BlobStore, Miss, Trace, TraceStore
from sample_traces import DATA, look, put, trace_of

pytestmark = pytest.mark.parametrize("tested", ["registry", "s3"], indirect=True)


@pytest.fixture
def listed(blobs: BlobStore) -> Listed:
    return cast("Listed", blobs)


def keys(traces: list[TraceFile]) -> set[Key]:
    return {trace.key for trace in traces}


def test_nothing_yet(listed: Listed) -> None:
    assert listed.list_all() == ([], [])
    listed.delete([trace_of("a").key, Digest.of(DATA)])


def test_what_was_recorded_is_listed(blobs: BlobStore, traces: TraceStore, listed: Listed) -> None:
    before = time.time()
    shared, own = put(blobs, DATA), put(blobs, b"own")
    kept = [trace_of("a", shared), trace_of("b", shared, own), trace_of("c")]
    for trace in kept:
        traces.record(trace)
    found, lying = listed.list_all()
    assert keys(found) == {trace.key for trace in kept}
    assert {each.digest: each.size for each in lying} == {shared.digest: shared.size, own.digest: own.size}
    assert {trace.key: trace.blobs for trace in found} == {
        trace.key: tuple(blob.digest for blob in trace.blobs) for trace in kept
    }
    times: list[TraceFile | BlobFile] = [*found, *lying]
    assert all(before - 2 < each.used < time.time() + 2 for each in times)


def test_it_says_what_a_trace_is(traces: TraceStore, listed: Listed) -> None:
    inputs = key_inputs("pip/1", {"wheels": [["six-1.0-py3-none-any.whl", "0"]]})
    traces.record(Trace(Key("a" * 32), inputs, {}, notes={"milliseconds": 5}))
    [trace] = listed.list_all()[0]
    assert (trace.recipe, trace.contents, trace.notes) == (
        "pip/1",
        ("six-1.0-py3-none-any.whl",),
        {"milliseconds": 5},
    )


def test_what_is_deleted_is_a_miss_and_the_rest_stays(
    blobs: BlobStore, traces: TraceStore, listed: Listed
) -> None:
    kept, deleted = trace_of("a", put(blobs, DATA)), trace_of("b", put(blobs, DATA))
    for trace in (kept, deleted):
        traces.record(trace)
    for _ in range(2):
        listed.delete([deleted.key])
    assert isinstance(look(traces, deleted), Miss)
    assert look(traces, kept) == kept
    assert keys(listed.list_all()[0]) == {kept.key}
