"""Environments that build in an instant: packages of some KB, each of them a layer, on a base of one file.

with tiny_world(world, folder) as tiny:
    environment = tiny_environment(tiny, folder, PARTS[:3])
    prebake.ensure(environment, workspace=tiny_machine(tiny, folder / "store"))
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import prebake
from prebake.flows.destination import Destination
from prebake.flows.ensure import Built, ensure
from prebake.flows.wiring import Request, Workspace, open_workspace
from world import services
from world.base_image import _image, _json, _layer, _tar
from world.channel import _write, _write_repodata
from world.conda_package import Entry, Package

if TYPE_CHECKING:
    from conftest import SampleWorld
    from prebake.builders.results import LayerResult
    from prebake.flows.destination import Destination

PARTS = tuple(f"part-{letter}" for letter in "abcdefghijklmnop")
SETTINGS = {"PREBAKE_OUTLIER_BYTES": "1", "PREBAKE_OUTLIERS": "20"}


@contextmanager
def tiny_world(world: SampleWorld, folder: Path) -> Iterator[SampleWorld]:
    """A world with a channel, a base image and a registry of its own."""
    _write_channel(folder / "channel")
    _write_base(folder / "base")
    with services.static(folder) as url, services.registry(folder / "registry") as own:
        services.push_base(folder, own.host)
        yield replace(world, static=url, registry=own.host)


def _write_channel(channel: Path) -> None:
    """PARTS, and a python that is a text file."""
    dice = random.Random("tiny")
    for subdir in ("linux-64", "noarch"):
        (channel / subdir).mkdir(parents=True)
    sizes = {name: 1000 * 2**number for number, name in enumerate(PARTS[:8])}
    packages = [
        Package(name, "1.0", [Entry(f"share/{name}/data", dice.randbytes(sizes.get(name, 5000)))])
        for name in PARTS
    ]
    text = [Entry("bin/python3.11", b"#!")]
    packages.append(Package("python", "3.11.2", text, site_packages="lib/python3.11/site-packages"))
    _write_repodata(channel / "linux-64", [_write(package, channel) for package in packages])
    _write_repodata(channel / "noarch", [])


def _write_base(folder: Path) -> None:
    """Nothing but the glibc that the solver looks for."""
    (folder / "blobs/sha256").mkdir(parents=True)
    libc = {"lib64/libc.so.6": b"GNU C Library (Tiny) stable release version 2.36.\n"}
    manifest = _image(folder, "debian:12", [_layer(folder, _tar(libc))])
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def tiny_file(folder: Path, parts: Iterable[str]) -> Path:
    """A conda file of those packages."""
    named = sorted(parts)
    file = folder / f"{'-'.join(name[-1] for name in named)}.yml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(f"channels: [conda-forge]\ndependencies: [{', '.join(['python=3.11', *named])}]\n")
    return file


def tiny_environment(base: str, folder: Path, parts: Iterable[str]) -> prebake.Environment:
    return prebake.load(tiny_file(folder, parts), image=base)


def tiny_machine(tiny: SampleWorld, store: Path, **settings: str) -> Workspace:
    return open_workspace(tiny.environ(store) | SETTINGS | settings, store.parent)


@dataclass
class Heard:
    """A Progress that remembers what was said."""

    messages: list[str] = field(default_factory=list)

    def step(self, message: str) -> None:
        self.messages.append(message)

    def layers(self, count: int) -> None:
        pass

    def layer(self, result: LayerResult) -> None:
        pass

    def sent(self, count: int) -> None:
        pass

    def warnings(self) -> list[str]:
        return [message for message in self.messages if message.startswith("warning: ")]


def build(
    environment: prebake.Environment, machine: Workspace, to: str | None = None, heard: Heard | None = None
) -> tuple[Built, Heard]:
    """Like `prebake.ensure`, and what it said meanwhile."""
    heard = heard or Heard()
    return ensure(environment, Request(Destination.parse(to)), machine, heard), heard


def outcomes(built: Built) -> set[str]:
    return {layer.outcome for layer in built.image.layers}
