"""A machine that builds in the sample world, and `prebake` on it as a process whose time and memory are told.

with bench_machine(folder) as machine:
    run = machine.build(machine.store("cold"), file, to=machine.destination("cold"))
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building import PREBAKE
from conftest import ROOT, SampleWorld
from world import services

# Waits for a command; what it forks from is this small process, whose memory the kernel counts in.
MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
run = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak": peak, "output": run.stdout.decode()}))
"""


@dataclass(frozen=True)
class Run:
    """One process: wall seconds, peak resident memory in MiB, and what it printed."""

    seconds: float
    peak: float
    output: str

    @property
    def built(self) -> dict[str, Any]:
        """What `build --json` said."""
        return json.loads(self.output)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Machine:
    """Settings and folders of a bench; `made` holds packages of its own and is served at `url`."""

    world: SampleWorld
    folder: Path
    url: str

    @property
    def made(self) -> Path:
        return self.folder / "made"

    def environ(self, store: Path) -> dict[str, str]:
        """As a user has it: bytecode is written, and nothing is inherited of other settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREBAKE_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return kept | self.world.environ(store) | {"PREBAKE_PIP_INDEX": f"{self.url}/simple"}

    def fresh(self, store: Path) -> Path:
        """The store's folder, with nothing in it."""
        shutil.rmtree(store, ignore_errors=True)
        return store

    def run(self, store: Path, *arguments: str) -> Run:
        """`prebake ARGUMENTS` with that store."""
        command = [sys.executable, "-c", MEASURE, PREBAKE, *arguments]
        done = subprocess.run(command, env=self.environ(store), check=True, stdout=subprocess.PIPE)
        return Run(**json.loads(done.stdout))

    def build(self, store: Path, file: Path, to: str) -> Run:
        """`prebake build` to a repository of the sample registry."""
        arguments = ("--image", self.world.base, "--to", f"{self.world.registry}/{to}", "--json")
        return self.run(store, "build", str(file), *arguments)

    def lock(self, store: Path, file: Path) -> Run:
        """`prebake lock`: what a build does before it builds."""
        return self.run(store, "lock", str(file), "--image", self.world.base, "--json")

    def definition(self, name: str, conda: list[str], pip: list[str]) -> Path:
        """A conda file of a python, those conda packages and those wheels."""
        file = self.folder / f"{name}.yml"
        parts = (
            {"channels": [f"{self.url}/channel", "conda-forge"]} if conda else {"channels": ["conda-forge"]}
        )
        listed = ["python=3.11", *conda, *([{"pip": pip}] if pip else [])]
        file.write_text(json.dumps(parts | {"dependencies": listed}))  # JSON is YAML
        return file


@contextmanager
def bench_machine(folder: Path) -> Iterator[Machine]:
    """The sample world served, a registry, and a server for packages that are made by whoever measures."""
    (folder / "made").mkdir()
    with ExitStack() as stack:
        static = stack.enter_context(services.static(ROOT / ".world"))
        made = stack.enter_context(services.static(folder / "made"))
        registry = stack.enter_context(services.registry(folder / "registry"))
        services.push_base(ROOT / ".world", registry.host)
        yield Machine(SampleWorld(ROOT / ".world", folder, static, registry.host, stack), folder, made)
