"""A Prefect server of its own on a loopback port, and workers of prebake's, each a process.

with prefect(folder, free_port()) as api, worker(environ | {"PREBAKE_PREFECT_API": api}, folder) as process:
    ...
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prebake.flows.runs.environ import settle
from prebake.flows.runs.server import server
from prebake.flows.wiring import open_workspace
from world.services import ServiceDied, stop

_PREBAKE = str(Path(sys.executable).with_name("prebake"))
_START_SECONDS = 120.0


@contextmanager
def prefect(folder: Path, port: int, **more: str) -> Iterator[str]:
    """The server with its database below `folder`; yields the URL of its API."""
    environ = plain_environ() | more
    settle(open_workspace({"PREBAKE_STORE": str(folder)} | environ, folder), environ)
    with server(port, environ) as url:
        yield f"{url}/api"


@contextmanager
def worker(environ: Mapping[str, str], log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`prebake worker` in a process group of its own, at work; what runs in it ends with the context."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [_PREBAKE, "worker", *options],
            env=plain_environ() | dict(environ),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_at_work(process, log)
        yield process
    finally:
        stop(process)


def _wait_until_at_work(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while " started!" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceDied(f"the worker did not start\n{log.read_text()[-1500:]}")
        time.sleep(0.05)


def plain_environ() -> dict[str, str]:
    """This process's, without settings of prebake and Prefect."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PREBAKE_", "PREFECT_"))
    }
