"""Ending work from another thread: a time-out, a step that failed beside it, a signal."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopped(Exception):
    """Raised in the work that was asked to end; its text is the reason."""


class Stop:
    """Whether work is to end, and the ways out of what would block it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._ways: list[Callable[[], None]] = []
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Take every way out; only the first reason counts."""
        with self._lock:
            if self._asked.is_set():
                return
            self.reason = reason
            self._asked.set()
            ways = list(self._ways)
        for way in ways:
            way()

    def check(self) -> None:
        """Raise Stopped if it was asked."""
        if self._asked.is_set():
            raise Stopped(self.reason)

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Stopped when it is asked meanwhile."""
        if self._asked.wait(seconds):
            raise Stopped(self.reason)

    @contextmanager
    def through(self, way: Callable[[], None]) -> Iterator[None]:
        """While this lasts, `way` is taken when it is asked; it must not raise. Raises Stopped if it was."""
        with self._lock:
            self.check()
            self._ways.append(way)
        try:
            yield
        finally:
            with self._lock:
                self._ways.remove(way)

    @contextmanager
    def within(self, seconds: float, reason: str) -> Iterator[None]:
        """Ask by itself when so many seconds have passed."""
        timer = threading.Timer(seconds, self.ask, [reason])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
