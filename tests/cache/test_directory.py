"""The local store: all or nothing, safe among writers, and a miss for whatever cannot be relied upon."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.cache.complete import Complete
from prebake.cache.digest import Digest, key_of
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import Descriptor
from prebake.cache.store import BlobNotFound, HashingWriter, Miss, Reason, Trace
from prebake.errors import IntegrityError, StoreError

INPUTS = {"recipe": "pip/1", "inputs": {"a": 1}, "depends": []}
KEY = key_of("pip/1", {"a": 1})


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def blob(store: DirectoryStore, data: bytes = b"layer") -> Descriptor:
    return Descriptor("text/plain", store.put_bytes(data), len(data), {"note": "x"})


def traced(store: DirectoryStore) -> Trace:
    trace = Trace(KEY, INPUTS, {"n": 1}, (blob(store),))
    store.record(trace)
    return trace


def trace_file(store: DirectoryStore) -> Path:
    return store.root / "traces" / KEY.hex[:2] / f"{KEY.hex}.json"


def test_what_is_put_is_read(store: DirectoryStore) -> None:
    digest, size = store.create(lambda writer: [writer.write(b"ab"), writer.write(memoryview(b"cd"))])
    assert (digest, size, store.read(digest)) == (Digest.of(b"abcd"), 4, b"abcd")
    with store.open(digest) as stream:
        assert stream.read(2) == b"ab"


def test_putting_twice_is_putting_once(store: DirectoryStore) -> None:
    assert store.put_bytes(b"x") == store.put_bytes(b"x")
    assert len(list((store.root / "blobs" / "sha256").iterdir())) == 1


def test_a_blob_that_is_not_there_is_told_by_digest_and_store(store: DirectoryStore) -> None:
    with pytest.raises(BlobNotFound) as caught:
        store.read(Digest.of(b"x"))
    assert caught.value.facts == {"digest": str(Digest.of(b"x")), "store": str(store)}


def test_a_failed_put_leaves_nothing(store: DirectoryStore) -> None:
    def fail(writer: HashingWriter) -> None:
        writer.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.create(fail)
    with pytest.raises(ZeroDivisionError):
        store.put_expected(Digest.of(b"a"), lambda writer: writer.write(b"b"), lambda _: ZeroDivisionError())
    assert not list((store.root / "blobs" / "sha256").iterdir())
    assert not list(store.tmp.iterdir())


def test_missing_looks_at_sizes(store: DirectoryStore) -> None:
    whole, short = blob(store, b"whole"), blob(store, b"short")
    absent = Descriptor("text/plain", Digest.of(b"absent"), 6)
    os.truncate(store.path(short.digest), 3)
    assert store.missing([whole, short, absent]) == {short.digest, absent.digest}


def test_a_corrupt_blob_of_the_right_size_is_found_when_it_is_read(store: DirectoryStore) -> None:
    kept = blob(store, b"right")
    store.path(kept.digest).write_bytes(b"wrong")
    assert store.missing([kept]) == set()
    with pytest.raises(IntegrityError, match="corrupt"):
        store.read(kept.digest)


def test_a_trace_is_read_back_equal(store: DirectoryStore) -> None:
    trace = traced(store)
    assert store.look(KEY, INPUTS) == trace
    assert store.look(KEY, dict(reversed(INPUTS.items()))) == trace


def test_a_trace_of_other_inputs_is_a_miss(store: DirectoryStore) -> None:
    traced(store)
    other = INPUTS | {"inputs": {"a": 2}}
    assert store.look(KEY, other) == Miss(Reason.COLLISION)


@pytest.mark.parametrize("damage", ["delete", "truncate"])
def test_a_trace_whose_blobs_are_gone_is_no_trace(store: DirectoryStore, damage: str) -> None:
    path = store.path(traced(store).blobs[0].digest)
    path.unlink() if damage == "delete" else os.truncate(path, 1)
    found = Complete(store, store.missing).look(KEY, INPUTS)
    assert isinstance(found, Miss)
    assert found.reason is Reason.BLOBS_GONE


def test_a_trace_that_was_never_written_is_a_miss(store: DirectoryStore) -> None:
    assert store.look(KEY, INPUTS) == Miss(Reason.NEVER)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "{}", '{"inputs":1,"outputs":1,"blobs":[{}],"notes":{}}', "\0" * 64,
     '{"inputs":{},"outputs":{},"blobs":[{"mediaType":"x","digest":"sha256:0","size":1}],"notes":{}}'],
)  # fmt: skip
def test_a_damaged_trace_is_a_miss_and_can_be_written_again(store: DirectoryStore, text: str) -> None:
    trace = traced(store)
    trace_file(store).write_text(text)
    found = store.look(KEY, INPUTS)
    assert isinstance(found, Miss)
    assert found.reason is Reason.DAMAGED
    store.record(trace)
    assert store.look(KEY, INPUTS) == trace


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 400))
def test_a_trace_cut_anywhere_is_a_miss(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("cut"))
    trace = traced(store)
    whole = trace_file(store).stat().st_size
    os.truncate(trace_file(store), min(size, whole))
    found = store.look(KEY, INPUTS)
    assert found == trace if size >= whole else isinstance(found, Miss)


def test_two_stores_in_one_folder_are_one(store: DirectoryStore) -> None:
    trace = traced(store)
    assert DirectoryStore(store.root).look(KEY, INPUTS) == trace


def test_writers_at_once_agree(store: DirectoryStore) -> None:
    barrier = threading.Barrier(8)

    def write(number: int) -> Digest:
        barrier.wait()
        own = DirectoryStore(store.root)
        own.record(Trace(KEY, INPUTS, {"n": 1}, (blob(own),)))
        return own.put_bytes(b"z" * 100_000)

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(write, range(8)))
    assert digests == {Digest.of(b"z" * 100_000)}
    assert isinstance(store.look(KEY, INPUTS), Trace)
    assert not list(store.tmp.iterdir())


def test_files_are_readable_by_others_whatever_the_umask(store: DirectoryStore) -> None:
    before = os.umask(0o077)
    try:
        trace = traced(store)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (trace_file(store), store.path(trace.blobs[0].digest))}
    assert modes == {0o644}


def test_a_store_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        DirectoryStore(tmp_path / "file" / "store")
    assert caught.value.facts["folder"] == str(tmp_path / "file" / "store")


def test_a_full_disk_is_told_with_what_to_do(store: DirectoryStore) -> None:
    full = Path("/dev/full")

    def write(writer: HashingWriter) -> None:
        with full.open("wb", buffering=0) as stream:
            stream.write(b"x")

    with pytest.raises(StoreError, match="free some space"):
        store.create(write)


def test_scratch_is_gone_afterwards(store: DirectoryStore) -> None:
    with store.scratch() as folder:
        (folder / "x").mkdir()
        assert folder.is_relative_to(store.root)
    assert not list(store.tmp.iterdir())
