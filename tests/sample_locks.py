"""Locks of sample packages without a solve, and builds of them: what property tests need to be quick.

lock = lock_of(conda=[*conda(world.root, "clobber-a")], pip=[*wheels(world, "tabulate-0.9.0")])
build_lock(lock, DirectoryStore(folder), world.sources).digest
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prebake.builders.base import BaseFacts
from prebake.builders.engine import assemble_image, obtain_layers, reuse
from prebake.builders.grouping import Budget
from prebake.builders.lock import CondaPackage, Lock, Target, Wheel
from prebake.builders.make import Workshop
from prebake.builders.pin import PinnedBase, Registries
from prebake.builders.plan import Plan, plan
from prebake.builders.recipe import Recipe
from prebake.builders.resolve import Resolved
from prebake.builders.results import ImageResult, LayerResult
from prebake.builders.sources import Sources
from prebake.builders.world import World
from prebake.cache.digest import Digest, digest_stream
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import CONFIG, Descriptor, Manifest
from prebake.cache.reference import Reference
from prebake.cache.tiered import Tiers
from prebake.config.definition import CondaSpec, Definition
from world.conda_package import Entry, Package, bz2_archive

if TYPE_CHECKING:
    from conftest import SampleWorld

FORGE = "https://conda.anaconda.org/conda-forge"
RECIPE = Recipe(conda=Budget(3, 2, 1 << 20), pip=Budget(3, 2, 1 << 20))
TARGET = Target("linux-64", "2.36")


def conda(root: Path, *stems: str) -> list[CondaPackage]:
    """Packages of the sample channel whose file name begins so, in that order; each has a sha256."""
    documents = {subdir: root / "channel" / subdir / "repodata.json" for subdir in ("linux-64", "noarch")}
    records = [
        (subdir, name, record)
        for subdir, path in documents.items()
        for kind in ("packages", "packages.conda")
        for name, record in json.loads(path.read_text())[kind].items()
    ]
    return [_package(*next(item for item in records if item[1].startswith(f"{stem}-"))) for stem in stems]


def _package(subdir: str, name: str, record: dict[str, Any]) -> CondaPackage:
    return CondaPackage(
        record["name"],
        record["version"],
        record["build"],
        record["build_number"],
        subdir,
        f"{FORGE}/{subdir}/{name}",
        FORGE,
        Digest(record["sha256"]),
        size=record["size"],
        depends=tuple(record["depends"]),
        noarch=record.get("noarch"),
        site_packages=record.get("python_site_packages_path"),
    )


def written(package: Package, folder: Path) -> CondaPackage:
    """A package made by a test, as a local archive."""
    data = bz2_archive(package)
    path = folder / f"{package.stem}.tar.bz2"
    path.write_bytes(data)
    return CondaPackage(
        package.name,
        package.version,
        package.build,
        0,
        package.subdir,
        path.as_uri(),
        folder.as_uri(),
        Digest.of(data),
        size=len(data),
        noarch=package.noarch,
        site_packages=package.site_packages,
    )


def tiny_python(folder: Path, version: str = "3.11.2", site_packages: str | None = None) -> CondaPackage:
    """A python of one file: enough to say where packages go."""
    entry = Entry("bin/python", b"#!/bin/sh\n", executable=True)
    return written(Package("python", version, [entry], site_packages=site_packages), folder)


def archives(root: Path, *stems: str) -> list[Path]:
    """Wheels of the sample index whose file name begins so, in that order."""
    return [next((root / "index" / "files").glob(f"{stem}-*.whl")) for stem in stems]


def wheels(world: SampleWorld, *stems: str) -> list[Wheel]:
    """The same as locked wheels."""
    return [_wheel(path, f"{world.static}/index/files/{path.name}") for path in archives(world.root, *stems)]


def _wheel(path: Path, url: str) -> Wheel:
    with path.open("rb") as stream:
        digest, size = digest_stream(stream)
    name, version = path.name.split("-")[:2]
    return Wheel(name, version, url, digest, size)


def lock_of(conda: Sequence[CondaPackage] = (), pip: Sequence[Wheel] = ()) -> Lock:
    by_name = sorted(conda, key=lambda package: package.name)
    return Lock(TARGET, (FORGE,), tuple(by_name), tuple(sorted(pip, key=lambda wheel: wheel.name)))


@dataclass(frozen=True)
class Base:
    """A base image nobody has to fetch: an empty one, told apart by `digest`."""

    digest: Digest = field(default_factory=lambda: Digest.of(b"base"))

    def pinned(self) -> PinnedBase:
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        manifest = Manifest(Descriptor(CONFIG, Digest.of(b"{}"), 2), ())
        reference = Reference.parse("localhost/base:1").at(self.digest)
        return PinnedBase(reference, self.digest, manifest, config, BaseFacts(glibc="2.36"))


def plan_of(lock: Lock, recipe: Recipe = RECIPE, base: Base | None = None, **variables: str) -> Plan:
    pairs = tuple(variables.items())
    definition = Definition("localhost/base:1", conda=CondaSpec(), environment_variables=pairs)
    return plan(Resolved(definition, (base or Base()).pinned(), lock, "linux-64", 0), recipe)


def workshop(store: DirectoryStore, sources: Sources, planned: Plan) -> Workshop:
    def nobody(reference: Reference) -> Any:
        raise AssertionError(f"{reference} was asked for")

    world = World(Tiers(store), Registries(nobody), sources)
    return Workshop(world, planned.recipe, planned.resolved.lock)


def build_plan(
    planned: Plan,
    store: DirectoryStore,
    sources: Sources,
    done: Callable[[LayerResult], None] = lambda result: None,
) -> ImageResult:
    """What `ensure` does between resolving and delivering."""
    made = workshop(store, sources, planned)
    tiers = made.world.store
    if found := reuse(planned, tiers):
        return found
    return assemble_image(planned, tiers, obtain_layers(planned, tiers, made.make, 2, done))


def build_lock(lock: Lock, store: DirectoryStore, sources: Sources) -> ImageResult:
    return build_plan(plan_of(lock), store, sources)
