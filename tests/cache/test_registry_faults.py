"""What the client makes of throttling, errors, cut connections, tokens and storage elsewhere."""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prebake.cache.credentials import Credentials
from prebake.cache.digest import Digest
from prebake.cache.oci import LAYER_GZIP, MANIFEST_TYPES, Descriptor
from prebake.cache.probe import Unknown, head_manifest
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.cache.request import Busy, Patience, Refused
from prebake.cache.transport import Transport
from prebake.errors import IntegrityError, RegistryError, StoreError, Unreachable
from world import services
from world.faults import Fault, Proxy, Seen, proxy

EAGER = Patience(connect=2, read=5, attempts=3, backoff=0)
SECRET = "hunter2"
DATA = bytes(range(256)) * 40_000
BLOB = Descriptor(LAYER_GZIP, Digest.of(DATA), len(DATA))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        store(Repository(Transport(lambda _: None), made.host, "team/stored"))
        yield made.host


@pytest.fixture
def front(host: str) -> Iterator[Proxy]:
    with proxy(host) as made:
        yield made


@pytest.fixture
def repository(front: Proxy, request: pytest.FixtureRequest) -> Repository:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())
    return Repository(Transport(lambda _: None, patience=EAGER), front.host, f"team/{name}")


@pytest.fixture
def stored(front: Proxy) -> Repository:
    return Repository(Transport(lambda _: None, patience=EAGER), front.host, "team/stored")


def store(repository: Repository) -> None:
    repository.upload(BLOB, lambda: io.BytesIO(DATA))


