"""Every store and every stack of wrappers, for the suites in this folder: a name and a factory each."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from prebake.cache.artifacts import RegistryStore
from prebake.cache.bucket import Bucket
from prebake.cache.complete import Complete
from prebake.cache.digest import Digest, Key
from prebake.cache.directory import DirectoryStore
from prebake.cache.memory import MemoryStore
from prebake.cache.oci import CONFIG, MANIFEST, Descriptor, Manifest
from prebake.cache.presence import Remembered
from prebake.cache.registry import Repository
from prebake.cache.s3 import S3Store
from prebake.cache.signed import Signed, make_key
from prebake.cache.store import BlobStore, TraceStore
from prebake.cache.transport import Transport
from prebake.cache.verified import Verified
from world import services
from world.s3 import S3, s3


@dataclass(frozen=True)
class Tested:
    """What a suite needs of a store; `damage` spoils the trace that is recorded under a key."""

    blobs: BlobStore
    traces: TraceStore
    damage: Callable[[Key], None]


Factory = Callable[[pytest.FixtureRequest], AbstractContextManager[Tested]]


@contextmanager
def memory(_: pytest.FixtureRequest) -> Iterator[Tested]:
    store = MemoryStore()

    def damage(key: Key) -> None:
        store.traces[key] = store.traces[key][:-5]

    yield Tested(store, store, damage)


@contextmanager
def directory(request: pytest.FixtureRequest) -> Iterator[Tested]:
    folder: Path = request.getfixturevalue("tmp_path")
    store = DirectoryStore(folder)

    def damage(key: Key) -> None:
        path = folder / "traces" / key.hex[:2] / f"{key.hex}.json"
        path.write_bytes(path.read_bytes()[:-5])

    yield Tested(store, store, damage)


@contextmanager
def bucket(request: pytest.FixtureRequest) -> Iterator[Tested]:
    server: S3 = request.getfixturevalue("s3_server")
    server.sign_in(request.getfixturevalue("monkeypatch"))
    made = Bucket(server.make_bucket(), "team/cache", server.url)
    store = S3Store(made)
    yield Tested(store, store, lambda key: server.put(f"{made.name}/{store.name(key)}", b'{"blobs":[],'))


@contextmanager
def wrapped(request: pytest.FixtureRequest) -> Iterator[Tested]:
    """What is checked and what is complete is still a store."""
    with memory(request) as inner:
        yield Tested(Verified(inner.blobs), Complete(inner.traces, inner.blobs.missing), inner.damage)


@contextmanager
def registry(request: pytest.FixtureRequest) -> Iterator[Tested]:
    host: str = request.getfixturevalue("registry_host")
    repository = Repository(Transport(lambda _: None), host, f"team/{uuid.uuid4().hex}")
    store = RegistryStore(repository)

    def damage(key: Key) -> None:
        """An image under the trace's tag."""
        config = Descriptor(CONFIG, Digest.of(b"{}"), 2)
        repository.upload(config, lambda: io.BytesIO(b"{}"))
        repository.put_manifest(key.hex, Manifest(config, ()).to_bytes(), MANIFEST)

    yield Tested(store, store, damage)
    repository.transport.close()


@contextmanager
def tier(request: pytest.FixtureRequest) -> Iterator[Tested]:
    """The stack of a remote tier, over S3: checked, remembered, signed, complete."""
    folder: Path = request.getfixturevalue("tmp_path")
    signer = make_key(folder / "signing.pem")
    with bucket(request) as inner:
        blobs = Remembered(Verified(inner.blobs), folder / "presence")
        signed = Signed(inner.traces, signer, (signer.public_text,))
        yield Tested(blobs, Complete(signed, blobs.missing), inner.damage)


STORES: dict[str, Factory] = {
    "directory": directory,
    "memory": memory,
    "registry": registry,
    "s3": bucket,
    "tier": tier,
    "wrapped": wrapped,
}


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with services.registry(tmp_path_factory.mktemp("registry")) as made:
        yield made.host


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with s3() as made:
        yield made


@pytest.fixture(params=STORES)
def tested(request: pytest.FixtureRequest) -> Iterator[Tested]:
    with STORES[request.param](request) as made:
        yield made


@pytest.fixture
def blobs(tested: Tested) -> BlobStore:
    return tested.blobs


@pytest.fixture
def traces(tested: Tested) -> TraceStore:
    return tested.traces


@pytest.fixture
def damage(tested: Tested) -> Callable[[Key], None]:
    return tested.damage
