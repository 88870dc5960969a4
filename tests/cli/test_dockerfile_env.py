"""Environments that users manage: a Dockerfile of their own, or an image as it is."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from building import PREBAKE, damaged_files
from world.tools import run

Golden = Callable[..., None]
DOCKERFILE = 'FROM BASE\nCOPY data /data\nRUN cat /data > /made\nENV A=1\nCMD ["cat", "/made"]\n'


@dataclass(frozen=True)
class Desk:
    """A folder with `env.yml` on a build context, and the command to build it."""

    folder: Path
    command: Callable[..., CompletedProcess[str]]
    base: str
    variables: dict[str, str]

    def write(self, text: str = DOCKERFILE, **files: str) -> None:
        contents = {
            "env.yml": "build: {path: context}\n",
            "context/data": "x",
            "context/Dockerfile": text,
        } | files
        for name, content in contents.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("BASE", self.base))

    def __call__(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        return self.command(self.folder, *arguments, **(self.variables | variables))

    def build(self, *arguments: str, **variables: str) -> dict[str, Any]:
        result = self("build", "env.yml", "--json", *arguments, **variables)
        assert (result.returncode, result.stderr) == (0, "")
        said: dict[str, Any] = json.loads(result.stdout)
        return said


@pytest.fixture
def desk(command: Any, world: Any, tmp_path: Path) -> Desk:
    # without a `docker` on its PATH prebake takes the classic builder: one wording for the texts below
    variables = {"DOCKER_HOST": world.docker, "PREBAKE_DOCKER_NETWORK": "host", "PATH": "/nowhere"}
    made = Desk(tmp_path, command, world.base, variables)
    made.write()
    return made


def outcomes(built: dict[str, Any]) -> list[str]:
    return [layer["outcome"] for layer in built["layers"]]


def inspect(reference: str, *options: str) -> Any:
    output = run("skopeo", "inspect", "--tls-verify=false", *options, f"docker://{reference}")
    return json.loads(output)


NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}


def test_built_once_and_then_found(desk: Desk, world: Any) -> None:
    place = f"{world.registry}/team/dockerfile:v1"
    first = desk.build("--to", place)
    assert outcomes(first) == ["built", "built"]
    assert first["bytes_pushed"] < 5000  # the base is mounted
    again = desk.build("--to", place, **NO_ENGINE)
    assert (outcomes(again), again["digest"]) == (["hit-local"] * 2, first["digest"])
    assert again["bytes_pushed"] == 0
    verified = desk("verify", place)
    assert verified.returncode == 0, verified.stdout
    config = inspect(place, "--config")["config"]
    assert (config["Cmd"], "A=1" in config["Env"]) == (["cat", "/made"], True)


def test_what_changes_is_built_and_a_variable_is_not(desk: Desk) -> None:
    first = desk.build()
    desk.write(**{"env.yml": "build: {path: context}\nenvironment_variables: {COLOUR: blue}\n"})
    assert outcomes(desk.build(**NO_ENGINE)) == ["hit-local"] * 2
    desk.write(**{"context/data": "y"})
    changed = desk.build()
    assert outcomes(changed) == ["built"] * 2
    desk.write()
    assert desk.build(**NO_ENGINE)["digest"] == first["digest"]


def test_another_machine_needs_no_engine(desk: Desk, world: Any, tmp_path: Path) -> None:
    team = {"PREBAKE_WORKSPACE": f"{world.registry}/cache/{tmp_path.name.replace('_', '-')}"}
    first = desk.build(**team)
    other = {"PREBAKE_STORE": str(tmp_path / "other"), **NO_ENGINE}
    found = desk.build("--to", f"{world.registry}/other/dockerfile:v1", **team, **other)
    assert (outcomes(found), found["digest"]) == (["hit-workspace"] * 2, first["digest"])
    assert found["bytes_pushed"] == 0


def test_promoted_to_the_global_tier(desk: Desk, world: Any, tmp_path: Path) -> None:
    tier = {"PREBAKE_GLOBAL": f"{world.registry}/global/{tmp_path.name.replace('_', '-')}"}
    first = desk.build()
    promoted = desk("cache", "promote", "env.yml", "--json", **tier)
    assert json.loads(promoted.stdout)["digest"] == first["digest"]
    elsewhere = {"PREBAKE_STORE": str(tmp_path / "other"), **NO_ENGINE, **tier}
    found = desk.build(**elsewhere)
    assert (outcomes(found), found["digest"]) == (["hit-global"] * 2, first["digest"])


def test_a_hit_imports_no_docker(desk: Desk, world: Any, tmp_path: Path) -> None:
    desk.build()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | world.environ(tmp_path / "store")
    command = [sys.executable, "-X", "importtime", PREBAKE, "build", "env.yml"]
    hit = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert "0 built" in hit.stdout
    imported = {line.rpartition("|")[2].strip() for line in hit.stderr.splitlines()}
    assert "prebake.builders.docker_pin" in imported
    unwanted = {"yaml", "docker", "requests", "sqlalchemy", "prefect", "isal", "tarfile"}
    assert imported & unwanted == set()


def test_plan_and_explain(desk: Desk) -> None:
    expected = json.loads(desk("plan", "env.yml", "--json").stdout)
    (layer,) = expected["layers"]
    assert (layer["step"], layer["outcome"], layer["packages"][0].partition("@")[0]) == (
        "docker",
        "miss",
        desk.base,
    )
    desk.build()
    (found,) = json.loads(desk("plan", "env.yml", "--json").stdout)["layers"]
    assert (found["outcome"], found["key"]) == ("hit-local", layer["key"])
    desk.write(**{"old.yml": "build: {path: old}\n", "old/Dockerfile": DOCKERFILE, "old/data": "z"})
    said = json.loads(desk("explain", "env.yml", "--against", "old.yml", "--json").stdout)
    differing = said["layers.docker: Dockerfile.made of.inputs.context"]
    assert [line[0] for side in differing.values() for line in side] == ["data", "data"]


def test_run_in_a_container(desk: Desk) -> None:
    ran = desk("run", "env.yml", "-q", "--network", "host", "--", "cat", "/made")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "x", "")


GOLDENS: dict[str, tuple[int, dict[str, str]]] = {
    "dockerfile-run": (8, {"context/Dockerfile": "FROM BASE\n\nRUN echo trying >&2 && \\\n  false\n"}),
    "dockerfile-copy": (8, {"context/Dockerfile": "FROM BASE\nCOPY gone /x\n"}),
    "dockerfile-copy-ignored": (
        8,
        {"context/Dockerfile": "FROM BASE\nCOPY data /x\n", "context/.dockerignore": "da*\n"},
    ),
    "dockerfile-base-missing": (2, {"context/Dockerfile": "FROM BASE\nCOPY --from=BASE-gone / /\n"}),
    "dockerfile-template": (2, {"context/Dockerfile": "# base\nFROM BASE{{latest-image-tag}}\n"}),
    "dockerfile-without-from": (2, {"context/Dockerfile": "RUN true\n"}),
    "dockerfile-instruction": (2, {"context/Dockerfile": "FROM BASE\nRUNN true\n"}),
    "dockerfile-argument": (2, {"context/Dockerfile": "ARG TAG\nFROM debian:$TAG\n"}),
    "dockerignore-pattern": (2, {"context/.dockerignore": "data\n[\n"}),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_refused(name: str, desk: Desk, golden: Golden) -> None:
    code, files = GOLDENS[name]
    desk.write(**files)
    golden(name, desk("build", "env.yml", "-q"), code)


def test_no_engine(desk: Desk, golden: Golden) -> None:
    golden("dockerfile-no-engine", desk("build", "env.yml", "-q", **NO_ENGINE), 7)


def test_not_on_this_machine(desk: Desk, golden: Golden) -> None:
    golden("dockerfile-run-local", desk("run", "env.yml", "--local", "--", "true"), 2)


def test_a_killed_build_leaves_a_store_that_works(desk: Desk, gate: socket.socket, tmp_path: Path) -> None:
    port = gate.getsockname()[1]
    desk.write(
        f'FROM BASE\nSHELL ["/bin/bash", "-c"]\nRUN cat < /dev/tcp/127.0.0.1/{port} && echo ok > /made\n'
    )
    environ = {"HOME": str(tmp_path), "PREBAKE_STORE": str(tmp_path / "store")} | desk.variables
    with subprocess.Popen([PREBAKE, "build", "env.yml", "-q"], cwd=tmp_path, env=environ) as process:
        waiting, _ = gate.accept()
        process.kill()
    waiting.close()
    assert damaged_files(tmp_path / "store") == []
    next_build = subprocess.Popen(
        [PREBAKE, "build", "env.yml", "--json"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
    )
    with next_build:
        gate.accept()[0].close()
        output, _ = next_build.communicate(timeout=120)
    assert outcomes(json.loads(output)) == ["built"]
    assert outcomes(desk.build(**NO_ENGINE)) == ["hit-local"]
    assert damaged_files(tmp_path / "store") == []


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_image_as_it_is_keeps_its_digest(form: str, desk: Desk, world: Any, tmp_path: Path) -> None:
    source, place = f"{world.registry}/plain-{form}:1", f"{world.registry}/team/plain-{form}:1"
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false", "--format", form)
    run("skopeo", "--insecure-policy", "copy", "-q", *plain, f"docker://{world.base}", f"docker://{source}")
    desk.write(**{"env.yml": f"image: {source}\n"})
    built = desk.build("--to", place)
    digest = inspect(source)["Digest"]
    assert (built["digest"], inspect(place)["Digest"]) == (digest, digest)
    assert built["layers"] == []
    assert desk.build("--to", place)["bytes_pushed"] == 0
    assert desk.build("--to", f"oci:{tmp_path}/layout:1")["digest"] == digest
    assert desk("verify", f"oci:{tmp_path}/layout:1").returncode == 0
    assert desk.build("--to", "docker:plain:1")["digest"] == digest
    blobs = {path.name: path.stat().st_size for path in (tmp_path / "store/blobs/sha256").iterdir()}
    assert sum(blobs.values()) < 10_000  # no layer was read
    desk.write(**{"env.yml": f"image: {source}\nenvironment_variables: {{A: '1'}}\n"})
    assert desk.build("--to", place)["digest"] != digest


def test_base_images_from_a_mirror(desk: Desk, world: Any, tmp_path: Path) -> None:
    place = f"{world.registry}/team/mirrored:1"
    desk.write("FROM debian:12\nCOPY data /data\n")
    table = f'[image_mirrors]\n"docker.io/library" = "{world.registry}"\n'
    desk.write("FROM debian:12\nCOPY data /data\n", **{"prebake.toml": table})
    built = desk.build("--to", place)
    assert outcomes(built) == ["built"]
    assert "127.0.0.1" not in desk("explain", "env.yml").stdout
    (tmp_path / "prebake.toml").unlink()
    variable = {
        "PREBAKE_IMAGE_MIRRORS": f"docker.io={world.registry}/nothing docker.io/library={world.registry}"
    }
    assert desk.build("--to", place, **variable)["digest"] == built["digest"]
    desk.write(**{"env.yml": "image: debian:12\n"})
    plain = desk.build("--to", f"{world.registry}/team/mirrored-plain:1", **variable)
    assert plain["digest"] == inspect(world.base)["Digest"]
    missing = desk("build", "env.yml", PREBAKE_IMAGE_MIRRORS=f"docker.io={world.registry}/nothing")
    assert (missing.returncode, "docker.io/library/debian:12" in missing.stderr) == (2, True)
    assert f"{world.registry}/nothing/library/debian:12" in missing.stderr
