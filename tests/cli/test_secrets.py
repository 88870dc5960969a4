"""Credentials of an index or a mirror reach its server, and nothing else: no output, lock or store file."""

import base64
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
USER, PASSWORD = "alice", "hunter2"
EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
FORGE = "https://conda.anaconda.org/conda-forge"


class Guarded(SimpleHTTPRequestHandler):
    """Files for who knows the password."""

    def log_message(self, *_: object) -> None:
        pass

    def send_head(self) -> Any:
        if self.headers.get("Authorization") == EXPECTED:
            return super().send_head()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="sample"')
        self.send_header("Content-Length", "0")
        return self.end_headers()


@pytest.fixture(scope="module")
def guarded(world: Any) -> Iterator[str]:
    """The sample world behind a password; `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(world.root)))
    thread = threading.Thread(target=partial(server.serve_forever, 0.01))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check_nothing_tells(folder: Path, *results: CompletedProcess[str]) -> None:
    coded = EXPECTED.removeprefix("Basic ")
    assert not [result for result in results if PASSWORD in result.stdout + result.stderr]
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".netrc"]
    told = [path for path in files for word in (PASSWORD, coded) if word.encode() in path.read_bytes()]
    assert not told


VERBS = (("lock", "-o", "lock.yml"), ("plan",), ("explain",), ("build", "--to", "oci:out"))


@pytest.mark.usefixtures("warm")
def test_index_with_a_password(
    prebake: Prebake, definition: Definition, tmp_path: Path, guarded: str
) -> None:
    (tmp_path / "env.yml").write_text(definition(pip=("tabulate",)))
    index = f"http://{USER}:{PASSWORD}@{guarded}/index/simple"
    results = [prebake(verb, "env.yml", *more, PREBAKE_PIP_INDEX=index) for verb, *more in VERBS]
    assert [result.returncode for result in results] == [0] * len(VERBS)
    check_nothing_tells(tmp_path, *results)


def test_channel_and_index_with_a_password_in_netrc(
    prebake: Prebake, definition: Definition, tmp_path: Path, guarded: str
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    (tmp_path / "home/.netrc").chmod(0o600)
    (tmp_path / "env.yml").write_text(definition(pip=("tabulate",)))
    places = {
        "PREBAKE_MIRRORS": f"{FORGE}=http://{guarded}/channel",
        "PREBAKE_PIP_INDEX": f"http://{guarded}/index/simple",
    }
    results = [prebake(verb, "env.yml", *more, **places) for verb, *more in VERBS]
    assert [result.returncode for result in results] == [0] * len(VERBS), results[0].stderr
    check_nothing_tells(tmp_path, *results)


@pytest.mark.usefixtures("warm")
def test_wrong_passwords_are_not_repeated(
    prebake: Prebake, definition: Definition, golden: Callable[..., None], tmp_path: Path, guarded: str
) -> None:
    (tmp_path / "env.yml").write_text(definition("six", pip=("tabulate",)))
    bad = f"http://mallory:{PASSWORD}@{guarded}"
    channel = prebake("build", "env.yml", "-q", PREBAKE_MIRRORS=f"{FORGE}={bad}/channel")
    index = prebake("build", "env.yml", "-q", PREBAKE_PIP_INDEX=f"{bad}/index/simple")
    golden("channel-refuses", channel, 3)
    golden("index-refuses", index, 3)
    check_nothing_tells(tmp_path, channel, index)
