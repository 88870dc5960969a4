"""A command on this machine and whatever it starts, as one thing that begins and ends.

Invariant: nothing of the group is left when `run` returns or raises.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict
from typing import IO, TYPE_CHECKING

from .record import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_STOP_SECONDS = 5
_PAUSE = 0.05
_CHUNK = 1 << 16


class ProcessGroup:
    """A command, run once in a session of its own: a terminal's Ctrl-C reaches it through `stop` alone.

    `note` is a file that tells others which process it is, so that `stop_orphan` finds it.
    """

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, note: Path
    ) -> None:
        self._arguments = arguments
        self._environ = environ
        self._folder = folder
        self._note = note
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, output: tuple[IO[bytes], IO[bytes]]) -> int:
        """Run it to its end; returns its exit code, 128 and the signal's number where one ended it."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self._arguments,
            env=self._environ,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        ) as process:
            self._process = process
            self._note.write_text(json.dumps(asdict(Runner.of(process.pid))))
            pumps = _pump(process, output)
            try:
                code = process.wait()
            except KeyboardInterrupt:
                self.stop()
                raise
            finally:
                self._signal(signal.SIGKILL)  # what it left behind would hold its output open
                for pump in pumps:
                    pump.join()
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self._signal(signal.SIGTERM)
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def stop_orphan(note: Path) -> None:
    """End a command whose own runner was killed, if it is still there."""
    runner = Runner(**json.loads(note.read_text())) if note.exists() else None
    if runner is None or runner.gone or not runner.here:
        return
    os.killpg(runner.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while not runner.gone and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(runner.pid, signal.SIGKILL)


def _pump(process: subprocess.Popen[bytes], output: tuple[IO[bytes], IO[bytes]]) -> list[threading.Thread]:
    pumps = []
    for source, target in zip((process.stdout, process.stderr), output, strict=True):
        assert source
        pump = threading.Thread(target=_copy, args=(source, target), daemon=True)
        pump.start()
        pumps.append(pump)
    return pumps


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while data := os.read(source.fileno(), _CHUNK):
        target.write(data)
