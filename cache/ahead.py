"""A stream that is read ahead in a thread: while one chunk is used, the next ones come.

with ReadAhead(stream) as ahead:       # which closes `stream`, too
    tarfile.open(None, "r|gz", ahead)
"""

from __future__ import annotations

import io
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

_CHUNK = 256 << 10
_AHEAD = 4


class ReadAhead(io.RawIOBase):
    """`stream`, some chunks ahead; what reading it raises is raised where its next bytes would be."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase) -> None:
        self._stream = stream
        self._chunks: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._places.put(None)
        self._now = memoryview(b"")
        self._end: bytes | BaseException | None = None
        self._stopped = False
        self._thread = Thread(target=self._work, name="ahead", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            while self._next_place() and (chunk := self._stream.read(_CHUNK)):
                self._chunks.put(chunk)
            self._chunks.put(b"")
        except BaseException as error:  # raised again where it is read
            self._chunks.put(error)

    def _next_place(self) -> bool:
        self._places.get()
        return not self._stopped

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """At most one chunk."""
        if not self._now and self._end is None:
            self._take()
        if not self._now and isinstance(self._end, BaseException):
            raise self._end
        size = min(len(buffer), len(self._now))
        buffer[:size] = self._now[:size]
        self._now = self._now[size:]
        return size

    def _take(self) -> None:
        chunk = self._chunks.get()
        if isinstance(chunk, BaseException) or not chunk:
            self._end = chunk
        else:
            self._now = memoryview(chunk)
            self._places.put(None)

    def close(self) -> None:
        """End the thread, then close the stream."""
        self._stopped = True
        self._places.put(None)
        self._thread.join()
        self._stream.close()
        super().close()
