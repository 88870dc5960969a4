"""A store in a bucket: any endpoint that speaks the S3 protocol, credentials as boto3 finds them.

    PREFIX/blobs/sha256/HEX        bytes by digest
    PREFIX/traces/KE/KEY.json      traces by key

Invariant: an object appears whole, and a blob only after its digest was compared. Names are asked for one by
one; only `list_all` lists.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

from ..errors import IntegrityError, Unreachable
from .digest import Digest, Json, Key, canonical
from .inventory import BlobFile, TraceFile, read_listed
from .memory import checked
from .objects import Condition, Objects, unless_changed
from .request import Patience
from .store import BlobNotFound, Miss, Reason, Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from .bucket import Bucket
    from .oci import Descriptor

_PART_BYTES = 8 << 20
_MOST_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_AT_ONCE = 16
_RACES = 8


class S3Store:
    """BlobStore and TraceStore in one bucket; connects on first use."""

    def __init__(self, bucket: Bucket, patience: Patience | None = None) -> None:
        self.bucket = bucket
        self._objects = Objects(bucket, patience or Patience())

    def __str__(self) -> str:
        return str(self.bucket)

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob; a cut connection is resumed, the digest is for the reader. Raises BlobNotFound."""
        stream = self._objects.open(self.name(digest))
        if stream is None:
            raise BlobNotFound(digest, self)
        return stream

    def put(self, blob: Descriptor, open_blob: Callable[[], IO[bytes]]) -> None:
        """Store the blob that `open_blob` streams. Raises IntegrityError if it is another; stores nothing."""

        def write() -> bool:
            found = self._objects.find(self.name(blob.digest))
            if found and found.size == blob.size:
                return True
            with contextlib.closing(open_blob()) as stream:
                return self._send(blob, stream, unless_changed(found.etag if found else None))

        self._until(write)

    def _send(self, blob: Descriptor, stream: IO[bytes], condition: Condition) -> bool:
        name, part_bytes = self.name(blob.digest), max(_PART_BYTES, -(-blob.size // _MOST_PARTS))
        pieces = checked(blob, stream, part_bytes, self)
        if blob.size > part_bytes:
            return self._objects.put_pieces(name, pieces, condition)
        return self._objects.put(name, b"".join(pieces), blob.digest, condition)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that are not here with their size; one HEAD each, many at once."""
        sizes = {(blob.digest, blob.size) for blob in blobs}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(lambda each: self._objects.find(self.name(each[0])), sizes))
        pairs = zip(sizes, found, strict=True)
        gone = {digest for (digest, size), there in pairs if not there or there.size != size}
        if gone:
            self._objects.require_bucket()
        return gone

    def discard(self, digest: Digest) -> None:
        """Delete a corrupt blob."""
        self.delete([digest])

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if it was made from `inputs`."""
        data, _ = self._objects.read(self.name(key))
        return Miss(Reason.NEVER) if data is None else read_trace(key, data, inputs)

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are stored already; of writers at once one comes last, whole."""
        name, body = self.name(trace.key), canonical(trace.to_json())
        digest = Digest.of(body)

        def write() -> bool:
            data, etag = self._objects.read(name)
            return data == body or self._objects.put(name, body, digest, unless_changed(etag))

        self._until(write)

    def _until(self, write: Callable[[], bool]) -> None:
        """Write again while others are faster, each time on what they left."""
        if not any(write() for _ in range(_RACES)):
            facts = {"store": self, "attempts": _RACES}
            raise Unreachable("others keep changing the same object", facts=facts, hint="try again later")

    def list_all(self) -> tuple[list[TraceFile], list[BlobFile]]:
        """All traces, each read, and all blobs; objects of other names are not ours."""
        blobs = [
            BlobFile(name, found["Size"], found["LastModified"].timestamp())
            for name, found in self._listed("blobs/")
            if isinstance(name, Digest)
        ]
        listed = [(name, found) for name, found in self._listed("traces/") if isinstance(name, Key)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = pool.map(lambda each: self._objects.read(self.name(each[0]))[0], listed)
            traces = [
                read_listed(key, found["LastModified"].timestamp(), data)
                for (key, found), data in zip(listed, read, strict=True)
                if data is not None
            ]
        return traces, blobs

    def _listed(self, folder: str) -> Iterator[tuple[Digest | Key, ObjectTypeDef]]:
        for found in self._objects.list(self.bucket.folder + folder):
            name = _parse(found["Key"])
            if name and self.name(name) == found["Key"]:
                yield name, found

    def delete(self, names: Iterable[Digest | Key]) -> None:
        """Delete blobs and traces; those that are gone already are no error."""
        self._objects.delete(self.name(name) for name in names)

    def name(self, name: Digest | Key) -> str:
        """What the object of a blob or a trace is called in the bucket."""
        if isinstance(name, Digest):
            return f"{self.bucket.folder}blobs/sha256/{name.hex}"
        return f"{self.bucket.folder}traces/{name.hex[:2]}/{name.hex}.json"


def _parse(name: str) -> Digest | Key | None:
    """The digest or the key in an object's name; None for a name that we did not give."""
    stem = name.rpartition("/")[2]
    try:
        return Key(stem.removesuffix(".json")) if stem.endswith(".json") else Digest(stem)
    except IntegrityError:
        return None
