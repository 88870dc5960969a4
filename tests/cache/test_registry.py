"""The registry client against a real docker-registry, with and without a password."""

import io
import json
from collections.abc import Iterator

import pytest

from prebake.cache.credentials import Credentials
from prebake.cache.digest import Digest
from prebake.cache.oci import CONFIG, INDEX, LAYER_GZIP, MANIFEST, Descriptor, Manifest, Platform, to_bytes
from prebake.cache.probe import Unknown, head_manifest
from prebake.cache.reference import Reference, base_url
from prebake.cache.registry import Repository
from prebake.cache.request import Patience, Refused
from prebake.cache.store import BlobNotFound
from prebake.cache.transport import Transport
from prebake.errors import RegistryError, Unreachable
from world import services
from world.faults import proxy

EAGER = Patience(connect=2, read=5, attempts=3, backoff=0)
SECRET = "hunter2"
GONE = Digest.of(b"never stored")


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def store(repository: Repository, data: bytes) -> Descriptor:
    repository.upload(blob_of(data), lambda: io.BytesIO(data))
    return blob_of(data)


def put_image(repository: Repository, tag: str, config: bytes = b"{}") -> bytes:
    layer, stored = store(repository, b"layer" * 1000), store(repository, config)
    data = Manifest(Descriptor(CONFIG, stored.digest, stored.size), (layer,)).to_bytes()
    repository.put_manifest(tag, data, MANIFEST)
    return data


def anonymous(_: str) -> None:
    return None


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        yield made.host


@pytest.fixture(scope="module")
def locked_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("locked"), ("me", SECRET)) as made:
        yield made.host


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(anonymous, patience=EAGER)
    yield made
    made.close()


@pytest.fixture
def repository(transport: Transport, host: str, request: pytest.FixtureRequest) -> Repository:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())
    return Repository(transport, host, f"team/{name}")


def test_manifest_round_trip(repository: Repository) -> None:
    assert repository.manifest("v1") is None
    assert repository.head("v1") is None
    data = put_image(repository, "v1")
    found = repository.manifest("v1")
    assert found
    assert (found.media_type, found.digest, found.data) == (MANIFEST, Digest.of(data), data)
    assert repository.head("v1") == found.digest
    assert repository.head(str(found.digest)) == found.digest
    repository.read_back(found.digest)


def test_read_back_of_what_is_not_there(repository: Repository) -> None:
    with pytest.raises(Unreachable):
        repository.read_back(GONE)


def test_resolve_picks_the_platform(repository: Repository) -> None:
    amd, arm = put_image(repository, "amd"), put_image(repository, "arm", b'{"arm":1}')
    entries = [
        Descriptor(MANIFEST, Digest.of(data), len(data)).to_json()
        | {"platform": {"os": "linux", "architecture": architecture}}
        for data, architecture in ((amd, "amd64"), (arm, "arm64"), (arm, "unknown"))
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    repository.put_manifest("all", to_bytes(index), INDEX)
    found = repository.resolve("all", Platform("linux", "arm64"))
    assert found
    assert found.data == arm
    direct = repository.resolve("amd", Platform("linux", "amd64"))
    assert direct
    assert direct.data == amd
    assert repository.resolve("none", Platform()) is None
    with pytest.raises(RegistryError) as raised:
        repository.resolve("all", Platform("windows", "amd64"))
    assert "linux/amd64, linux/arm64" in raised.value.facts["offered"]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 5])
def test_blob_round_trip(repository: Repository, size: int) -> None:
    data = b"x" * size
    assert not repository.has_blob(blob_of(data))
    stored = store(repository, data)
    assert repository.has_blob(stored)
    with repository.open_blob(stored.digest) as stream:
        assert stream.read() == data


def test_missing(repository: Repository) -> None:
    stored = store(repository, b"there")
    longer = Descriptor(LAYER_GZIP, Digest.of(b"there"), 6)
    assert repository.missing([stored, stored, Descriptor(LAYER_GZIP, GONE, 1)]) == {GONE}
    assert repository.missing([longer]) == {longer.digest}
    with pytest.raises(BlobNotFound):
        repository.open_blob(GONE)


def test_mount(repository: Repository, transport: Transport, host: str) -> None:
    source = Repository(transport, host, "base/image")
    stored = store(source, b"base layer")
    assert not repository.has_blob(stored)
    assert repository.mount(stored.digest, "base/image")
    assert repository.has_blob(stored)
    assert not repository.mount(GONE, "base/image")


