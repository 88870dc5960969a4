"""A store in a registry whose storage was tampered with, or that answers badly for a while."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prebake.cache.artifacts import RegistryStore
from prebake.cache.digest import Digest
from prebake.cache.registry import Repository
from prebake.cache.request import Refused, Request
from prebake.cache.store import BlobNotFound, Miss, Reason
from prebake.cache.transport import Transport
from prebake.errors import IntegrityError, RegistryError, Unreachable
from sample_traces import DATA, EAGER, blob_of, edit, look, put, request, tagged, trace_of
from world import services
from world.faults import Fault, Proxy, proxy

# An answer that ends before its body does; the registry behind the proxy is not asked.
CUT = {"Content-Length": "100", "Connection": "close"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def host(root: Path) -> Iterator[str]:
    with services.registry(root) as made:
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


def file_of(root: Path, digest: Digest) -> Path:
    """Where docker-registry keeps the bytes of a blob or a manifest."""
    return root / "docker/registry/v2/blobs/sha256" / digest.hex[:2] / digest.hex / "data"


def test_a_config_that_is_gone(store: RegistryStore, repository: Repository, root: Path) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    config = put(store, b"soon gone")
    edit(repository, trace, config=config.to_json())
    file_of(root, config.digest).unlink()
    assert look(store, trace) == Miss(Reason.DAMAGED, "a blob is missing")


def test_a_manifest_altered_in_storage(store: RegistryStore, repository: Repository, root: Path) -> None:
    trace = trace_of("a", put(store, DATA), result="right")
    store.record(trace)
    file = file_of(root, tagged(repository, trace))
    file.write_bytes(file.read_bytes().replace(b"schemaVersion", b"SchemaVersion"))
    found = look(store, trace)
    assert isinstance(found, Miss)
    assert found.reason is Reason.DAMAGED
    store.record(trace)
    assert look(store, trace) == trace


def test_a_manifest_cut_short_in_storage(store: RegistryStore, repository: Repository, root: Path) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    file = file_of(root, tagged(repository, trace))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(Unreachable):
        look(store, trace)
    store.record(trace)
    assert look(store, trace) == trace


def test_blobs_removed_from_storage(store: RegistryStore, root: Path) -> None:
    lost, kept = put(store, b"removed behind our back"), put(store, DATA)
    trace = trace_of("a", lost, kept)
    store.record(trace)
    file_of(root, lost.digest).unlink()
    assert look(store, trace) == trace
    assert store.missing(trace.blobs) == {lost.digest}
    with pytest.raises(BlobNotFound) as raised:
        store.record(trace)
    assert raised.value.digest == lost.digest
    put(store, b"removed behind our back")
    store.record(trace)
    assert not store.missing(trace.blobs)


def test_a_blob_cut_short_in_storage(store: RegistryStore, repository: Repository, root: Path) -> None:
    blob = put(store, b"cut short behind our back")
    file_of(root, blob.digest).write_bytes(b"cut short")
    assert store.missing([blob]) == {blob.digest}
    with pytest.raises(IntegrityError), store.open(blob.digest) as stream:
        stream.read()
    with pytest.raises(RegistryError) as raised:
        put(store, b"cut short behind our back")
    assert raised.value.facts["store"] == str(store)
    assert raised.value.facts["digest"] == str(blob.digest)
    assert "administrator" in raised.value.hint
    target = f"/v2/{repository.name}/blobs/{blob.digest}"
    repository.transport.send(Request("DELETE", repository.registry, repository.name, target), 202)
    with pytest.raises(RegistryError):  # as `put` says: deleting removes a link, not the file
        put(store, b"cut short behind our back")
    file_of(root, blob.digest).unlink()
    put(store, b"cut short behind our back")
    assert not store.missing([blob])


def test_a_blob_that_the_registry_claims_but_cannot_link(store: RegistryStore, front: Proxy) -> None:
    blob = put(store, DATA)
    document = {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "detail": {"digest": str(blob.digest)}}]}
    front.faults.append(Fault(request("PUT", "/manifests/"), 400, body=json.dumps(document).encode()))
    with pytest.raises(BlobNotFound):
        store.record(trace_of("a", blob))
    assert store.missing([blob]) == {blob.digest}
    front.seen.clear()
    put(store, DATA)
    assert front.methods() == ["POST", "PUT", "HEAD"]
    store.record(trace_of("a", blob))
    assert not store.missing([blob])


def test_looking_survives_a_cut_connection(store: RegistryStore, front: Proxy) -> None:
    trace = trace_of("a", put(store, DATA))
    store.record(trace)
    cut = Fault(request("GET", "/manifests/"), cut=100)
    front.faults.append(cut)
    assert look(store, trace) == trace
    assert cut.times == 0


TROUBLE = {
    "429": Fault(lambda _: True, 429, {"Retry-After": "1"}),
    "500": Fault(lambda _: True, 500),
    "cut": Fault(lambda _: True, 201, CUT),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_put_survives_passing_trouble(store: RegistryStore, front: Proxy, method: str, trouble: str) -> None:
    fault = replace(TROUBLE[trouble], matches=request(method, "/blobs/"))
    front.faults.append(fault)
    data = f"{method} {trouble}".encode()
    put(store, data)
    assert fault.times == 0
    assert not RegistryStore(store._repository).missing([blob_of(data)])


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize(
    ("method", "part"), [("POST", "/blobs/"), ("PUT", "/blobs/"), ("PUT", "/manifests/")]
)
def test_record_survives_passing_trouble(
    store: RegistryStore, front: Proxy, method: str, part: str, trouble: str
) -> None:
    trace = trace_of(f"{method} {part} {trouble}", put(store, DATA))
    fault = replace(TROUBLE[trouble], matches=request(method, part))
    front.faults.append(fault)
    store.record(trace)
    assert fault.times == 0
    assert look(store, trace) == trace


def test_a_record_that_cannot_be_read_back(store: RegistryStore, front: Proxy) -> None:
    front.faults.append(Fault(request("GET", "/manifests/sha256:"), 404))
    with pytest.raises(Unreachable):
        store.record(trace_of("a"))


def test_a_manifest_that_is_refused_for_another_reason(store: RegistryStore, front: Proxy) -> None:
    blob = put(store, DATA)
    document = {"errors": [{"code": "DENIED", "detail": {"digest": str(blob.digest)}}]}
    front.faults.append(Fault(request("PUT", "/manifests/"), 403, body=json.dumps(document).encode()))
    with pytest.raises(Refused):
        store.record(trace_of("a", blob))
    assert not store.missing([blob])


def test_a_refusal_that_names_no_blob(store: RegistryStore, front: Proxy, root: Path) -> None:
    lost, kept = put(store, b"removed, and not named"), put(store, DATA)
    file_of(root, lost.digest).unlink()
    body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
    front.faults.append(Fault(request("PUT", "/manifests/"), 400, body=body, times=-1))
    with pytest.raises(BlobNotFound) as raised:
        store.record(trace_of("a", kept, lost))
    assert raised.value.digest == lost.digest
    with pytest.raises(Refused):
        store.record(trace_of("a", kept))
