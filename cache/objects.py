"""Objects in a bucket over the S3 protocol; the only module that knows boto3, which it loads on first use.

Invariant: an object appears whole or not at all. Writes are conditional (If-None-Match, If-Match), so that of
writers at the same time none is overwritten unseen; an endpoint that knows no conditions (501) still shows no
half object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import contextlib
import functools
from base64 import b64encode
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypedDict, TypeVar

from ..errors import PrebakeError
from .body import resuming
from .bucket import Refused, no_answer, refusal, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        DeleteTypeDef,
        GetObjectOutputTypeDef,
        ListObjectsV2OutputTypeDef,
        ObjectTypeDef,
    )

    from .bucket import Bucket
    from .digest import Digest
    from .request import Patience

T = TypeVar("T")

_PARTS_AT_ONCE = 4
_CONNECTIONS = 32
_MOST_DELETES = 1000  # in one DeleteObjects
_ABSENT = ("NoSuchKey", "404")  # the answer to a HEAD has no body, so no code
# Somebody else wrote or deleted the object meanwhile, or an answer got lost and botocore asked again.
_LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "NoSuchUpload")


class Condition(TypedDict, total=False):
    """What must hold for a write to happen."""

    IfMatch: str
    IfNoneMatch: str


@dataclass(frozen=True)
class Found:
    """What is there under a name; size in bytes."""

    size: int
    etag: str


def unless_changed(etag: str | None) -> Condition:
    """The object is still what it was when `etag` was seen; None: it was not there."""
    return {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}


class Objects:
    """Objects of one bucket by their whole names; connects on first use, any number of threads may use it.

    Each method raises Refused, Unreachable or RegistryError, which name the bucket and the operation.
    """

    def __init__(self, bucket: Bucket, patience: Patience) -> None:
        self.bucket = bucket
        self.patience = patience

    @functools.cached_property
    def _client(self) -> S3Client:
        from boto3.session import Session  # 0.2 s
        from botocore.config import Config

        config = Config(
            connect_timeout=self.patience.connect,
            read_timeout=self.patience.read,
            retries={"mode": "standard", "total_max_attempts": self.patience.attempts},
            max_pool_connections=_CONNECTIONS,
            # readers compare the digest, so botocore need not hash all bytes once more
            response_checksum_validation="when_required",
        )
        where = self.bucket
        # a session of its own: the default one is shared, and not safe to make in threads
        return Session().client("s3", endpoint_url=where.endpoint, region_name=where.region, config=config)

    def require_bucket(self) -> None:
        """Raise if there is no bucket: a HEAD is answered 404 there too."""
        self.call("HeadBucket", lambda s3: s3.head_bucket(Bucket=self.bucket.name))

    def find(self, name: str) -> Found | None:
        """What is there under `name`."""
        found = self._ask(
            "HeadObject", lambda s3: s3.head_object(Bucket=self.bucket.name, Key=name), *_ABSENT
        )
        return Found(found["ContentLength"], found["ETag"]) if found else None

    def open(self, name: str) -> IO[bytes] | None:
        """Stream an object, resuming cut connections; None if it is not there."""
        answer = self.get(name, 0)
        return resuming(self, name, answer) if answer else None

    def get(self, name: str, start: int) -> GetObjectOutputTypeDef | None:
        """An object from byte `start` on."""

        def get(s3: S3Client) -> GetObjectOutputTypeDef:
            if start:  # an empty object has no byte 0 to start from
                return s3.get_object(Bucket=self.bucket.name, Key=name, Range=f"bytes={start}-")
            return s3.get_object(Bucket=self.bucket.name, Key=name)

        return self._ask("GetObject", get, *_ABSENT)

    def read(self, name: str) -> tuple[bytes | None, str | None]:
        """A small object and its ETag."""

        def read(s3: S3Client) -> tuple[bytes, str]:
            answer = s3.get_object(Bucket=self.bucket.name, Key=name)
            with contextlib.closing(answer["Body"]) as body:
                return body.read(), answer["ETag"]

        return self._ask("GetObject", read, *_ABSENT) or (None, None)

    def put(self, name: str, body: bytes, digest: Digest, condition: Condition) -> bool:
        """Write a small object, which S3 compares with its digest. False if the condition does not hold."""
        checksum = b64encode(bytes.fromhex(digest.hex)).decode()

        def put(s3: S3Client, condition: Condition) -> object:
            return s3.put_object(
                Bucket=self.bucket.name, Key=name, Body=body, ChecksumSHA256=checksum, **condition
            )

        return self._write("PutObject", put, condition)

    def put_pieces(self, name: str, pieces: Iterable[bytes], condition: Condition) -> bool:
        """Write a large object; nothing appears if `pieces` raises. False if the condition does not hold.

        All pieces but the last have the same size, 5 MiB at least. A process killed here leaves parts that
        nobody sees and somebody pays for, until a lifecycle rule with AbortIncompleteMultipartUpload.
        """
        upload = _Upload(self, name)
        complete = False
        try:
            parts = upload.send(pieces)
            complete = self._write("CompleteMultipartUpload", upload.completion(parts), condition)
        finally:
            if not complete:
                upload.abort()
        return complete

    def list(self, prefix: str) -> Iterator[ObjectTypeDef]:
        """All objects whose names start with `prefix`, by name."""

        def start(s3: S3Client) -> Iterator[ListObjectsV2OutputTypeDef]:
            return iter(s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name, Prefix=prefix))

        pages = self.call("ListObjectsV2", start)
        while page := self.call("ListObjectsV2", lambda _: next(pages, None)):
            yield from page.get("Contents", ())

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are gone already are no error."""
        left = list(names)
        while left:
            batch, left = left[:_MOST_DELETES], left[_MOST_DELETES:]
            self._delete({"Objects": [{"Key": name} for name in batch], "Quiet": True})

    def _delete(self, listed: DeleteTypeDef) -> None:
        answer = self.call(
            "DeleteObjects", lambda s3: s3.delete_objects(Bucket=self.bucket.name, Delete=listed)
        )
        for error in answer.get("Errors", ()):
            raise Refused(self.bucket, "DeleteObjects", 200, error.get("Code", ""), error.get("Message", ""))

    def _write(
        self, operation: str, write: Callable[[S3Client, Condition], object], condition: Condition
    ) -> bool:
        """Write on a condition, or without where the endpoint knows none. False if it does not hold."""
        try:
            return self._ask(operation, lambda s3: write(s3, condition), *_LOST) is not None
        except Refused as error:
            if error.code != "NotImplemented":
                raise
        self.call(operation, lambda s3: write(s3, {}))
        return True

    def _ask(self, operation: str, request: Callable[[S3Client], T], *expected: str) -> T | None:
        """What S3 answers; None if it refused with an `expected` code."""
        try:
            return self.call(operation, request)
        except Refused as error:
            if error.code not in expected:
                raise
            return None

    def call(self, operation: str, request: Callable[[S3Client], T]) -> T:
        """What S3 answers, its refusals and silence as errors of ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return request(self._client)
        except ClientError as error:
            raise refusal(self.bucket, operation, error.response) from error
        except BotoCoreError as error:
            raise _failure(self.bucket, operation, error) from error


class _Upload:
    """A multipart upload: an object that is not there yet."""

    def __init__(self, objects: Objects, name: str) -> None:
        self._objects = objects
        self._bucket = objects.bucket.name
        self._name = name
        made = objects.call(
            "CreateMultipartUpload",
            lambda s3: s3.create_multipart_upload(Bucket=self._bucket, Key=name),
        )
        self._id = made["UploadId"]

    def send(self, pieces: Iterable[bytes]) -> list[CompletedPartTypeDef]:
        """Send all parts, a few at once; no more than those are in memory."""
        sent: list[CompletedPartTypeDef] = []
        sending: deque[Future[CompletedPartTypeDef]] = deque()
        with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
            for number, piece in enumerate(pieces, 1):
                sending.append(pool.submit(self._send_part, number, piece))
                if len(sending) == _PARTS_AT_ONCE:
                    sent.append(sending.popleft().result())
            return [*sent, *(future.result() for future in sending)]

    def _send_part(self, number: int, piece: bytes) -> CompletedPartTypeDef:
        answer = self._objects.call(
            "UploadPart",
            lambda s3: s3.upload_part(
                Bucket=self._bucket, Key=self._name, UploadId=self._id, PartNumber=number, Body=piece
            ),
        )
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:  # boto3 sends it unless told otherwise; it is listed again at the end
            part["ChecksumCRC32"] = answer["ChecksumCRC32"]
        return part

    def completion(self, parts: list[CompletedPartTypeDef]) -> Callable[[S3Client, Condition], object]:
        """The request that makes the object appear."""
        return lambda s3, condition: s3.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._name,
            UploadId=self._id,
            MultipartUpload={"Parts": parts},
            **condition,
        )

    def abort(self) -> None:
        """Delete the parts; what went wrong before is worth more to the user than what goes wrong here."""
        with contextlib.suppress(PrebakeError):
            self._objects.call(
                "AbortMultipartUpload",
                lambda s3: s3.abort_multipart_upload(Bucket=self._bucket, Key=self._name, UploadId=self._id),
            )


def _failure(bucket: Bucket, operation: str, error: Exception) -> PrebakeError:
    """What no answer means: a lost connection may come back, a missing credential may not."""
    from botocore.exceptions import ConnectionError, HTTPClientError, IncompleteReadError, SSLError

    lost = isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError)
    if lost and not isinstance(error, SSLError):
        return no_answer(bucket, operation, error)
    # not its text, which may hold what a credential helper said
    return unusable(bucket, operation, type(error).__name__)
