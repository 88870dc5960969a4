"""A blob as it arrives from a registry: a stream that checks itself and survives cut connections.

Invariant: the last bytes are handed out only after the digest of all of them was compared, so whoever
reads the whole blob has the right one or an error.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import IntegrityError
from .digest import Digest, Hasher
from .request import Request, Traffic, unreachable
from .store import BlobNotFound
from .transport import CHUNK, Transport

if TYPE_CHECKING:
    from typing import IO

    from urllib3 import BaseHTTPResponse


def open_verified(transport: Transport, request: Request, digest: Digest) -> IO[bytes]:
    """Stream what `request` gets. Raises BlobNotFound at once, IntegrityError from the completing read."""
    return io.BufferedReader(_Blob(transport, request, digest), CHUNK)


class _Blob(io.RawIOBase):
    def __init__(self, transport: Transport, request: Request, digest: Digest) -> None:
        self._transport = transport
        self._request = request
        self._digest = digest
        self._hasher = Hasher()
        self._resumes_left = transport.patience.attempts
        self._verified = False
        response = self._connect()
        self._size = response.length_remaining
        self._response: BaseHTTPResponse | None = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._verified:
            return 0
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._transport.count(Traffic(received=len(data)))
        self._hasher.update(data)
        if not data or self._hasher.size == self._size:
            self._verify()
        return len(data)

    def close(self) -> None:
        self._disconnect()
        super().close()

    def _read(self, size: int) -> bytes:
        from urllib3.exceptions import HTTPError

        while True:
            try:
                self._response = self._response or self._connect()
                return self._response.read(size)
            except HTTPError as error:
                self._lost(error)

    def _lost(self, error: Exception) -> None:
        self._disconnect()
        if self._resumes_left == 0:
            raise unreachable(self._request, error) from None
        self._resumes_left -= 1

    def _disconnect(self) -> None:
        """After the last byte this returns the connection to the pool; before it there is no use for it."""
        if self._response:
            self._response.close()
        self._response = None

    def _connect(self) -> BaseHTTPResponse:
        """Ask for what is still to come; a server without ranges sends all again."""
        done = self._hasher.size
        headers = {"Range": f"bytes={done}-"} if done else {}
        response = self._transport.send(replace(self._request, headers=headers), 200, 206, 404)
        if response.status == 404:
            response.drain_conn()
            raise BlobNotFound(self._digest, f"{self._request.registry}/{self._request.repository}")
        while response.status == 200 and done and (skipped := response.read(min(done, CHUNK))):
            done -= len(skipped)
        return response

    def _verify(self) -> None:
        self._verified = True
        found = self._hasher.digest()
        if found != self._digest:
            facts = self._request.facts() | {"expected": self._digest, "found": found}
            raise IntegrityError("a blob's bytes are not what its digest says", facts=facts)
