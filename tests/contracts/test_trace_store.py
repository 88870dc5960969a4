"""What every TraceStore does."""

import io
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prebake.cache.digest import Digest, Json, Key, key_of_inputs
from prebake.cache.oci import LAYER_GZIP, Descriptor
from prebake.cache.store import BlobStore, Miss, Reason, Trace, TraceStore

INPUTS: dict[str, Json] = {"recipe": "conda/1", "inputs": {"channels": ["conda-forge"]}, "depends": []}
KEY = key_of_inputs(INPUTS)
OTHER: dict[str, Json] = {**INPUTS, "recipe": "conda/2"}

# Stores keep canonical JSON, whose strings are in NFC.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda text: unicodedata.normalize("NFC", text)
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=4)


@pytest.fixture
def blob(blobs: BlobStore) -> Descriptor:
    """A blob that is stored; its annotations are part of what a trace keeps."""
    data = b"a layer"
    stored = Descriptor(LAYER_GZIP, Digest.of(data), len(data), {"title": "größe ½"})
    blobs.put(stored, lambda: io.BytesIO(data))
    return stored


def recorded(found: Trace | Miss) -> Trace | Miss:
    """The trace without what a signing store notes on it."""
    if isinstance(found, Miss):
        return found
    notes = {name: note for name, note in found.notes.items() if name not in ("writer", "signature")}
    return replace(found, notes=notes)


def test_nothing_is_found_where_nothing_was_recorded(traces: TraceStore) -> None:
    assert traces.look(KEY, INPUTS) == Miss(Reason.NEVER)


def test_what_is_recorded_is_found(traces: TraceStore, blob: Descriptor) -> None:
    outputs: dict[str, Json] = {"layer": str(blob.digest), "größe": [1, None, {"名": True}]}
    trace = Trace(KEY, INPUTS, outputs, (blob,), {"maker": "Zoë 🙂", "seconds": 12})
    traces.record(trace)
    assert recorded(traces.look(KEY, INPUTS)) == trace
    assert traces.look(key_of_inputs(OTHER), OTHER) == Miss(Reason.NEVER)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inputs=_OBJECT, outputs=_OBJECT, notes=_OBJECT, count=st.integers(0, 2))
def test_any_trace_is_found(
    traces: TraceStore,
    blob: Descriptor,
    inputs: dict[str, Json],
    outputs: dict[str, Json],
    notes: dict[str, Json],
    count: int,
) -> None:
    trace = Trace(key_of_inputs(inputs), inputs, outputs, (blob,) * count, notes)
    traces.record(trace)
    assert recorded(traces.look(trace.key, inputs)) == trace


def test_blobs_of_a_trace_are_there(traces: TraceStore, blobs: BlobStore, blob: Descriptor) -> None:
    traces.record(Trace(KEY, INPUTS, {"n": 1}, (blob,)))
    found = traces.look(KEY, INPUTS)
    assert isinstance(found, Trace)
    assert found.blobs == (blob,)
    assert blobs.missing(found.blobs) == set()
    with blobs.open(found.blobs[0].digest) as stream:
        assert stream.read() == b"a layer"


def test_other_inputs_under_the_same_key_are_a_collision(traces: TraceStore) -> None:
    traces.record(Trace(KEY, INPUTS, {"n": 1}))
    found = traces.look(KEY, OTHER)
    assert isinstance(found, Miss)
    assert found.reason is Reason.COLLISION


def test_a_damaged_trace_is_a_miss_until_it_is_recorded_again(
    traces: TraceStore, damage: Callable[[Key], None]
) -> None:
    trace = Trace(KEY, INPUTS, {"n": 1})
    traces.record(trace)
    damage(KEY)
    found = traces.look(KEY, INPUTS)
    assert isinstance(found, Miss)
    assert found.reason is Reason.DAMAGED
    traces.record(trace)
    assert recorded(traces.look(KEY, INPUTS)) == trace


def test_the_last_record_counts(traces: TraceStore, blob: Descriptor) -> None:
    first = Trace(KEY, INPUTS, {"n": 1}, (blob,), {"seconds": 1})
    second = Trace(KEY, INPUTS, {"n": 2}, (), {"seconds": 2})
    for trace in (first, first, second):
        traces.record(trace)
    assert recorded(traces.look(KEY, INPUTS)) == second
    traces.record(first)
    assert recorded(traces.look(KEY, INPUTS)) == first


def test_of_records_at_once_one_is_found_whole(traces: TraceStore) -> None:
    written = [Trace(KEY, INPUTS, {"n": n, "text": str(n) * 5000}) for n in range(6)]
    traces.record(replace(written[0]))
    with ThreadPoolExecutor(len(written)) as pool:
        recording = [pool.submit(traces.record, trace) for trace in written]
        while not all(each.done() for each in recording):
            assert recorded(traces.look(KEY, INPUTS)) in written
        for each in recording:
            each.result()
    found = recorded(traces.look(KEY, INPUTS))
    assert found in written
    assert recorded(traces.look(KEY, INPUTS)) == found
