"""A store in one repository of an OCI registry: blobs are its blobs, traces are artifacts.

A trace is an artifact manifest (OCI image spec 1.1, manifest.md, "Guidelines for Artifact Usage") tagged with
its key's 32 hex digits:

    artifactType   application/vnd.prebake.trace.v1+json
    config         the trace's canonical JSON as a blob; also in the descriptor's `data`, so that one GET
                   tells everything, unless that makes the manifest larger than registries must take
    layers         the trace's blobs, so that the registry's garbage collection keeps them and a manifest
                   whose blobs are gone is refused; without blobs the empty descriptor

Invariant: blobs, config, then the manifest under its tag, which is read back. Any number of processes may
record one key at once: the last tag wins, and each of them is complete.
"""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import IntegrityError, PrebakeError, RegistryError
from .digest import Digest, Key, canonical
from .inventory import BlobFile, TraceFile, read_listed
from .oci import MANIFEST, MANIFEST_TYPES, Descriptor, to_bytes
from .origins import mount
from .registry import BLOB_GONE
from .request import Refused
from .store import BlobNotFound, DamagedCopy, Miss, Reason, Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import IO

    from .digest import Json
    from .index import Document
    from .origins import Origins
    from .registry import Repository

TRACE = "application/vnd.prebake.trace.v1+json"
CREATED = "org.opencontainers.image.created"
# OCI image spec, manifest.md, "Guidance for an Empty Descriptor".
_EMPTY_DATA = b"{}"
_EMPTY_DIGEST = Digest("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
EMPTY = Descriptor("application/vnd.oci.empty.v1+json", _EMPTY_DIGEST, len(_EMPTY_DATA))
# What registries take at least: "4 megabytes" (distribution spec, "Pushing Manifests").
_LARGEST_MANIFEST = 4_000_000
_AT_ONCE = 8


@dataclass(frozen=True)
class Recorded:
    """A trace as a registry lists it: `created` in Unix seconds, `blobs` those it keeps, config first."""

    key: Key
    created: float
    blobs: tuple[Descriptor, ...]


class RegistryStore:
    """BlobStore and TraceStore in one repository; with `origins`, blobs are mounted rather than sent."""

    def __init__(self, repository: Repository, origins: Origins | None = None) -> None:
        self._repository = repository
        self._origins = origins
        # What the registry claims to hold and yet refused to link: cancelled pushes leave such blobs.
        self._doubted: set[Digest] = set()

    def __str__(self) -> str:
        return f"registry {self._repository}"

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob, checked and resumed. Raises BlobNotFound, IntegrityError from the last read."""
        return self._repository.open_blob(digest)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not there with their size, or that the registry cannot link."""
        asked = tuple(blobs)
        return self._repository.missing(asked) | (self._doubted & {blob.digest for blob in asked})

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store a blob: mounted where another repository is known to hold it, else sent.

        Raises IntegrityError, and nothing is stored, if the stream is not the blob. Raises RegistryError if
        the registry keeps a damaged copy: docker-registry 2.8 takes what has the blob's name in its storage
        for the blob, so neither sending it again nor DELETE, which removes the repository's link alone,
        changes anything until an administrator removes `blobs/sha256/XX/HEX/data` there.
        """
        doubted = blob.digest in self._doubted
        has = self._repository.has_blob
        if not doubted and (has(blob) or (mount(self._repository, blob, self._origins) and has(blob))):
            return
        self._send(blob, open_blob)
        if not has(blob):
            raise _damaged(blob, self)
        self._doubted.discard(blob.digest)
        if self._origins:
            self._origins.remember([blob.digest], self._repository.name)

    def discard(self, digest: Digest) -> None:
        """Send the blob anew with the next `put`; the registry alone can delete what it has."""
        self._doubted.add(digest)

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key` if its recorded inputs are `inputs`; one GET, unless its config is large.

        For a manifest that is cut short in its storage docker-registry 2.8 answers 500, which nobody can tell
        from an outage: Unreachable is raised until the trace is recorded again.
        """
        try:
            document = self._repository.manifest(key.hex)
            if document is None:
                return Miss(Reason.NEVER)
            recorded, embedded = _parse(key, document)
            data = embedded or self._read(recorded.blobs[0])
        except IntegrityError as error:
            return Miss(Reason.DAMAGED, error.sentence)
        return read_trace(key, data, inputs)

    def record(self, trace: Trace) -> None:
        """Tag a trace's artifact with its key. Raises BlobNotFound if the registry lost one of its blobs."""
        if not trace.blobs:
            self.put(EMPTY, lambda: BytesIO(_EMPTY_DATA))
        config = canonical(trace.to_json())
        self._repository.upload(_config(config), lambda: BytesIO(config))
        try:
            digest = self._repository.put_manifest(trace.key.hex, _manifest(config, trace.blobs), MANIFEST)
        except Refused as refusal:
            raise self._lost(trace.blobs or (EMPTY,), refusal) from None
        self._repository.read_back(digest)

    def list_all(self) -> tuple[list[TraceFile], list[BlobFile]]:
        """All readable traces, a request for each of them, and the blobs that they keep.

        Tags that are not ours, and what cannot be read, are left alone; `look` reports the latter.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listed = [found for found in pool.map(self._list, self._repository.tags()) if found]
        listed.sort(key=lambda each: each[0].created)
        own = ((blob, each.created) for each, _ in listed for blob in each.blobs[1:] if blob != EMPTY)
        blobs = {blob.digest: BlobFile(blob.digest, blob.size, created) for blob, created in own}
        return [read_listed(each.key, each.created, data) for each, data in listed], list(blobs.values())

    def delete(self, names: Iterable[Digest | Key]) -> None:
        """Delete traces; those that are gone already are no error. Raises RegistryError if it may not.

        Blobs stay until the registry's next garbage collection, which takes those that no trace keeps.
        """
        for name in names:
            if isinstance(name, Key):
                self._delete(name)

    def _delete(self, key: Key) -> None:
        digest = self._repository.head(key.hex)
        try:
            if digest:
                self._repository.delete_manifest(digest)
        except Refused as refusal:
            if refusal.status != 405 and "UNSUPPORTED" not in refusal.codes:
                raise
            hint = "enable deletion there (docker-registry: `storage: {delete: {enabled: true}}`)"
            raise RegistryError(f"{self} does not delete", facts=refusal.facts, hint=hint) from None

    def _send(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        try:
            self._repository.upload(blob, lambda: _Sized(open_blob(), blob, self))
        except Refused as refusal:
            if "DIGEST_INVALID" not in refusal.codes:
                raise
            raise _other(blob, self) from None

    def _read(self, blob: Descriptor) -> bytes:
        with self.open(blob.digest) as stream:
            return stream.read()

    def _lost(self, blobs: tuple[Descriptor, ...], refusal: Refused) -> PrebakeError:
        """What the refusal of a manifest means: the blobs that it names have to be put again."""
        if BLOB_GONE.isdisjoint(refusal.codes):
            return refusal
        named = {blob.digest for blob in blobs if blob.digest.hex in refusal.detail}
        lost = named or self.missing(blobs)
        self._doubted.update(lost)
        return BlobNotFound(min(lost), self) if lost else refusal

    def _list(self, tag: str) -> tuple[Recorded, bytes] | None:
        """The trace at `tag` and its JSON; None for foreign tags and what cannot be read."""
        try:
            key = Key(tag)
            document = self._repository.manifest(tag)
            if document is None:
                return None
            recorded, embedded = _parse(key, document)
            return recorded, embedded or self._read(recorded.blobs[0])
        except IntegrityError:
            return None


class _Sized:
    """A stream that is as long as its blob: the last bytes are handed out when there are no more."""

    def __init__(self, stream: IO[bytes], blob: Descriptor, store: RegistryStore) -> None:
        self._stream = stream
        self._blob = blob
        self._store = store
        self._left = blob.size
        self.close = stream.close

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        surplus = self._left < 0 or (self._left == 0 and self._stream.read(1))
        if surplus or (self._left and not data):
            raise _other(self._blob, self._store)
        return data


def _config(data: bytes) -> Descriptor:
    return Descriptor(TRACE, Digest.of(data), len(data))


def _manifest(config: bytes, blobs: tuple[Descriptor, ...]) -> bytes:
    described: dict[str, Any] = _config(config).to_json()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": TRACE,
        "config": described | {"data": base64.b64encode(config).decode()},
        "layers": [_layer(blob).to_json() for blob in blobs] or [EMPTY.to_json()],
        "annotations": {CREATED: datetime.now(UTC).isoformat(timespec="milliseconds")},
    }
    whole = to_bytes(manifest)
    return whole if len(whole) <= _LARGEST_MANIFEST else to_bytes(manifest | {"config": described})


def _layer(blob: Descriptor) -> Descriptor:
    """To the registry a manifest that is kept as a blob is a blob: it would look for it among manifests."""
    media_type = "application/octet-stream" if blob.media_type in MANIFEST_TYPES else blob.media_type
    return Descriptor(media_type, blob.digest, blob.size)


def _parse(key: Key, document: Document) -> tuple[Recorded, bytes | None]:
    """What a manifest says and the config that it embeds. Raises IntegrityError if it is no trace's."""
    try:
        raw = json.loads(document.data)
        if raw.get("artifactType") != TRACE:
            raise IntegrityError("another artifact has its tag")
        blobs = tuple(Descriptor.from_json(blob) for blob in (raw["config"], *raw["layers"]))
        created = datetime.fromisoformat(raw["annotations"][CREATED]).timestamp()
        embedded = base64.b64decode(raw["config"]["data"]) if "data" in raw["config"] else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError("its manifest is nonsense", facts={"reason": error}) from error
    if embedded is not None and Digest.of(embedded) != blobs[0].digest:
        raise IntegrityError("its embedded config is another")
    return Recorded(key, created, blobs), embedded


def _other(blob: Descriptor, store: RegistryStore) -> IntegrityError:
    facts = {"expected": blob.digest, "size": blob.size, "store": store}
    return IntegrityError("a blob's bytes are not what its digest and size say", facts=facts)


def _damaged(blob: Descriptor, store: RegistryStore) -> DamagedCopy:
    return DamagedCopy(
        "a registry took a blob and yet does not hold it with its size",
        facts={"store": store, "digest": blob.digest, "size": blob.size},
        hint="its storage has a damaged copy: have its administrator remove the blob's file, then try again",
    )
