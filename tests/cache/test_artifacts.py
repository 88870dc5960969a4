"""A store in a real docker-registry: what goes in comes out, and what is damaged is a miss."""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from prebake.cache.artifacts import EMPTY, TRACE, RegistryStore
from prebake.cache.digest import Digest, canonical
from prebake.cache.oci import CONFIG, MANIFEST, Manifest
from prebake.cache.registry import Repository
from prebake.cache.request import Refused
from prebake.cache.store import BlobNotFound, Miss, Reason
from prebake.cache.transport import Transport
from prebake.errors import IntegrityError, RegistryError, Unreachable
from sample_traces import DATA, EAGER, blob_of, edit, look, put, request, trace_of
from world import services
from world.faults import Fault, Proxy, proxy


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        yield made.host


@pytest.fixture
def front(host: str) -> Iterator[Proxy]:
    with proxy(host) as made:
        yield made


@pytest.fixture
def repository(front: Proxy, request: pytest.FixtureRequest) -> Iterator[Repository]:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())
    transport = Transport(lambda _: None, patience=EAGER)
    yield Repository(transport, front.host, f"cache/{name}")
    transport.close()


@pytest.fixture
def store(repository: Repository) -> RegistryStore:
    return RegistryStore(repository)


def test_blobs_round_trip(store: RegistryStore) -> None:
    blob, none = put(store, DATA), put(store, b"")
    with store.open(blob.digest) as stream:
        assert stream.read() == DATA
    gone = blob_of(b"never stored")
    assert store.missing(iter([blob, none, gone, replace(blob, size=3)])) == {gone.digest, blob.digest}
    with pytest.raises(BlobNotFound):
        store.open(gone.digest)


def test_what_is_there_is_not_opened(store: RegistryStore, front: Proxy) -> None:
    blob = put(store, DATA)
    front.seen.clear()
    store.put(blob, lambda: pytest.fail("opened"))
    assert front.methods() == ["HEAD"]


def test_traces_round_trip(store: RegistryStore, repository: Repository, front: Proxy) -> None:
    trace = trace_of("a", put(store, DATA), result="é")
    assert look(store, trace) == Miss(Reason.NEVER)
    store.record(trace)
    front.seen.clear()
    assert look(store, trace) == trace
    assert front.methods() == ["GET"]
    found = repository.manifest(trace.key.hex)
    assert found
    raw = json.loads(found.data)
    assert (raw["artifactType"], raw["config"]["mediaType"]) == (TRACE, TRACE)
    assert raw["layers"] == [trace.blobs[0].to_json()]
    with store.open(Digest.parse(raw["config"]["digest"])) as stream:
        assert json.loads(stream.read()) == json.loads(json.dumps(trace.to_json()))


def test_a_trace_without_blobs(store: RegistryStore) -> None:
    trace = trace_of("a", result="x")
    store.record(trace)
    assert look(store, trace) == trace
    assert not store.missing([EMPTY])


def test_a_manifest_kept_as_a_blob(store: RegistryStore, repository: Repository) -> None:
    kept = replace(put(store, b'{"a manifest":"of a base"}'), media_type=MANIFEST, annotations={"a": "b"})
    trace = trace_of("a", kept)
    store.record(trace)
    assert look(store, trace) == trace
    found = repository.manifest(trace.key.hex)
    assert found
    assert [layer["mediaType"] for layer in json.loads(found.data)["layers"]] == ["application/octet-stream"]


def test_the_last_record_wins(store: RegistryStore) -> None:
    for result in ("first", "second"):
        store.record(trace_of("a", result=result))
    assert look(store, trace_of("a")) == trace_of("a", result="second")


def test_many_record_one_key_at_once(store: RegistryStore) -> None:
    traces = [trace_of("a", put(store, b"blob %d" % n), writer=str(n)) for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(store.record, traces))
        found = list(pool.map(lambda _: look(store, traces[0]), range(4)))
    assert found[0] in traces
    assert found == [found[0]] * 4


def test_a_big_trace(store: RegistryStore, front: Proxy) -> None:
    trace = trace_of("x" * 5_000_000, put(store, DATA))
    store.record(trace)
    front.seen.clear()
    assert look(store, trace) == trace
    assert front.methods() == ["GET", "GET"]


