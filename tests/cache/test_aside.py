"""A hasher beside the writer gives the same digest, and its thread ends whatever happens."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.cache.aside import AsideHasher
from prebake.cache.digest import DiffId, Digest

DATA = random.Random(1).randbytes(25_000_000)


@settings(deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 511, 1 << 17, 1 << 20, 5_000_000]), max_size=5))
def test_the_digest_is_that_of_all_bytes(sizes: list[int]) -> None:
    done = 0
    with AsideHasher() as hasher, AsideHasher() as other:
        for size in sizes:
            hasher.update(DATA[done : done + size])
            other.update(memoryview(DATA)[done : done + size])
            done += size
        expected = DiffId(Digest.of(DATA[:done]).hex)
        assert hasher.diff_id() == other.diff_id() == expected


def test_a_buffer_may_change_once_it_was_fed() -> None:
    buffer = bytearray(2_000_000)
    with AsideHasher() as hasher:
        hasher.update(buffer)
        buffer[:] = b"x" * len(buffer)
        assert hasher.diff_id() == DiffId(Digest.of(bytes(2_000_000)).hex)


def test_the_thread_ends_when_the_writer_fails() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), AsideHasher() as hasher:
        hasher.update(DATA[:2_000_000])
        assert threading.active_count() == before + 1
        raise ZeroDivisionError
    assert threading.active_count() == before