def test_upload_of_other_bytes_is_refused(repository: Repository) -> None:
    with pytest.raises(Refused) as raised:
        repository.upload(Descriptor(LAYER_GZIP, GONE, 5), lambda: io.BytesIO(b"other"))
    assert raised.value.codes == ("DIGEST_INVALID",)
    assert raised.value.facts["request"].startswith("PUT /v2/team/")
    assert "?" not in raised.value.facts["request"]


def test_manifest_without_its_blobs_is_refused(repository: Repository) -> None:
    data = Manifest(Descriptor(CONFIG, GONE, 1), ()).to_bytes()
    with pytest.raises(Refused) as raised:
        repository.put_manifest("v1", data, MANIFEST)
    assert raised.value.codes == ("MANIFEST_BLOB_UNKNOWN",)
    assert GONE.hex in raised.value.detail


def test_basic_authentication(locked_host: str) -> None:
    asked: list[str] = []

    def credentials(registry: str) -> Credentials:
        asked.append(registry)
        return Credentials("me", SECRET)

    transport = Transport(credentials, patience=EAGER)
    repository = Repository(transport, locked_host, "team/env")
    data = put_image(repository, "v1")
    assert repository.head("v1") == Digest.of(data)
    before = transport.traffic.requests
    repository.head("v1")
    assert transport.traffic.requests == before + 1  # asked for a password once, not every time
    assert asked == [locked_host] * 2  # reading and writing


@pytest.mark.parametrize("credentials", [None, Credentials("me", "wrong-" + SECRET)])
def test_wrong_or_no_password(locked_host: str, credentials: Credentials | None) -> None:
    repository = Repository(Transport(lambda _: credentials, patience=EAGER), locked_host, "team/env")
    with pytest.raises(Refused) as raised:
        repository.upload(blob_of(b"x"), lambda: io.BytesIO(b"x"))
    assert raised.value.status == 401
    assert raised.value.facts["registry"] == locked_host
    assert f"docker login {locked_host}" in raised.value.hint
    assert not raised.value.retryable
    assert SECRET not in str(raised.value)


def test_nobody_there(transport: Transport) -> None:
    repository = Repository(transport, "127.0.0.1:1", "team/env")
    with pytest.raises(Unreachable) as raised:
        repository.head("v1")
    assert raised.value.facts["request"] == "HEAD /v2/team/env/manifests/v1"
    assert raised.value.retryable


def test_plain_http_is_for_loopback_and_the_listed() -> None:
    assert base_url("127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert base_url("[::1]:5000") == "http://[::1]:5000"
    assert base_url("127.0.0.1.evil.example") == "https://127.0.0.1.evil.example"
    assert base_url("localhost.evil.example") == "https://localhost.evil.example"
    assert base_url("lab.example", {"lab.example"}) == "http://lab.example"
    assert base_url("docker.io") == "https://registry-1.docker.io"


def test_tls_with_a_plain_registry_is_no_reason_to_try_again(host: str) -> None:
    with proxy(host, "0.0.0.0") as plain:
        repository = Repository(Transport(anonymous, patience=EAGER), f"0.0.0.0:{plain.host[8:]}", "x")
        with pytest.raises(RegistryError) as raised:
            repository.head("v1")
    assert "insecure" in raised.value.hint


def test_probe(repository: Repository, host: str, locked_host: str) -> None:
    data = put_image(repository, "v1")
    reference = Reference(host, repository.name, "v1")
    assert head_manifest(reference) == Digest.of(data)
    assert head_manifest(reference.at(Digest.of(data))) == Digest.of(data)
    assert head_manifest(Reference(host, repository.name, "none")) is None
    assert head_manifest(Reference(locked_host, "x", "v1")) is Unknown.UNKNOWN
    assert head_manifest(Reference("127.0.0.1:1", "x", "v1")) is Unknown.UNKNOWN


def test_traffic_is_counted(repository: Repository, transport: Transport) -> None:
    before = transport.traffic
    stored = store(repository, b"z" * 5000)
    with repository.open_blob(stored.digest) as stream:
        stream.read()
    assert transport.traffic.sent - before.sent == 5000
    assert transport.traffic.received - before.received >= 5000
    assert transport.traffic.requests - before.requests == 3


def test_a_refusal_says_what_the_registry_said(repository: Repository) -> None:
    with pytest.raises(RegistryError) as raised:
        repository.put_manifest("v1", b"no manifest", MANIFEST)
    assert raised.value.facts["code"] == "MANIFEST_INVALID"
    assert raised.value.facts["status"] == "400"
    assert json.dumps(raised.value.to_json())
