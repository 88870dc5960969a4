"""A PostgreSQL server of its own, Debian's, on a free loopback port.

with postgres() as url:
    sqlalchemy.create_engine(url)
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world.services import free_port, served
from world.tools import MissingTool, ToolFailed, executable, run_command

PASSWORD = "s3cret-of-the-sample"
_VERSIONS = Path("/usr/lib/postgresql")  # Debian keeps the server's programs off the path


@contextmanager
def postgres() -> Iterator[str]:
    """An empty server, gone with its data in the end. Yields SQLAlchemy's url, password included."""
    port = free_port()
    # sockets must have paths below 108 characters, and the server's user cannot enter pytest's folders
    root = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        _initialise(root)
        settings = [
            f"port={port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={root}",
            "fsync=off",
        ]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [*_as_owner(), _program("postgres"), "-D", str(root / "data"), *options]
        with served(command, root / "log", lambda: _answers(port)):
            try:
                yield f"postgresql+psycopg://prebake:{PASSWORD}@127.0.0.1:{port}/postgres"
            finally:  # on a mere SIGTERM it would wait for its clients to leave
                stop = [_program("pg_ctl"), "stop", "--mode=fast", "--silent", "-D", str(root / "data")]
                run_command([*_as_owner(), *stop], cwd=root)
    finally:
        shutil.rmtree(root)


def _initialise(root: Path) -> None:
    password = root / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (root, password):
            shutil.chown(path, "postgres", "postgres")
    access = ["--username=prebake", "--auth=scram-sha-256", f"--pwfile={password}"]
    form = ["--encoding=UTF8", "--locale=C", "--no-sync"]
    run_command([*_as_owner(), _program("initdb"), "-D", str(root / "data"), *access, *form], cwd=root)


def _answers(port: int) -> bool:
    asked = [_program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    try:
        run_command(asked)
    except ToolFailed:
        return False
    return True


def _as_owner() -> list[str]:
    """The server and initdb refuse to run as root."""
    if os.geteuid() != 0:
        return []
    return [executable("setpriv"), "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]


def _program(name: str) -> str:
    """The newest installed version's."""
    found = [path for path in _VERSIONS.glob(f"*/bin/{name}") if re.fullmatch(r"\d+", path.parts[-3])]
    if not found:
        raise MissingTool("postgresql")
    return str(max(found, key=lambda path: int(path.parts[-3])))
