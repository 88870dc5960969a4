"""SHA-256 in a thread of its own, beside whoever makes the bytes: together they take the longer of the two.

Bytes are handed over by the megabyte: each time two threads wait for each other, which costs more than to
hash a tar header.

    with AsideHasher() as hasher:
        hasher.update(chunk)
        digest = hasher.digest()
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Self

from .digest import CHUNK, Hasher

if TYPE_CHECKING:
    from types import TracebackType

    from .digest import Bytes, DiffId, Digest

# How many megabytes may wait.
_WAITING = 2


class AsideHasher:
    """A Hasher whose work is done elsewhere; leaving the context ends its thread."""

    def __init__(self) -> None:
        self.size = 0
        self._hasher = Hasher()
        self._held: list[bytes] = []
        self._held_size = 0
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._join()

    def update(self, data: Bytes) -> None:
        """Feed bytes."""
        self.size += len(data)
        self._held.append(bytes(data))
        self._held_size += len(data)
        if self._held_size >= CHUNK:
            self._hand_over()

    def digest(self) -> Digest:
        """The digest; the hasher cannot be used afterwards."""
        return self._finished().digest()

    def diff_id(self) -> DiffId:
        """The same for an uncompressed layer."""
        return self._finished().diff_id()

    def _hand_over(self) -> None:
        if self._thread is None:
            self._start()
        self._places.get()
        self._pieces.put(self._held)
        self._held, self._held_size = [], 0

    def _start(self) -> None:
        self._pieces: SimpleQueue[list[bytes]] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._thread = Thread(target=self._work, name="sha256", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while pieces := self._pieces.get():
            self._hash(pieces)
            self._places.put(None)

    def _hash(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hasher.update(piece)

    def _finished(self) -> Hasher:
        self._join()
        self._hash(self._held)
        return self._hasher

    def _join(self) -> None:
        if self._thread:
            self._pieces.put([])
            self._thread.join()
            self._thread = None
