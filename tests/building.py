"""`prebake build` as users run it: a process of its own, in the sample world."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prebake.cache.digest import digest_stream

if TYPE_CHECKING:
    from conftest import SampleWorld

PREBAKE = str(Path(sys.executable).with_name("prebake"))
DEMO = Path(__file__).parent / "world" / "demo.yml"
SMALL = """\
channels: [conda-forge]
dependencies:
  - python=3.11
  - six
  - prefix-probe
  - pip:
      - tabulate
"""


@dataclass(frozen=True)
class Job:
    """A build: which file on which base into which store, what else its process sees, and where to."""

    world: SampleWorld
    file: Path
    store: Path
    image: str = "debian:12"
    extra: tuple[tuple[str, str], ...] = ()
    umask: int = 0o022
    to: str = ""

    def start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*self.command, "--json"],
            env=self.environ(),
            umask=self.umask,
            text=True,
            stdout=pipe,
            stderr=pipe,
        )

    @property
    def command(self) -> list[str]:
        to = ["--to", self.to] if self.to else []
        return [PREBAKE, "build", str(self.file), "--image", f"{self.world.registry}/{self.image}", *to]

    def environ(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREBAKE_")}
        return inherited | self.world.environ(self.store) | dict(self.extra)

    def run(self) -> Result:
        return finish(self.start())


@dataclass(frozen=True)
class Result:
    """What `build --json` printed."""

    data: dict[str, Any]

    @property
    def digest(self) -> str:
        return str(self.data["digest"])

    @property
    def layers(self) -> list[str]:
        return [layer["digest"] for layer in self.data["layers"]]

    @property
    def diff_ids(self) -> list[str]:
        return [layer["diff_id"] for layer in self.data["layers"]]

    def built(self) -> list[str]:
        """Packages of the layers that were not there before."""
        made = [layer for layer in self.data["layers"] if layer["outcome"] == "built"]
        return [package for layer in made for package in layer["packages"]]


def finish(process: subprocess.Popen[str]) -> Result:
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return Result(json.loads(output))


def damaged_files(store: Path) -> list[str]:
    """Blobs that are not what they are called, and traces that are not whole."""
    blobs = [path for path in (store / "blobs" / "sha256").glob("*") if digest_of(path) != path.name]
    traces = [path for path in (store / "traces").rglob("*.json") if not path.read_bytes().endswith(b"}")]
    return [path.name for path in [*blobs, *traces]]


def digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return digest_stream(stream)[0].hex
