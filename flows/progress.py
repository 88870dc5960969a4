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

    def layers(self, count: int) -> None:
        """So many layers are reused or built from now on."""

    def layer(self, result: LayerResult) -> None:
        """A layer is in the store."""

    def sent(self, count: int) -> None:
        """Bytes went to the destination."""


class Silent:
    """Tells nobody."""

    def step(self, message: str) -> None:
        """Ignored."""

    def layers(self, count: int) -> None:
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
    """A bar of layers with the present step and the bytes sent; finished layers scroll by above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), "{task.description}", BarColumn(), TextColumn("{task.fields[layers]}"))
        sent = TextColumn("{task.fields[sent]}")
        self._bars = Progress(*columns, sent, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._bars.add_task("resolving", total=None, layers="", sent="")
        self._lock = threading.Lock()
        self._layers = self._done = self._sent = 0

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def step(self, message: str) -> None:
        """Show the present step."""
        self._bars.update(self._task, description=message)

    def layers(self, count: int) -> None:
        """The bar gets its length."""
        self._layers = count
        self._bars.update(self._task, total=count, description="building")

    def layer(self, result: LayerResult) -> None:
        """Print the layer above the bar, which grows."""
        for warning in result.warnings:
            self._bars.console.print(f"[yellow]warning:[/] {warning}")
        self._bars.console.print(describe(result))
        self._done += 1
        self._layers = max(self._layers, self._done)  # how many a Dockerfile makes is known at its end
        self._bars.update(self._task, advance=1, layers=f"{self._done} of {self._layers} layers")

    def sent(self, count: int) -> None:
        """Add to the bytes shown."""
        with self._lock:
            self._sent += count
        self._bars.update(self._task, sent=f"{megabytes(self._sent)} sent")


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
