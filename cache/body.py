"""An object as it arrives from S3: a stream that survives cut connections and never ends early unnoticed."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from .bucket import no_answer
from .digest import CHUNK

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from .objects import Objects


def resuming(objects: Objects, name: str, answer: GetObjectOutputTypeDef) -> IO[bytes]:
    """Stream what `answer` began, asking for the rest when cut. Raises Unreachable when cut too often."""
    return io.BufferedReader(_Body(objects, name, answer), CHUNK)


class _Body(io.RawIOBase):
    """An object on its way; when the connection is cut, the rest is asked for."""

    def __init__(self, objects: Objects, name: str, answer: GetObjectOutputTypeDef) -> None:
        self._objects = objects
        self._name = name
        self._size = answer["ContentLength"]
        self._stream: StreamingBody | None = answer["Body"]
        self._done = 0
        self._resumes_left = objects.patience.attempts

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        while self._done < self._size:
            try:
                self._stream = self._stream or self._rest()
                received = self._stream.readinto(buffer)  # 0 before the end raises IncompleteReadError
            except (BotoCoreError, HTTPError) as error:
                self._lost(error)
            else:
                self._done += received
                return received
        return 0

    def close(self) -> None:
        self._disconnect()
        super().close()

    def _rest(self) -> StreamingBody:
        answer = self._objects.get(self._name, self._done)
        if answer is None or answer["ContentLength"] != self._size - self._done:
            raise no_answer(self._objects.bucket, "GetObject", f"{self._name} changed while it was read")
        return answer["Body"]

    def _lost(self, error: Exception) -> None:
        self._disconnect()
        if self._resumes_left == 0:
            raise no_answer(self._objects.bucket, "GetObject", error) from error
        self._resumes_left -= 1

    def _disconnect(self) -> None:
        """After the last byte this returns the connection to the pool; before it there is no use for it."""
        if self._stream:
            self._stream.close()
        self._stream = None
