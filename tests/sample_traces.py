"""Blobs and traces for stores in registries, and ways to get at what the registry made of them."""

import io
import json
from collections.abc import Callable

from prebake.cache.digest import Digest, key_inputs, key_of_inputs
from prebake.cache.oci import LAYER_GZIP, MANIFEST, Descriptor, to_bytes
from prebake.cache.registry import Repository
from prebake.cache.request import Patience
from prebake.cache.store import BlobStore, Miss, Trace, TraceStore
from world.faults import Seen

EAGER = Patience(connect=2, read=10, attempts=3, backoff=0)
DATA = b"the bytes of a layer " * 10_000


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER_GZIP, Digest.of(data), len(data))


def put(store: BlobStore, data: bytes) -> Descriptor:
    store.put(blob_of(data), lambda: io.BytesIO(data))
    return blob_of(data)


def trace_of(name: str, *blobs: Descriptor, **outputs: str) -> Trace:
    inputs = key_inputs("test/1", {"name": name})
    return Trace(key_of_inputs(inputs), inputs, outputs, blobs, {"cost": 7})


def look(store: TraceStore, trace: Trace) -> Trace | Miss:
    return store.look(trace.key, trace.inputs)


def request(method: str, part: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.method == method and part in seen.path


def tagged(repository: Repository, trace: Trace) -> Digest:
    digest = repository.head(trace.key.hex)
    assert digest
    return digest


def edit(repository: Repository, trace: Trace, **changes: object) -> None:
    """Tag the trace's manifest anew, with another `config` and the like."""
    found = repository.manifest(trace.key.hex)
    assert found
    repository.put_manifest(trace.key.hex, to_bytes(json.loads(found.data) | changes), MANIFEST)
