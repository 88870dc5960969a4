"""Pushing images to a real docker-registry: order, mounts, reuse, overlap, failures."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest

from prebake.builders.push import Image, Outcome, Progress, Uploader, push
from prebake.cache.digest import DiffId, Digest, key_inputs
from prebake.cache.leases import Leases, lease_name
from prebake.cache.memory import MemoryStore
from prebake.cache.oci import CONFIG, INDEX, LAYER_GZIP, Descriptor, Layer, Manifest, to_bytes
from prebake.cache.origins import PUSH, Origins
from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.cache.request import Patience, Refused, Request
from prebake.cache.transport import Transport
from prebake.errors import Unreachable
from world import services
from world.faults import Fault, Proxy, Seen, proxy

EAGER = Patience(connect=2, read=10, attempts=3, backoff=0)
BASE = (b"base one " * 100_000, b"base two")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        seed(made.host)
        yield made.host


@pytest.fixture(scope="module")
def other_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("other")) as made:
        yield made.host


@pytest.fixture
def front(host: str) -> Iterator[Proxy]:
    with proxy(host) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "env/" + "".join(letter for letter in request.node.name.lower() if letter.isalnum())


def new_transport() -> Transport:
    return Transport(lambda _: None, patience=EAGER)


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def seed(host: str) -> None:
    base = Repository(new_transport(), host, "base/image")
    for data in BASE:
        base.upload(blob_of(data), lambda data=data: io.BytesIO(data))


def image_of(base_host: str, *contents: bytes, config: bytes = b"{}") -> Image:
    stored = {Digest.of(data): data for data in contents}
    base = tuple(blob_of(data) for data in BASE)
    layers = tuple(Layer(blob_of(data), DiffId.parse(str(Digest.of(data)))) for data in contents)
    described = Descriptor(CONFIG, Digest.of(config), len(config))
    manifest = Manifest(described, (*base, *(layer.descriptor for layer in layers)))

    def open_layer(digest: Digest) -> IO[bytes]:
        return io.BytesIO(stored[digest])

    return Image(manifest, config, Reference(base_host, "base/image", "1"), base, layers, open_layer)


def check(transport: Transport, to: Reference, image: Image) -> None:
    """The tag is at the manifest and every blob can be read."""
    target = Repository.of(transport, to)
    found = target.manifest(str(to.tag))
    assert found
    assert found.data == image.manifest.to_bytes()
    for blob in image.manifest.blobs():
        with target.open_blob(blob.digest) as stream:
            assert len(stream.read()) == blob.size


def is_manifest_put(seen: Seen) -> bool:
    return seen.method == "PUT" and "/manifests/" in seen.path


def test_first_push_mounts_the_base(host: str, name: str) -> None:
    transport, to = new_transport(), Reference(host, name, "v1")
    image = image_of(host, b"own" * 1000)
    pushed = push(transport, image, to)
    assert (pushed.mounted, pushed.existing, pushed.uploaded) == (2, 0, 2)
    assert pushed.bytes_pushed == 3002
    assert pushed.reference == to.at(Digest.of(image.manifest.to_bytes()))
    assert transport.traffic.sent < 5000
    check(transport, to, image)


def test_pushing_again_is_one_head(front: Proxy, host: str, name: str) -> None:
    transport, to = new_transport(), Reference(front.host, name, "v1")
    image = image_of(host, b"own")
    first = push(transport, image, to)
    front.seen.clear()
    sent = transport.traffic.sent
    again = push(transport, image, to)
    assert front.methods() == ["HEAD"]
    assert (again.bytes_pushed, transport.traffic.sent - sent) == (0, 0)
    assert again.reference == first.reference


def test_a_new_layer_moves_itself_alone(host: str, name: str) -> None:
    transport = new_transport()
    push(transport, image_of(host, b"one"), Reference(host, name, "v1"))
    pushed = push(transport, image_of(host, b"one", b"second"), Reference(host, name, "v2"))
    assert (pushed.mounted, pushed.existing, pushed.uploaded, pushed.bytes_pushed) == (0, 4, 1, 6)


def test_what_the_tag_has_is_not_asked_for_again(front: Proxy, name: str) -> None:
    transport, to = new_transport(), Reference(front.host, name, "v1")
    push(transport, image_of(front.host, b"one"), to)
    front.seen.clear()
    image = image_of(front.host, b"one", b"second")
    pushed = push(transport, image, to)
    assert (pushed.existing, pushed.uploaded) == (4, 1)
    assert front.methods() == ["HEAD", "GET", "HEAD", "POST", "PUT", "PUT", "GET", "PUT"]
    check(transport, to, image)


def test_an_index_at_the_tag_is_replaced(host: str, name: str) -> None:
    transport, to = new_transport(), Reference(host, name, "v1")
    index = to_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    Repository.of(transport, to).put_manifest("v1", index, INDEX)
    image = image_of(host, b"own")
    push(transport, image, to)
    check(transport, to, image)


def test_a_layer_that_the_tag_has_lost_is_sent_again(front: Proxy, name: str) -> None:
    transport, to = new_transport(), Reference(front.host, name, "v1")
    push(transport, image_of(front.host, b"one"), to)
    lost = Digest.of(b"one")
    transport.send(Request("DELETE", to.registry, name, f"/v2/{name}/blobs/{lost}"), 202)
    image = image_of(front.host, b"one", b"second")
    pushed = push(transport, image, to)
    assert pushed.uploaded == 2
    check(transport, to, image)


def test_the_same_layer_twice_in_one_image(host: str, name: str) -> None:
    transport, to = new_transport(), Reference(host, name, "v1")
    image = image_of(host, b"same", b"same")
    assert push(transport, image, to).uploaded == 2
    check(transport, to, image)


def test_base_in_another_registry_is_streamed(host: str, other_host: str, name: str) -> None:
    transport, to = new_transport(), Reference(other_host, name, "v1")
    image = image_of(host, b"own")
    pushed = push(transport, image, to)
    assert (pushed.mounted, pushed.uploaded) == (0, 4)
    assert pushed.bytes_pushed == sum(map(len, BASE)) + 5
    check(transport, to, image)


def test_refused_mount_is_streamed(front: Proxy, name: str) -> None:
    front.faults.append(
        Fault(lambda seen: "mount=" in seen.path, 202, {"Location": "/v2/x/blobs/uploads/1"}, times=-1)
    )
    transport, to = new_transport(), Reference(front.host, name, "v1")
    image = image_of(front.host, b"own")
    pushed = push(transport, image, to)
    assert (pushed.mounted, pushed.uploaded) == (0, 4)
    check(transport, to, image)


def test_order_of_a_push(front: Proxy, host: str, name: str) -> None:
    image = image_of(front.host, b"own" * 5000)
    push(new_transport(), image, Reference(front.host, name, "v1"))
    digest = Digest.of(image.manifest.to_bytes())
    last = [(seen.method, seen.path.rpartition("/")[2]) for seen in front.seen[-3:]]
    assert last == [("PUT", str(digest)), ("GET", str(digest)), ("PUT", "v1")]
    assert not any("manifests" in seen.path for seen in front.seen[1:-3])


def test_layers_are_sent_while_others_are_built(host: str, name: str) -> None:
    transport, to = new_transport(), Reference(host, name, "v1")
    image = image_of(host, b"early", b"late")
    early = image.layers[0].descriptor
    with Uploader(transport, to) as uploader:
        future = uploader.start(early, image.open)
        assert future.result() is Outcome.UPLOADED
        assert Repository.of(transport, to).has_blob(early)
        assert uploader.start(early, image.open) is future
        assert uploader.start_from(image.base_layers[0], image.base).result() is Outcome.MOUNTED
        pushed = uploader.commit(image)
    assert (pushed.uploaded, pushed.mounted) == (3, 2)
    check(transport, to, image)


def test_progress(host: str, name: str) -> None:
    sizes: list[int] = []
    done: dict[Digest, Outcome] = {}
    progress = Progress(sizes.append, lambda blob, outcome: done.update({blob.digest: outcome}))
    image = image_of(host, b"own" * 100)
    pushed = push(new_transport(), image, Reference(host, name, "v1"), progress)
    assert sum(sizes) == pushed.bytes_pushed == 302
    assert set(done) == {blob.digest for blob in image.manifest.blobs()}


def test_blobs_collected_in_between_are_sent_again(front: Proxy, name: str) -> None:
    image = image_of(front.host, b"own")
    own = image.layers[0].digest
    document = {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "detail": {"digest": str(own)}}]}
    refusal = Fault(is_manifest_put, 400, body=json.dumps(document).encode())
    front.faults.append(refusal)
    transport, to = new_transport(), Reference(front.host, name, "v1")
    pushed = push(transport, image, to)
    assert (pushed.mounted, pushed.uploaded, pushed.bytes_pushed) == (2, 2, 5)
    commits = [seen for seen in front.seen if seen.method == "PUT" and own.hex in seen.path]
    assert len(commits) == 2
    check(transport, to, image)
    refusal.times = -1
    other = image_of(front.host, b"own", config=b"{ }")
    with pytest.raises(Refused):
        push(transport, other, to)


def test_failed_upload_stops_the_others_and_moves_no_tag(front: Proxy, host: str, name: str) -> None:
    refused, endless = b"refused", Endless()
    image = image_of(front.host, refused)
    slow = Descriptor(LAYER_GZIP, Digest.of(b"endless"), 1 << 40)
    front.faults.append(
        Fault(lambda seen: seen.method == "PUT" and Digest.of(refused).hex in seen.path, 403, times=-1)
    )
    to = Reference(front.host, name, "v1")
    with pytest.raises(Refused) as raised, Uploader(new_transport(), to) as uploader:
        uploader.start(slow, endless.open)
        uploader.commit(image)
    assert front.host in str(raised.value)
    assert endless.closed.is_set()
    assert Repository(new_transport(), host, name).head("v1") is None


@dataclass(frozen=True)
class Endless:
    """A layer that never ends, so only a stop ends its upload."""

    closed: threading.Event

    def __init__(self) -> None:
        object.__setattr__(self, "closed", threading.Event())

    def open(self, _: Digest) -> IO[bytes]:
        return _EndlessStream(self.closed.set)


class _EndlessStream(io.RawIOBase, IO[bytes]):  # type: ignore[misc]
    def __init__(self, on_close: Callable[[], object]) -> None:
        self._on_close = on_close

    def read(self, size: int = -1) -> bytes:
        return bytes(1 << 16)

    def close(self) -> None:
        self._on_close()
        super().close()


def test_leaving_early_stops_uploads(host: str, name: str) -> None:
    endless = Endless()
    slow = Descriptor(LAYER_GZIP, Digest.of(b"endless"), 1 << 40)
    with pytest.raises(ZeroDivisionError), Uploader(new_transport(), Reference(host, name, "v1")) as uploader:
        future = uploader.start(slow, endless.open)
        raise ZeroDivisionError("the build failed")
    assert future.done()
    assert Repository(new_transport(), host, name).head("v1") is None


def test_leaving_early_stops_waiting_for_who_sends_the_same(host: str, name: str, tmp_path: Path) -> None:
    leases = Leases(f"sqlite:///{tmp_path}/leases.db")
    origins = Origins(MemoryStore(), host, leases=leases)
    blob, to = blob_of(b"sent by another"), Reference(host, name, "v1")
    inputs = {"registry": host, "repository": name, "digest": str(blob.digest)}
    with leases.acquire(lease_name(key_inputs(PUSH, inputs))) or pytest.fail("somebody has the lease"):
        with pytest.raises(ZeroDivisionError), Uploader(new_transport(), to, origins=origins) as uploader:
            future = uploader.start(blob, lambda _: io.BytesIO())
            raise ZeroDivisionError("the build failed")
        assert isinstance(future.exception(), CancelledError)


def test_a_failing_reader_is_the_error(host: str, name: str, tmp_path: Path) -> None:
    image = replace(image_of(host, b"own"), open=lambda digest: (tmp_path / digest.hex).open("rb"))
    with pytest.raises(FileNotFoundError):
        push(new_transport(), image, Reference(host, name, "v1"))


def test_nobody_there(host: str) -> None:
    with pytest.raises(Unreachable) as raised:
        push(new_transport(), image_of(host, b"own"), Reference("127.0.0.1:1", "env", "v1"))
    assert raised.value.facts["registry"] == "127.0.0.1:1"


def test_push_by_digest_alone_moves_no_tag(host: str, name: str) -> None:
    image = image_of(host, b"own")
    pushed = push(new_transport(), image, Reference(host, name))
    assert pushed.reference.tag is None
    assert Repository(new_transport(), host, name).head(str(pushed.reference.digest))
