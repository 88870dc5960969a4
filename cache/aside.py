"""SHA-256 in a thread of its own, beside whoever makes the bytes: together they take the longer of the two.

Bytes are handed over by the megabyte: each time two threads wait for each other, which costs more than to
hash a tar header.

    with AsideHasher() as hasher:
        hasher.update(chunk)
        diff_id = hasher.diff_id()
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Self

from .digest import CHUNK, Hasher

if TYPE_CHECKING:
    from types import TracebackType

    from .digest import Bytes, DiffId

_WAITING = 2
# Deflate packs zeros 1000:1: pieces larger than this do not wait, or they would fill memory.
_LARGE = 4 * CHUNK


class AsideHasher:
    """A Hasher whose work is done elsewhere; leaving the context ends its thread."""

    def __init__(self) -> None:
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
        self._held.append(bytes(data))
        self._held_size += len(data)
        if self._held_size > _LARGE:
            self._catch_up()
        elif self._held_size >= CHUNK:
            self._hand_over()

    def diff_id(self) -> DiffId:
        """The digest of an uncompressed layer; the hasher cannot be used afterwards."""
        self._catch_up()
        return self._hasher.diff_id()

    def _catch_up(self) -> None:
        self._join()
        self._hash(self._held)
        self._held, self._held_size = [], 0

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
        self._hasher.update(b"".join(pieces))

    def _join(self) -> None:
        if self._thread:
            self._pieces.put([])
            self._thread.join()
            self._thread = None
