"""What is read ahead is what would have been read, errors in their place."""

from __future__ import annotations

import io
import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.cache.ahead import ReadAhead


class Breaking(io.RawIOBase):
    """Zeros, then an error."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            raise OSError("broken")
        size = min(len(buffer), self._left)
        buffer[:size] = bytes(size)
        self._left -= size
        return size


@settings(deadline=None)
@given(size=st.sampled_from([0, 1, 256 << 10, 1_500_000]), most=st.integers(1000, 2_000_000))
def test_the_same_bytes_come(size: int, most: int) -> None:
    data = random.Random(size).randbytes(size)
    with ReadAhead(io.BytesIO(data)) as ahead:
        assert b"".join(iter(lambda: ahead.read(most), b"")) == data


@pytest.mark.parametrize("size", [0, 3_000_000])
def test_an_error_comes_after_the_bytes_before_it_and_stays(size: int) -> None:
    found = 0
    with ReadAhead(Breaking(size)) as ahead:
        for _ in range(2):
            with pytest.raises(OSError, match="broken"):
                while chunk := ahead.read(1000):
                    found += len(chunk)
    assert found == size


def test_closing_early_ends_the_thread_and_closes_the_stream() -> None:
    stream = io.BytesIO(bytes(50_000_000))
    before = threading.active_count()
    with ReadAhead(stream) as ahead:
        ahead.read(10)
    assert stream.closed
    assert threading.active_count() == before
