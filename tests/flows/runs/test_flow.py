"""`prebake build --flow`: the same build as Prefect task runs, with or without a server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from building import PREBAKE
from conftest import SampleWorld
from prebake.errors import SettingsError
from prebake.flows.runs.api import Api
from prebake.flows.runs.server import server as start_server
from tiny import SETTINGS, tiny_file
from world.prefect import plain_environ

from .conftest import Site


def build(site: Site, file: Path, *options: str, **more: str) -> dict[str, Any]:
    command = [PREBAKE, "build", str(file), "--image", site.tiny.base, "--json", *options]
    environ = plain_environ() | site.environ | more
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout) | {"stderr": done.stderr}
    return result


def artifacts(api: Api, prefix: str) -> list[str]:
    """Data of artifacts whose key starts so, the newest first."""
    found = api.post("/artifacts/filter", {"sort": "CREATED_DESC"})
    return [each["data"] for each in found if (each["key"] or "").startswith(prefix)]


def test_each_piece_is_a_task_and_what_changed_is_shown(site: Site) -> None:
    file = tiny_file(site.folder, ["part-k", "part-l"])
    to = ("--to", f"{site.tiny.registry}/flow/shown:1")
    build(site, file, "--flow", *to)
    file.write_text(file.read_text().replace("part-l", "part-m"))
    built = build(site, file, "--flow", *to)
    assert {layer["outcome"] for layer in built["layers"]} == {"built", "hit-local"}
    tasks = [each["name"] for each in site.api.post("/task_runs/filter", {})]
    for title in ("solve: conda", "conda: part-l", "conda: part-m", "assemble", f"push: {to[1]}"):
        assert title in tasks
    assert tasks.count("conda: part-k") == 1
    tables = artifacts(
        site.api, f"layers-{site.tiny.registry.replace('.', '-').replace(':', '-')}-flow-shown"
    )
    now, before = ({row["layer"] for row in json.loads(table)} for table in tables)
    assert (now - before, before - now) == ({"conda: part-m"}, {"conda: part-l"})
    changes = artifacts(site.api, "changes-")[0]
    assert "removed part-l 1.0" in changes
    assert "added part-m 1.0" in changes
    assert len(artifacts(site.api, "sizes-")[0].splitlines()) == 4


def test_a_hit_does_without_prefect(site: Site) -> None:
    file = tiny_file(site.folder, ["part-a"])
    build(site, file)
    file.write_text(file.read_text() + "# another file, the same definition\n")
    built = build(site, file, "--flow", PYTHONPROFILEIMPORTTIME="1")
    assert "xxhash" in built["stderr"]
    assert "prefect" not in built["stderr"]


def test_nothing_has_to_be_started(site: Site) -> None:
    nowhere = {"PREBAKE_PREFECT_API": ""}
    built = build(site, tiny_file(site.folder, ["part-d"]), "--flow", **nowhere)
    assert {layer["outcome"] for layer in built["layers"]} == {"built"}


def test_an_error_is_the_same_as_without_a_flow(site: Site) -> None:
    file = site.folder / "wrong.yml"
    file.write_text("channels: [conda-forge]\ndependencies: [no-such-part]\n")
    told = []
    for options in ([], ["--flow"]):
        command = [PREBAKE, "build", str(file), "--image", site.tiny.base, *options]
        environ = plain_environ() | site.environ
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        told.append((done.returncode, done.stderr))
    assert told[0] == told[1]
    assert told[0][0] == 3


def test_a_worker_needs_a_server(tiny: SampleWorld, tmp_path: Path) -> None:
    environ = plain_environ() | tiny.environ(tmp_path / "store") | SETTINGS
    done = subprocess.run([PREBAKE, "worker"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "prebake up" in done.stderr


def test_a_port_that_is_taken_is_told_at_once(server: str) -> None:
    port = int(server.removesuffix("/api").rpartition(":")[2])
    with pytest.raises(SettingsError, match="port is not free"), start_server(port, {}):
        pass
