"""What a person sees while a build runs: bars on a terminal, a line per event elsewhere, or nothing.

Progress goes to standard error; standard output is for results.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..builders.results import LayerResult


class Progress(Protocol):
    """Whom a build tells; called from several threads."""

    def step(self, message: str) -> None:
        """Something that takes time begins."""

    def layer(self, result: LayerResult) -> None:
        """A layer is in the store."""

    def sent(self, count: int) -> None:
        """Bytes went to the destination."""


class Silent:
    """Tells nobody."""

    def step(self, message: str) -> None:
        """Ignored."""

    def layer(self, result: LayerResult) -> None:
        """Ignored."""

    def sent(self, count: int) -> None:
        """Ignored."""


class Lines(Silent):
    """A line per step and built layer, for logs."""

    def step(self, message: str) -> None:
        """Print the message."""
        print(message, file=sys.stderr, flush=True)

    def layer(self, result: LayerResult) -> None:
        """Print what became of the layer, and what its packages would have us know."""
        for warning in result.warnings:
            self.step(f"warning: {warning}")
        self.step(describe(result))


class Bars:
    """A rich status line that shows the present step and bytes sent, with layers scrolling by."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("resolving")
        self._message = "resolving"
        self._sent = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Bars:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def step(self, message: str) -> None:
        """Show the present step."""
        self._message = message
        self._show()

    def layer(self, result: LayerResult) -> None:
        """Print the layer above the status line."""
        for warning in result.warnings:
            self._console.print(f"[yellow]warning:[/] {warning}")
        self._console.print(describe(result))

    def sent(self, count: int) -> None:
        """Add to the bytes shown."""
        with self._lock:
            self._sent += count
        self._show()

    def _show(self) -> None:
        sent = f", {megabytes(self._sent)} sent" if self._sent else ""
        self._status.update(f"{self._message}{sent}")


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """The progress that fits the terminal."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        with Bars() as bars:
            yield bars
    else:
        yield Lines()


def describe(result: LayerResult) -> str:
    """One layer in one line."""
    size = megabytes(result.layer.descriptor.size)
    return f"{result.outcome:<10}{size:>10}  {result.seconds:5.1f} s  {result.planned.title}"


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
