"""What every BlobStore does."""

import io
import random
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prebake.cache.digest import Digest
from prebake.cache.oci import LAYER_GZIP, Descriptor
from prebake.cache.store import BlobNotFound, BlobStore
from prebake.errors import IntegrityError

BIG = random.Random(1).randbytes(20_000_000)
SMALL = b"some bytes"


class Cut(Exception):
    """A source that breaks."""


class Source(io.RawIOBase):
    """Gives `data` a little at a time and, if it is to break, nothing after that."""

    def __init__(self, data: bytes, most: int = 1 << 20, breaks: bool = False) -> None:
        self._left = memoryview(data)
        self._most = most
        self._breaks = breaks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._most, len(self._left))
        if not size and self._breaks:
            raise Cut
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def put(blobs: BlobStore, data: bytes) -> Descriptor:
    blobs.put(blob_of(data), lambda: io.BytesIO(data))
    return blob_of(data)


def read(blobs: BlobStore, digest: Digest) -> bytes:
    with blobs.open(digest) as stream:
        return stream.read()


def refuses(blobs: BlobStore, blob: Descriptor, data: bytes) -> None:
    with pytest.raises(IntegrityError):
        blobs.put(blob, lambda: io.BytesIO(data))
    absent(blobs, blob)


def absent(blobs: BlobStore, blob: Descriptor) -> None:
    assert blobs.missing([blob]) == {blob.digest}
    with pytest.raises(BlobNotFound) as raised:
        blobs.open(blob.digest)
    assert raised.value.digest == blob.digest


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 8 << 20, (8 << 20) + 1, len(BIG)])
def test_what_is_put_is_read(blobs: BlobStore, size: int) -> None:
    data = BIG[:size]
    absent(blobs, blob_of(data))
    stored = put(blobs, data)
    assert blobs.missing([stored]) == set()
    assert read(blobs, stored.digest) == data


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=4000), steps=st.integers(1, 999))
def test_what_is_put_is_read_in_any_steps(blobs: BlobStore, data: bytes, steps: int) -> None:
    blob = blob_of(data)
    blobs.put(blob, lambda: Source(data, steps))  # type: ignore[arg-type, return-value]
    with blobs.open(blob.digest) as stream:
        assert b"".join(iter(lambda: stream.read(steps), b"")) == data


def test_a_large_blob_comes_in_any_steps(blobs: BlobStore) -> None:
    blob = blob_of(BIG)
    blobs.put(blob, lambda: Source(BIG, 100_003))  # type: ignore[arg-type, return-value]
    assert read(blobs, blob.digest) == BIG


def test_putting_twice_is_putting_once(blobs: BlobStore) -> None:
    assert put(blobs, SMALL) == put(blobs, SMALL)
    assert read(blobs, Digest.of(SMALL)) == SMALL


def test_put_closes_what_it_opened(blobs: BlobStore) -> None:
    opened: list[IO[bytes]] = []

    def open_blob() -> IO[bytes]:
        opened.append(io.BytesIO(SMALL))
        return opened[-1]

    blobs.put(blob_of(SMALL), open_blob)
    assert opened
    assert all(stream.closed for stream in opened)


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_another_digest_is_refused(blobs: BlobStore, data: bytes) -> None:
    other = Descriptor(LAYER_GZIP, Digest.of(b"other bytes"), len(data))
    refuses(blobs, other, data)


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("more", [-1, 1])
def test_another_size_is_refused(blobs: BlobStore, data: bytes, more: int) -> None:
    refuses(blobs, Descriptor(LAYER_GZIP, Digest.of(data), len(data) + more), data)
    assert read(blobs, put(blobs, data).digest) == data


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_a_source_that_breaks_leaves_nothing(blobs: BlobStore, data: bytes) -> None:
    half = data[: len(data) // 2]
    with pytest.raises(Cut):
        blobs.put(blob_of(data), lambda: Source(half, breaks=True))  # type: ignore[arg-type, return-value]
    absent(blobs, blob_of(data))
    absent(blobs, blob_of(half))
    assert read(blobs, put(blobs, data).digest) == data


def test_missing_asks_for_digest_and_size(blobs: BlobStore) -> None:
    stored = put(blobs, SMALL)
    longer = Descriptor(LAYER_GZIP, stored.digest, stored.size + 1)
    gone = [blob_of(bytes([n])) for n in range(30)]
    assert blobs.missing([]) == set()
    assert blobs.missing([longer]) == {stored.digest}
    assert blobs.missing([stored, *gone, stored, *gone]) == {blob.digest for blob in gone}


def test_one_blob_from_many_threads(blobs: BlobStore) -> None:
    data = BIG[:1_000_000]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: put(blobs, data).digest, range(8))) == {Digest.of(data)}
    assert read(blobs, Digest.of(data)) == data


def test_many_blobs_from_many_threads(blobs: BlobStore) -> None:
    contents = [BIG[n * 10_000 : (n + 1) * 10_000] for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda data: put(blobs, data), contents))
        assert blobs.missing(stored) == set()
        assert list(pool.map(lambda blob: read(blobs, blob.digest), stored)) == contents


def test_what_was_discarded_is_stored_anew(blobs: BlobStore) -> None:
    """A corrupt blob of the right size is in nobody's way."""
    data = b"a layer"
    blob = Descriptor(LAYER_GZIP, Digest.of(data), len(data))
    blobs.put(blob, lambda: io.BytesIO(data))
    blobs.discard(blob.digest)
    asked = []

    def open_blob() -> IO[bytes]:
        asked.append(blob)
        return io.BytesIO(data)

    blobs.put(blob, open_blob)
    assert asked
    assert not blobs.missing([blob])
    with blobs.open(blob.digest) as stream:
        assert stream.read() == data
