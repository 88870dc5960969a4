"""A job's log: one file with what preparing, standard output and standard error said, as it comes."""

from __future__ import annotations

import io
import threading
from typing import IO, TYPE_CHECKING, Any, Self

from ..progress import Silent, describe

if TYPE_CHECKING:
    from pathlib import Path

    from ...builders.results import LayerResult
    from ..progress import Progress

_LONGEST_LINE = 1 << 16


class Log(Silent):
    """The Progress of a job's preparation and the streams of its command; `echo` and `shown` hear it too."""

    def __init__(self, path: Path, shown: Progress, echo: tuple[IO[bytes], IO[bytes]] | None = None) -> None:
        self._file = path.open("ab", buffering=0)
        self._shown = shown
        self._lock = threading.Lock()
        out, err = echo or (None, None)
        self._streams = (_Stream(self, out), _Stream(self, err))

    @property
    def streams(self) -> tuple[Any, Any]:
        """Where standard output and error of the command go."""
        return self._streams

    def write(self, data: bytes) -> None:
        """Append to the file."""
        with self._lock:
            self._file.write(data)

    def step(self, message: str) -> None:
        """A line of the log, and on the terminal."""
        self.write(f"{message}\n".encode())
        self._shown.step(message)

    def layers(self, count: int) -> None:
        """For the terminal alone."""
        self._shown.layers(count)

    def layer(self, result: LayerResult) -> None:
        """A line per layer, and what its packages would have us know."""
        lines = [*(f"warning: {warning}" for warning in result.warnings), describe(result)]
        self.write("".join(f"{line}\n" for line in lines).encode())
        self._shown.layer(result)

    def sent(self, count: int) -> None:
        """For the terminal alone."""
        self._shown.sent(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.finish()
        self._file.close()


class _Stream(io.RawIOBase):
    """Standard output or error of the command: whole lines go to the file, so that they do not mix there."""

    def __init__(self, log: Log, echo: IO[bytes] | None) -> None:
        self._log = log
        self._echo = echo
        self._begun = b""

    def write(self, data: Any, /) -> int:
        """To the file, and to the terminal as it comes."""
        if self._echo:
            self._echo.write(data)
            self._echo.flush()
        text = self._begun + bytes(data)
        end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1  # a bar redraws its line
        end = len(text) if len(text) - end > _LONGEST_LINE else end
        self._begun = text[end:]
        if end:
            self._log.write(text[:end])
        return len(data)

    def finish(self) -> None:
        """The last line, if nothing ended it."""
        self._log.write(self._begun)
        self._begun = b""
