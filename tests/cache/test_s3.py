"""What only the S3 store does; what every store does is in tests/contracts."""

import io
import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from prebake.cache.bucket import Bucket, Refused
from prebake.cache.digest import Digest, Key
from prebake.cache.oci import LAYER_GZIP, Descriptor
from prebake.cache.request import Patience
from prebake.cache.s3 import S3Store
from prebake.cache.store import Trace
from prebake.errors import IntegrityError, PrebakeError, RegistryError, SettingsError, Unreachable
from world.faults import Fault, Proxy, Seen, proxy
from world.s3 import S3, SECRET, s3

EAGER = Patience(connect=2, read=5, attempts=2)
MIB = 1 << 20
DATA = random.Random(2).randbytes(20 * MIB)
SMALL = DATA[:1000]
KEY = Key("0123456789abcdef" * 2)
DIALOGUES: dict[str, Callable[[S3Store], object]] = {
    "look": lambda store: store.look(KEY, {}),
    "record": lambda store: store.record(Trace(KEY, {}, {})),
    "missing": lambda store: store.missing([blob_of(SMALL)]),
    "put": lambda store: put(store, SMALL),
    "put in parts": lambda store: put(store, DATA),
    "open": lambda store: store.open(Digest.of(SMALL)),
    "list": lambda store: store.list_all(),
    "delete": lambda store: store.delete([KEY]),
}
dialogue = pytest.mark.parametrize("ask", DIALOGUES.values(), ids=DIALOGUES.keys())


@pytest.fixture(scope="module")
def started() -> Iterator[S3]:
    with s3() as made:
        yield made