def test_collision(store: RegistryStore) -> None:
    trace = trace_of("a")
    store.record(trace)
    assert store.look(trace.key, trace_of("b").inputs) == Miss(Reason.COLLISION)


def test_a_foreign_image_at_the_tag(store: RegistryStore, repository: Repository) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    image = Manifest(replace(put(store, b"{}"), media_type=CONFIG), trace.blobs)
    repository.put_manifest(trace.key.hex, image.to_bytes(), MANIFEST)
    assert look(store, trace) == Miss(Reason.DAMAGED, "another artifact has its tag")
    assert store.list_all() == ([], [])
    store.record(trace)
    assert look(store, trace) == trace


@pytest.mark.parametrize("data", [b"garbage", b"[]", b"{}", b'{"blobs":[{}]}', b"\xff"])
def test_a_config_that_is_garbage(store: RegistryStore, repository: Repository, data: bytes) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    edit(repository, trace, config=replace(put(store, data), media_type=TRACE).to_json())
    found = look(store, trace)
    assert isinstance(found, Miss)
    assert found.reason is Reason.DAMAGED


FORGED = base64.b64encode(canonical(trace_of("a", result="forged").to_json())).decode()


@pytest.mark.parametrize("data", [FORGED, "?", None, 3, ""])
def test_embedded_data_that_is_not_the_config(
    store: RegistryStore, repository: Repository, data: object
) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    config = replace(put(store, b"config"), media_type=TRACE)
    edit(repository, trace, config=config.to_json() | {"data": data})
    found = look(store, trace)
    assert isinstance(found, Miss)
    assert found.reason is Reason.DAMAGED


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_failure_is_no_miss(store: RegistryStore, front: Proxy, status: int) -> None:
    front.faults.append(Fault(request("GET", "/manifests/"), status, times=-1))
    with pytest.raises(Unreachable if status == 503 else Refused) as raised:
        look(store, trace_of("a"))
    assert raised.value.facts["registry"] == front.host


@pytest.mark.parametrize("wrong", [b"other", b"shor", b"right and more", b""])
def test_other_bytes_are_not_stored(store: RegistryStore, wrong: bytes) -> None:
    with pytest.raises(IntegrityError) as raised:
        store.put(blob_of(b"right"), lambda: io.BytesIO(wrong))
    assert str(store) in raised.value.facts["store"]
    assert store.missing([blob_of(b"right")]) == {Digest.of(b"right")}
    put(store, b"right")


def test_tags_that_are_not_ours_are_not_listed(store: RegistryStore, repository: Repository) -> None:
    blob = put(store, DATA)
    store.record(trace_of("a", blob))
    image = Manifest(replace(put(store, b"{}"), media_type=CONFIG), (blob,))
    for tag in ("v1", "f" * 32):
        repository.put_manifest(tag, image.to_bytes(), MANIFEST)
    assert [trace.key for trace in store.list_all()[0]] == [trace_of("a", blob).key]


@pytest.mark.parametrize("link", ["/v2/x/tags/list?last=1", "http://elsewhere.example/v2/x/tags/list?last=1"])
def test_listing_turns_pages(store: RegistryStore, front: Proxy, link: str) -> None:
    traces = [trace_of(name) for name in "abc"]
    for trace in traces:
        store.record(trace)
    for part, keys, more in (
        ("list?last=1", traces[2:], {}),
        ("list", traces[:2], {"Link": f'<{link}>; rel="next"'}),
    ):
        body = json.dumps({"name": "x", "tags": [trace.key.hex for trace in keys]}).encode()
        front.faults.append(Fault(request("GET", f"/tags/{part}"), 200, more, body))
    assert {each.key for each in store.list_all()[0]} == {trace.key for trace in traces}


def test_delete_where_it_is_disabled(store: RegistryStore, front: Proxy) -> None:
    trace = trace_of("a")
    store.record(trace)
    body = b'{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}'
    front.faults.append(Fault(request("DELETE", "/manifests/"), 405, body=body))
    with pytest.raises(RegistryError) as raised:
        store.delete([trace.key])
    assert str(store) in str(raised.value)
    assert "enable deletion" in raised.value.hint
    assert look(store, trace) == trace


def test_its_name(repository: Repository) -> None:
    assert str(RegistryStore(repository)) == f"registry {repository.registry}/{repository.name}"
