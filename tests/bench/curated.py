"""The curated set prebuilt at first, again, and after a package moved; against each image on its own.

    PYTHONPATH=tests python tests/world/up.py --docker --run python tests/bench/curated.py [NAME...]

`alone` prebuilds every environment by itself, with an empty store and an empty engine each, as one who
remembers nothing does every time. `solve+build` ends when the last layer is there; containers and pushes
take the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import zstandard

from prebake.flows.curated.definitions import find
from prebake.flows.curated.prebuild import prebuild
from prebake.flows.curated.results import Prebuilt
from prebake.flows.progress import Silent
from prebake.flows.wiring import Workspace, open_workspace
from world import services
from world.channel import _write
from world.downloads import read_pins, wheels
from world.wheel_package import wheel_package

ROOT = Path(__file__).parent.parent.parent
MOVED = "tqdm"


@dataclass
class Clock(Silent):
    """When the layers were there."""

    start: float = field(default_factory=time.perf_counter)
    layers_at: float = 0.0

    def step(self, message: str) -> None:
        if message.endswith("smoke test") and not self.layers_at:
            self.layers_at = time.perf_counter() - self.start


def main() -> None:
    names, started = sys.argv[1:], time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        channel = folder / "served" / "channel"
        shutil.copytree(ROOT / ".world" / "channel", channel, copy_function=os.link)
        with services.static(folder / "served") as url:
            workspace = machine(folder / "store", f"{url}/channel")
            show("set, first", lambda clock: run(names, workspace, clock))
            show("set, nothing changed", lambda clock: run(names, workspace, clock))
            move(channel)
            show(f"set, {MOVED} moved", lambda clock: run(names, workspace, clock))
            show("each alone", lambda clock: alone(names, folder, f"{url}/channel", clock))
    print(f"measured in {time.perf_counter() - started:.0f} s")


def machine(store: Path, channel: str) -> Workspace:
    registry, index = os.environ["WORLD_REGISTRY"], f"{os.environ['WORLD_URL']}/index/simple"
    mirrors = {
        "https://conda.anaconda.org/conda-forge": channel,
        "https://download.pytorch.org/whl/cpu": index,
    }
    settings = {
        "PREBAKE_STORE": str(store),
        "PREBAKE_MIRRORS": " ".join(f"{canonical}={mirror}" for canonical, mirror in mirrors.items()),
        "PREBAKE_IMAGE_MIRRORS": f"docker.io/library={registry}",
        "PREBAKE_PIP_INDEX": index,
        "PREBAKE_CURATED": f"{registry}/{uuid.uuid4().hex}",
    }
    return open_workspace(os.environ | settings)


def run(names: list[str], workspace: Workspace, clock: Clock) -> Prebuilt:
    return prebuild(find(names, None), "always", workspace, clock)


def alone(names: list[str], folder: Path, channel: str, clock: Clock) -> Prebuilt:
    """The sum over all of them; each forgets what the others did."""
    total, layers_at = Prebuilt((), 0, 0, 0.0), 0.0
    for each in find(names, None):
        subprocess.run(["docker", "image", "prune", "--all", "--force"], check=True, capture_output=True)
        own, store = Clock(), folder / "alone"
        done = run([each.name], machine(store, channel), own)
        shutil.rmtree(store)
        layers_at += own.layers_at
        total = Prebuilt(
            (*total.outcomes, *done.outcomes),
            total.layers + done.layers,
            total.built + done.built,
            total.seconds + done.seconds,
        )
    clock.layers_at = layers_at
    return total


def move(channel: Path) -> None:
    """A newer version of a package that half of the set asks for appears in the channel."""
    (pin,) = [each for each in read_pins(ROOT / "tests/world/conda-wheels.txt") if each.name == MOVED]
    (wheel,) = wheels([pin], ROOT / ".world" / ".downloads" / "pypi")
    package = replace(wheel_package(wheel), version=f"{pin.version}.1")
    added = _write(package, channel)
    folder = channel / added.subdir
    document = json.loads((folder / "repodata.json").read_bytes())
    document["packages.conda"][added.file] = added.record
    data = json.dumps(document, sort_keys=True).encode()
    for name, content in (
        ("repodata.json", data),
        ("repodata.json.zst", zstandard.ZstdCompressor().compress(data)),
    ):
        (folder / name).unlink()  # it is a link to the sample world's
        (folder / name).write_bytes(content)


def show(what: str, measure: Callable[[Clock], Prebuilt]) -> None:
    clock = Clock()
    done = measure(clock)
    kinds = [each.outcome for each in done.outcomes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    seconds = f"{done.seconds:7.1f} s (solve+build {clock.layers_at or done.seconds:6.1f} s)"
    moved = f"{done.built:3} of {done.layers:3} layers built  {done.bytes_pushed / 1e6:7.1f} MB pushed"
    print(f"{what:24} {seconds}  {moved}  {counts}", flush=True)
    for each in done.outcomes:
        if each.error:
            print(each.name, each.error)


if __name__ == "__main__":
    main()
