"""`prebake up`: a server and a worker that begin and end together."""

from __future__ import annotations

import subprocess
from pathlib import Path

from building import PREBAKE
from conftest import SampleWorld
from prebake.flows.runs import states
from world.prefect import plain_environ
from world.services import free_port

from .conftest import site_at, until


def test_it_builds_and_ends_all_that_it_started(tiny: SampleWorld, tmp_path: Path) -> None:
    port = free_port()
    with site_at(tiny, tmp_path, f"http://127.0.0.1:{port}/api") as site, (tmp_path / "log").open("w") as log:
        environ = plain_environ() | site.environ | {"PREBAKE_PREFECT_API": ""}
        up = subprocess.Popen([PREBAKE, "up", "--port", str(port)], env=environ, stderr=log, stdout=log)
        try:
            until((tmp_path / "log").read_text, lambda text: " started!" in text)
            assert site.end(site.submit("part-a"))[0] == states.SUCCEEDED
        finally:
            up.terminate()
            assert up.wait(60) == 0
    told = (tmp_path / "log").read_text()
    assert f"pages at http://127.0.0.1:{port}" in told
    assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if f"--port\0{port}\0" in _read(each)]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it ended meanwhile
        return ""
