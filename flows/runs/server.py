"""A Prefect server beside a worker, for one machine and those who want to see its pages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import SettingsError, Unreachable
from .environ import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..wiring import Workspace

_PATIENCE_SECONDS = 120.0
_STOP_SECONDS = 15.0


@contextmanager
def for_flows(workspace: Workspace) -> Iterator[None]:
    """A server for flows of this process; Prefect is imported inside. Raises StoreError, Unreachable."""
    # our progress tells all that it would
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "ERROR"
    settle(workspace, os.environ)
    with some_server(os.environ) as os.environ["PREFECT_API_URL"]:
        yield


@contextmanager
def some_server(environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of the API that `environ` names, or else of a server that is there for the time being.

    Prefect's own ephemeral server would outlive a process that leaves as our command line does.
    """
    if url := environ.get("PREFECT_API_URL"):
        yield url
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with server(port, environ) as own:
        yield f"{own}/api"


@contextmanager
def server(port: int, environ: Mapping[str, str]) -> Iterator[str]:
    """Prefect's server on a loopback port, its API's URL when it answers; it ends with the context."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    _refuse_taken(port)
    own = {"PREFECT_UI_API_URL": f"{url}/api"}  # or its pages ask the usual port
    # in a session of its own: Ctrl-C is for the worker first, which tells the server what becomes of its runs
    process = subprocess.Popen(
        command,
        env=own | dict(environ),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait(process, url)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            facts = {"port": port, "reason": error.strerror}
            raise SettingsError("the port is not free", facts=facts, hint="name another: --port") from error


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(f"{url}/api/health"):
            return
        time.sleep(0.1)
    facts = {"address": url, "exit code": process.poll()}
    hint = "what it said is above; is its database there?"
    raise Unreachable("Prefect's server did not start", facts=facts, hint=hint)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