@pytest.fixture
def server(started: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    started.sign_in(monkeypatch)
    return started


@pytest.fixture
def store(server: S3) -> S3Store:
    return S3Store(Bucket(server.make_bucket(), "team/cache", server.url), EAGER)


@pytest.fixture
def front(server: S3) -> Iterator[Proxy]:
    with proxy(server.url.removeprefix("http://")) as made:
        yield made


@pytest.fixture
def fronted(front: Proxy, store: S3Store) -> S3Store:
    """The same store, asked through the proxy."""
    return S3Store(Bucket(store.bucket.name, store.bucket.prefix, f"http://{front.host}"), EAGER)


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def put(store: S3Store, data: bytes) -> Descriptor:
    store.put(blob_of(data), lambda: io.BytesIO(data))
    return blob_of(data)


def read(store: S3Store, digest: Digest) -> bytes:
    with store.open(digest) as stream:
        return stream.read()


def by(method: str, part: str = "") -> Callable[[Seen], bool]:
    return lambda seen: seen.method == method and part in seen.path


def s3_error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()


class Zeros(io.RawIOBase):
    """A large blob that is nowhere in memory."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self.left)
        buffer[:size] = bytes(size)
        self.left -= size
        return size


@pytest.mark.parametrize("data", [SMALL, DATA], ids=["small", "big"])
@pytest.mark.parametrize("left", [0, 500])
def test_a_truncated_object_is_replaced(server: S3, store: S3Store, data: bytes, left: int) -> None:
    stored = put(store, data)
    server.put(f"{store.bucket.name}/{store.name(stored.digest)}", data[:left])
    assert store.missing([stored]) == {stored.digest}
    put(store, data)
    assert store.missing([stored]) == set()
    assert read(store, stored.digest) == data


def test_what_is_there_is_not_sent_again(store: S3Store) -> None:
    stored = put(store, SMALL)

    def open_blob() -> io.BytesIO:
        raise AssertionError("nobody asked for it")

    store.put(stored, open_blob)


def test_large_blobs_are_not_held_in_memory(store: S3Store) -> None:
    size = 160 * MIB
    zeros = Descriptor(LAYER_GZIP, Digest.of(bytes(size)), size)
    tracemalloc.start()
    try:
        store.put(zeros, lambda: io.BufferedReader(Zeros(size)))
        with store.open(zeros.digest) as stream:
            assert sum(len(piece) for piece in iter(lambda: stream.read(MIB), b"")) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80 * MIB


def test_refused_parts_leave_no_upload(server: S3, store: S3Store) -> None:
    with pytest.raises(IntegrityError):
        store.put(Descriptor(LAYER_GZIP, Digest.of(b"other"), len(DATA)), lambda: io.BytesIO(DATA))
    assert server.uploads(store.bucket.name) == 0
    assert store.list_all() == ([], [])


def test_a_part_that_does_not_arrive_leaves_no_upload(server: S3, front: Proxy, fronted: S3Store) -> None:
    front.faults.append(Fault(by("PUT", "partNumber=2"), 403, body=s3_error("AccessDenied"), times=-1))
    with pytest.raises(Refused):
        put(fronted, DATA)
    assert server.uploads(fronted.bucket.name) == 0
    assert fronted.missing([blob_of(DATA)]) == {Digest.of(DATA)}


def test_completion_after_somebody_else_was_faster(front: Proxy, store: S3Store, fronted: S3Store) -> None:
    def rival(seen: Seen) -> bool:
        if seen.method == "POST" and "uploadId=" in seen.path and store.missing([blob_of(DATA)]):
            put(store, DATA)
        return False

    front.faults.append(Fault(rival))
    put(fronted, DATA)
    assert read(store, Digest.of(DATA)) == DATA
    assert [seen.method for seen in front.seen][-2:] == ["DELETE", "HEAD"]


def test_a_small_blob_after_somebody_else_was_faster(front: Proxy, store: S3Store, fronted: S3Store) -> None:
    def rival(seen: Seen) -> bool:
        if seen.method == "PUT":
            put(store, SMALL)
        return False

    front.faults.append(Fault(rival))
    put(fronted, SMALL)
    assert front.methods() == ["HEAD", "PUT", "HEAD"]


@pytest.mark.parametrize("before", [False, True], ids=["new", "old"])
def test_record_sees_what_a_rival_wrote_in_between(
    front: Proxy, store: S3Store, fronted: S3Store, before: bool
) -> None:
    old, theirs, ours = (Trace(KEY, {}, {"n": n}) for n in range(3))
    if before:
        store.record(old)
    once = threading.Lock()

    def rival(seen: Seen) -> bool:
        if seen.method == "PUT" and once.acquire(blocking=False):
            store.record(theirs)
        return False

    front.faults.append(Fault(rival))
    fronted.record(ours)
    assert store.look(KEY, {}) == ours
    assert front.methods() == ["GET", "PUT", "GET", "PUT"]  # the first PUT was refused: theirs was seen
    conditions = [seen.headers.get("if-match") for seen in front.seen if seen.method == "PUT"]
    assert conditions[0] != conditions[1]


def test_endless_rivals_are_an_error_to_try_again(front: Proxy, fronted: S3Store) -> None:
    front.faults.append(Fault(by("PUT"), 412, body=s3_error("PreconditionFailed"), times=-1))
    with pytest.raises(Unreachable) as raised:
        fronted.record(Trace(KEY, {}, {}))
    assert raised.value.facts["store"] == str(fronted)


def test_an_equal_trace_is_not_written_again(front: Proxy, fronted: S3Store) -> None:
    for _ in range(2):
        fronted.record(Trace(KEY, {}, {"n": 1}))
    assert front.methods().count("PUT") == 1


def test_an_endpoint_without_conditions(front: Proxy, fronted: S3Store) -> None:
    document = s3_error("NotImplemented")
    conditional = ("if-match", "if-none-match")
    front.faults.append(
        Fault(lambda seen: any(each in seen.headers for each in conditional), 501, {}, document, times=-1)
    )
    for data in (SMALL, DATA):
        put(fronted, data)
        assert read(fronted, Digest.of(data)) == data
    for n in range(2):
        trace = Trace(KEY, {}, {"n": n})
        fronted.record(trace)
        assert fronted.look(KEY, {}) == trace


def test_two_stores_put_and_record_at_once(server: S3, store: S3Store) -> None:
    stores = [store, S3Store(store.bucket, EAGER)]
    traces = [Trace(KEY, {}, {"n": n}) for n in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: put(each, DATA), stores * 2))
        list(pool.map(lambda pair: pair[0].record(pair[1]), zip(stores, traces, strict=True)))
    assert read(store, Digest.of(DATA)) == DATA
    assert store.look(KEY, {}) in traces
    assert server.uploads(store.bucket.name) == 0


def test_a_cut_download_is_resumed_where_it_broke(front: Proxy, store: S3Store, fronted: S3Store) -> None:
    put(store, DATA)
    front.faults += [Fault(by("GET"), cut=3 * MIB), Fault(by("GET"), cut=MIB)]
    assert read(fronted, Digest.of(DATA)) == DATA
    ranges = [seen.headers.get("range") for seen in front.seen]
    assert ranges == [None, f"bytes={3 * MIB}-", f"bytes={4 * MIB}-"]


def test_a_download_that_is_always_cut(front: Proxy, store: S3Store, fronted: S3Store) -> None:
    put(store, DATA)
    front.faults.append(Fault(by("GET"), cut=MIB, times=-1))
    with pytest.raises(Unreachable) as raised:
        read(fronted, Digest.of(DATA))
    assert raised.value.facts["operation"] == "GetObject"


def test_a_blob_replaced_while_it_is_read(front: Proxy, server: S3, store: S3Store, fronted: S3Store) -> None:
    put(store, DATA)
    front.faults.append(Fault(by("GET"), cut=MIB))
    with fronted.open(Digest.of(DATA)) as stream:
        server.put(f"{store.bucket.name}/{store.name(Digest.of(DATA))}", DATA[: 5 * MIB])
        with pytest.raises(Unreachable):
            stream.read()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_survived(front: Proxy, fronted: S3Store, status: int) -> None:
    for method in ("HEAD", "PUT", "GET"):
        front.faults.append(Fault(by(method), status))
    stored = put(fronted, SMALL)
    assert read(fronted, stored.digest) == SMALL


@dialogue
def test_lasting_trouble_is_retryable(
    front: Proxy, fronted: S3Store, ask: Callable[[S3Store], object]
) -> None:
    front.faults.append(Fault(lambda _: True, 503, body=s3_error("SlowDown"), times=-1))
    clear(fronted, ask, Unreachable)


@dialogue
def test_nobody_there(server: S3, ask: Callable[[S3Store], object]) -> None:
    store = S3Store(Bucket("cache", "team", "http://127.0.0.1:1"), Patience(connect=2, read=2, attempts=1))
    error = clear(store, ask, Unreachable)
    assert error.facts["endpoint"] == "http://127.0.0.1:1"


@dialogue
def test_wrong_credentials(server: S3, store: S3Store, ask: Callable[[S3Store], object]) -> None:
    with server.asking_for_credentials():
        error = clear(store, ask, Refused)
    assert error.facts["status"] == "403"
    assert "credentials" in error.hint


@dialogue
def test_no_credentials(
    store: S3Store, ask: Callable[[S3Store], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = clear(store, ask, RegistryError)
    assert error.facts["reason"] == "NoCredentialsError"
    assert "credentials" in error.hint


@pytest.mark.parametrize("name", [name for name in DIALOGUES if name != "open"])
def test_no_bucket(server: S3, name: str) -> None:
    error = clear(S3Store(Bucket("absent", "team", server.url), EAGER), DIALOGUES[name], Refused)
    assert "make the bucket" in error.hint


def clear(store: S3Store, ask: Callable[[S3Store], object], kind: type[PrebakeError]) -> PrebakeError:
    """The error that `ask` ends in; it names the store, what was asked, and no secret."""
    with pytest.raises(PrebakeError) as raised:
        ask(store)
    assert isinstance(raised.value, kind)
    assert raised.value.retryable == (kind is Unreachable)
    assert raised.value.facts["store"] == str(store.bucket)
    assert raised.value.facts["operation"][0].isupper()
    assert SECRET not in str(raised.value)
    return raised.value


def test_objects_of_other_names_are_not_ours(server: S3, store: S3Store) -> None:
    blobs = [put(store, bytes([n])) for n in range(3)]
    store.record(Trace(KEY, {}, {}))
    for foreign in ("blobs/sha256/README", f"traces/zz/{KEY}.json", "else"):
        server.put(f"{store.bucket.name}/team/cache/{foreign}", b"not ours")
    traces, listed = store.list_all()
    assert [trace.key for trace in traces] == [KEY]
    assert {(each.digest, each.size) for each in listed} == {(blob.digest, 1) for blob in blobs}


def test_listing_and_deleting_more_than_a_page(store: S3Store) -> None:
    stored = {put(store, b"%d" % n).digest for n in range(25)}
    assert {each.digest for each in store.list_all()[1]} == stored
    absent = [Digest.of(b"absent %d" % n) for n in range(2000)]
    store.delete([*absent, *stored])
    assert store.list_all() == ([], [])


def test_prefixes_are_apart(server: S3, store: S3Store) -> None:
    put(store, SMALL)
    whole = S3Store(Bucket(store.bucket.name, endpoint=server.url), EAGER)
    assert whole.list_all() == ([], [])
    assert whole.missing([blob_of(SMALL)]) == {Digest.of(SMALL)}


@pytest.mark.parametrize(
    ("text", "name", "prefix"),
    [
        ("s3://cache", "cache", ""),
        ("s3://cache/", "cache", ""),
        ("s3://my.cache-1/a/b/", "my.cache-1", "a/b"),
    ],
)
def test_buckets(text: str, name: str, prefix: str) -> None:
    assert Bucket.parse(text) == Bucket(name, prefix)
    assert str(Bucket.parse(text)) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cache",
        "http://cache",
        "s3://",
        "s3://ca",
        "s3://Cache",
        "s3://user:pw@cache",
        "s3://cache//a",
        "s3://cache/a//b",
        "s3://cache/../b",
        "s3://cache/a/.",
        "s3://cache/a?b",
        "s3://cache/a b",
    ],
)
def test_no_buckets(text: str) -> None:
    with pytest.raises(SettingsError):
        Bucket.parse(text)


@pytest.mark.parametrize(
    "endpoint", ["", "minio:9000", "ftp://minio", "https://me:hunter2@minio", "http://minio/?a"]
)
def test_no_endpoints(endpoint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Bucket("cache", endpoint=endpoint)
    assert "hunter2" not in str(raised.value)