def by(method: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.method == method


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_passing_trouble_is_survived(front: Proxy, repository: Repository, status: int, method: str) -> None:
    front.faults.append(Fault(by(method), status, times=2))
    assert not repository.has_blob(BLOB)
    store(repository)
    assert repository.has_blob(BLOB)


def test_retry_after_is_honoured(front: Proxy, stored: Repository) -> None:
    front.faults.append(Fault(by("HEAD"), 429, {"Retry-After": "1"}))
    started = time.monotonic()
    assert stored.has_blob(BLOB)
    assert time.monotonic() - started >= 1


def test_retry_after_of_an_upload_is_honoured(front: Proxy, repository: Repository) -> None:
    front.faults.append(Fault(by("PUT"), 503, {"Retry-After": "1"}))
    started = time.monotonic()
    store(repository)
    assert time.monotonic() - started >= 1
    assert repository.has_blob(BLOB)


def test_lasting_trouble_ends(front: Proxy, stored: Repository) -> None:
    document = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
    front.faults.append(Fault(lambda _: True, 429, {"Retry-After": "0"}, document, times=-1))
    with pytest.raises(Busy) as raised:
        stored.manifest("v1")
    assert raised.value.retryable
    assert raised.value.facts["code"] == "TOOMANYREQUESTS"
    assert raised.value.facts["message"] == "slow down"
    assert len(front.seen) == EAGER.attempts


def test_each_upload_attempt_has_a_session_of_its_own(front: Proxy, repository: Repository) -> None:
    front.faults.append(Fault(by("PUT"), 500, times=2))
    store(repository)
    puts = [seen.path.partition("?")[0] for seen in front.seen if seen.method == "PUT"]
    assert len(puts) == len(set(puts)) == 3
    assert front.methods().count("POST") == 3
    assert repository.has_blob(BLOB)


def test_lost_session_is_started_anew(front: Proxy, repository: Repository) -> None:
    document = b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'
    front.faults.append(Fault(by("PUT"), 404, body=document))
    store(repository)
    assert repository.has_blob(BLOB)


def test_upload_that_never_works(front: Proxy, repository: Repository) -> None:
    front.faults.append(Fault(by("PUT"), 500, times=-1))
    with pytest.raises(Unreachable):
        store(repository)
    assert front.methods().count("PUT") == EAGER.attempts


def test_refused_upload_is_not_repeated(front: Proxy, repository: Repository) -> None:
    document = b'{"errors":[{"code":"DENIED","message":"read only"}]}'
    front.faults.append(Fault(by("PUT"), 403, body=document, times=-1))
    with pytest.raises(Refused) as raised:
        store(repository)
    assert front.methods().count("PUT") == 1
    assert raised.value.facts["message"] == "read only"
    assert "docker login" in raised.value.hint


def test_too_large_for_one_piece(front: Proxy, repository: Repository) -> None:
    front.faults.append(Fault(by("PUT"), 413))
    big = b"0123456789abcdef" * (1 << 20) + b"tail"
    blob = Descriptor(LAYER_GZIP, Digest.of(big), len(big))
    repository.upload(blob, lambda: io.BytesIO(big))
    assert front.methods() == ["POST", "PUT", "POST", "PATCH", "PATCH", "PUT"]
    with repository.open_blob(blob.digest) as stream:
        assert stream.read() == big


def test_cut_download_is_resumed_where_it_broke(front: Proxy, stored: Repository) -> None:
    front.faults.append(Fault(by("GET"), cut=3_000_000, times=1))
    front.faults.append(Fault(by("GET"), cut=1_000_000, times=1))
    with stored.open_blob(BLOB.digest) as stream:
        assert stream.read() == DATA
    ranges = [int(seen.headers.get("range", "bytes=0-")[6:-1]) for seen in front.seen]
    assert len(ranges) == 3
    assert ranges[0] == 0 < ranges[1] <= 3_000_000 < ranges[2] + (1 << 20)


def test_server_without_ranges_sends_all_again(front: Proxy, stored: Repository) -> None:
    front.faults.append(Fault(by("GET"), cut=3_000_000))
    whole = {"Content-Length": str(len(DATA))}
    front.faults.append(Fault(lambda seen: "range" in seen.headers, 200, whole, DATA))
    with stored.open_blob(BLOB.digest) as stream:
        assert stream.read() == DATA


def test_download_that_is_always_cut(front: Proxy, stored: Repository) -> None:
    front.faults.append(Fault(by("GET"), cut=0, times=-1))
    with pytest.raises(Unreachable), stored.open_blob(BLOB.digest) as stream:
        stream.read()
    assert len(front.seen) == EAGER.attempts + 1


@pytest.mark.parametrize("length", [len(DATA), 10])
def test_other_bytes_are_noticed(front: Proxy, stored: Repository, length: int) -> None:
    front.faults.append(Fault(by("GET"), 200, body=b"?" * length))
    with pytest.raises(IntegrityError), stored.open_blob(BLOB.digest) as stream:
        while stream.read(4096):
            pass


def test_other_manifest_is_noticed(front: Proxy, stored: Repository) -> None:
    told = {"Docker-Content-Digest": str(BLOB.digest), "Content-Type": MANIFEST_TYPES[0]}
    front.faults.append(Fault(by("GET"), 200, told, b"{}", times=2))
    for selector in ("v1", str(BLOB.digest)):
        with pytest.raises(IntegrityError):
            stored.manifest(selector)


@pytest.mark.parametrize("body", [b"<html>", b"[1]"])
def test_what_is_no_manifest(front: Proxy, stored: Repository, body: bytes) -> None:
    front.faults.append(Fault(by("GET"), 200, {"Content-Type": "text/html"}, body))
    with pytest.raises(RegistryError):
        stored.manifest("v1")


def test_upload_without_a_location(front: Proxy, repository: Repository) -> None:
    front.faults.append(Fault(by("POST"), 202))
    with pytest.raises(RegistryError):
        store(repository)


def test_unreadable_file_is_not_unreachable(front: Proxy, repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        repository.upload(BLOB, lambda: (tmp_path / "write-only").open("wb"))
    assert front.methods().count("POST") == 1


def test_head_without_digest_reads_the_manifest(front: Proxy, stored: Repository) -> None:
    front.faults.append(Fault(by("HEAD"), 200, times=2))
    front.faults.append(Fault(by("GET"), 200, {"Content-Type": MANIFEST_TYPES[0]}, b"{}"))
    assert stored.head("v1") == Digest.of(b"{}")
    assert head_manifest(Reference(front.host, "team/stored", "v1")) is Unknown.UNKNOWN


def test_silence_times_out(front: Proxy) -> None:
    patience = Patience(connect=30, read=0.05, attempts=2, backoff=0)
    with proxy("127.0.0.1:1") as dead:
        dead.lock.acquire()  # no request is answered before the test ends
        repository = Repository(Transport(lambda _: None, patience=patience), dead.host, "x")
        started = time.monotonic()
        with pytest.raises(Unreachable) as raised:
            repository.head("v1")
        dead.lock.release()
        assert time.monotonic() - started < 5
    assert "timed out" in raised.value.facts["reason"]


def demand_tokens(front: Proxy, password: str = "") -> None:
    front.token_realm, front.password = f"http://{front.host}/token", password


def test_anonymous_tokens_are_kept_per_scope(front: Proxy, stored: Repository) -> None:
    demand_tokens(front)
    for _ in range(3):
        assert stored.has_blob(BLOB)
    store(stored)
    assert [scope for _, scope, _ in front.issued] == [
        "repository:team/stored:pull",
        "repository:team/stored:pull,push",
    ]


def test_mount_asks_for_both_repositories(front: Proxy, repository: Repository) -> None:
    demand_tokens(front)
    assert repository.mount(BLOB.digest, "team/stored")
    assert front.issued[-1][1].endswith("repository:team/stored:pull")
    assert front.issued[-1][1].startswith(f"repository:{repository.name}:pull,push")


@pytest.mark.parametrize(
    ("credentials", "method"),
    [(Credentials("me", SECRET), "GET"), (Credentials("me", identity_token=SECRET), "POST")],
)
def test_tokens_for_a_user(front: Proxy, credentials: Credentials, method: str) -> None:
    demand_tokens(front, SECRET)
    repository = Repository(Transport(lambda _: credentials, patience=EAGER), front.host, "team/stored")
    assert repository.has_blob(BLOB)
    assert [issued[0] for issued in front.issued] == [method]


def test_token_that_is_refused_is_replaced_once(front: Proxy, stored: Repository) -> None:
    demand_tokens(front)
    assert stored.has_blob(BLOB)
    front.good_tokens.clear()
    assert stored.has_blob(BLOB)
    assert len(front.issued) == 2
    challenge = {"WWW-Authenticate": f'Bearer realm="{front.token_realm}"'}
    front.faults.append(Fault(by("HEAD"), 401, challenge, times=-1))
    with pytest.raises(Refused):
        stored.has_blob(BLOB)
    assert len(front.issued) == 3


def test_wrong_password_for_tokens(front: Proxy, stored: Repository) -> None:
    demand_tokens(front, SECRET)
    wrong = Transport(lambda _: Credentials("me", "wrong-" + SECRET), patience=EAGER)
    for repository in (stored, Repository(wrong, front.host, "team/stored")):
        with pytest.raises(Refused) as raised:
            repository.has_blob(BLOB)
        assert raised.value.status == 401
        assert "docker login" in raised.value.hint
        assert SECRET not in str(raised.value)


def test_storage_elsewhere_gets_no_authorization(front: Proxy, host: str) -> None:
    demand_tokens(front)
    with proxy(host) as storage:
        location = f"http://{storage.host}/v2/team/stored/blobs/{BLOB.digest}?signature={SECRET}"
        front.faults.append(Fault(lambda seen: "authorization" in seen.headers, 307, {"Location": location}))
        repository = Repository(Transport(lambda _: None, patience=EAGER), front.host, "team/stored")
        with repository.open_blob(BLOB.digest) as stream:
            assert stream.read() == DATA
    assert "authorization" not in storage.seen[0].headers
    assert front.issued


def test_storage_cannot_ask_for_credentials(front: Proxy, host: str) -> None:
    with proxy(host) as storage:
        demand_tokens(storage, SECRET)
        location = f"http://{storage.host}/v2/team/stored/blobs/{BLOB.digest}?signature={SECRET}"
        front.faults.append(Fault(by("GET"), 307, {"Location": location}))
        owner = Transport(lambda _: Credentials("me", SECRET), patience=EAGER)
        with pytest.raises(RegistryError) as raised:
            Repository(owner, front.host, "team/stored").open_blob(BLOB.digest)
    assert not storage.issued
    assert SECRET not in str(raised.value)


def test_upload_elsewhere_gets_no_authorization(front: Proxy, host: str, repository: Repository) -> None:
    demand_tokens(front)
    assert not repository.has_blob(BLOB)
    with proxy(host) as storage:
        front.faults.append(Fault(by("POST"), 202, {"Location": f"http://{storage.host}/upload?a=1"}))
        storage.faults.append(Fault(by("PUT"), 201))
        store(repository)
    assert storage.seen[0].path == f"/upload?a=1&digest=sha256%3A{BLOB.digest.hex}"
    assert "authorization" not in storage.seen[0].headers
