"""Base images that a test moves: a glibc's name, something to tell them apart, a program that can fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prebake
from prebake.cache.digest import Digest
from prebake.cache.reference import Reference
from prebake.flows.bases.follow import Policy, Result, follow
from prebake.flows.progress import Silent
from prebake.flows.wiring import Workspace
from tiny import PARTS, build, tiny_file, tiny_machine
from world.base_image import _image, _json, _layer, _tar
from world.tools import run

if TYPE_CHECKING:
    from conftest import SampleWorld

GLIBC = "GNU C Library (Tiny) stable release version {}.\n"
_CHECK = """\
#include <unistd.h>
int main(int count, char **words) { return count != 2 || access(words[1], F_OK) != 0; }
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """`/bin/check PATH` succeeds if there is such a path; static, since the base has no libraries."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "check.c").write_text(_CHECK)
    run("gcc", "-static", "-Os", "-s", "-o", folder / "check", folder / "check.c")
    return (folder / "check").read_bytes()


@dataclass(frozen=True)
class Base:
    """A tag in the tiny registry, of a repository of the test's own."""

    name: str
    folder: Path
    program: bytes

    def move(self, text: str, glibc: str = "2.36", **files: bytes) -> Digest:
        """Push another image to it; returns its digest."""
        layout = self.folder / "moved"
        (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        own = {"lib64/libc.so.6": GLIBC.format(glibc).encode(), "etc/motd": text.encode()}
        layers = [_layer(layout, _tar({"bin/check": self.program})), _layer(layout, _tar(own | files))]
        manifest = _image(layout, "moved", layers)
        (layout / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [manifest]}))
        (layout / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        copy = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
        run("skopeo", "--insecure-policy", *copy, f"oci:{layout}:moved", f"docker://{self.name}")
        return Digest.parse(manifest["digest"])


@dataclass(frozen=True)
class Fleet:
    """Environments on that base, and a machine that knows them."""

    base: Base
    machine: Workspace
    folder: Path

    def tag(self, number: int) -> str:
        return f"{self.base.name.rpartition(':')[0]}/env-{number}:v1"

    def head(self, number: int) -> Digest | None:
        return self.machine.registries.head(Reference.parse(self.tag(number)))

    def environment(self, number: int, **keys: str) -> prebake.Environment:
        packages = tiny_file(self.folder, PARTS[number : number + 3])
        keys = {"auto_rebuild": "OnBaseImageUpdate", "name": f"env-{number}"} | keys
        file = self.folder / f"env-{number}.yml"
        lines = [f"{key}: {value}" for key, value in keys.items() if value]
        file.write_text("\n".join([f"image: {self.base.name}", f"conda_file: {packages.name}", *lines]))
        return prebake.load(file)

    def build(self, count: int, **keys: str) -> None:
        """Deliver so many; each is asked for once more than the one before."""
        for number in range(count):
            for _ in range(number + 1):
                build(self.environment(number, **keys), self.machine, self.tag(number))

    def follow(self, stage: int = 10, incompatible: str = "hold") -> list[Result]:
        reference = Reference.parse(self.base.name)
        return follow(reference, self.machine, Policy(stage, incompatible), Silent())


@pytest.fixture
def base(tiny: SampleWorld, program: bytes, tmp_path: Path, request: pytest.FixtureRequest) -> Base:
    made = Base(f"{tiny.registry}/{request.node.name}/base:1", tmp_path, program)
    made.move("first")
    return made


@pytest.fixture
def fleet(tiny: SampleWorld, world: SampleWorld, base: Base, tmp_path: Path) -> Fleet:
    """Smoke tests run in the sample world's engine."""
    variables = {"PREBAKE_SMOKE_TEST": "/bin/check /opt/prebake/env", "DOCKER_HOST": world.docker}
    return Fleet(base, tiny_machine(tiny, tmp_path / "store", **variables), tmp_path)
