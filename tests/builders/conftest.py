"""Locks and images of the sample world, made by the real steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.engine import assemble_image, obtain_layers
from prebake.builders.lock import Lock
from prebake.builders.make import Workshop
from prebake.builders.pin import Registries
from prebake.builders.plan import plan
from prebake.builders.push import Image
from prebake.builders.recipe import Recipe
from prebake.builders.resolve import Resolved, resolve
from prebake.builders.world import World
from prebake.cache.directory import DirectoryStore
from prebake.cache.registry import Repository
from prebake.cache.tiered import Tiers
from prebake.cache.transport import Transport
from prebake.config.definition import CondaSpec, Definition, Environment


@dataclass(frozen=True)
class Bench:
    """A store and connections of its own in the sample world."""

    world: World
    transport: Transport
    base: str

    def resolve(
        self, *specs: str, pip: tuple[str, ...] = (), env: tuple[tuple[str, str], ...] = ()
    ) -> Resolved:
        conda = CondaSpec(("conda-forge",), specs, pip)
        definition = Definition(image=self.base, conda=conda, environment_variables=env)
        return resolve(Environment(definition), self.world, Recipe().prefix)

    def lock(self, *specs: str, pip: tuple[str, ...] = ()) -> Lock:
        lock = self.resolve(*specs, pip=pip).lock
        assert lock
        return lock

    def image(self, *specs: str, compression: str = "gzip", **more: Any) -> Image:
        recipe = Recipe(compression=compression)
        planned = plan(self.resolve(*specs, **more), recipe)
        store, base = self.world.store, planned.resolved.base
        workshop = Workshop(self.world, recipe, planned.resolved.lock)
        results = obtain_layers(planned, store, workshop.make, 2, lambda _: None)
        made = assemble_image(planned, store, results)
        layers = tuple(each.layer for each in made.layers)
        config = store.read(made.manifest.config.digest)
        return Image(made.manifest, config, base.reference, base.manifest.layers, layers, store.open)


@pytest.fixture(scope="session")
def bench(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with closing(Transport(lambda _: None)) as transport:
        registries = Registries(lambda reference: Repository.of(transport, reference))
        store = DirectoryStore(tmp_path_factory.mktemp("bench") / "store")
        allowed = World(Tiers(store), registries, world.sources, allow_sdist=frozenset({"docopt"}))
        yield Bench(allowed, transport, world.base)


@pytest.fixture
def fresh(bench: Bench, tmp_path: Path) -> World:
    """The same world with an empty store."""
    return replace(bench.world, store=Tiers(DirectoryStore(tmp_path / "store")))
