"""Make one planned layer: archives in, a compressed tar and its listing in the store, a trace out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from ..cache.oci import Descriptor, Layer
from ..cache.store import Trace, layer_to_json
from .docker_access import Access
from .encode import ENCODERS
from .engine import LISTING
from .fetch import fetch_all
from .listings import mark_paths
from .lock import python_closure
from .spark import conf_entry, jar_entries
from .tar import LayerWriter, TarResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..cache.digest import Json
    from ..cache.store import HashingWriter
    from .entry import Entry
    from .lock import CondaPackage, Jar, Lock, Wheel
    from .plan import PlannedLayer
    from .recipe import Recipe
    from .world import World


@dataclass(frozen=True)
class Workshop:
    """What making layers needs: the store, where archives come from, the recipe."""

    world: World
    recipe: Recipe
    lock: Lock | None
    engine: Access = field(default_factory=Access)

    def make(self, planned: PlannedLayer) -> Trace:
        """Build one layer. Raises PackageError, EngineError, Unreachable, StoreError."""
        return self.world.around(planned.title, lambda: self._make(planned))

    def _make(self, planned: PlannedLayer) -> Trace:
        if planned.build:
            from .docker_build import make_docker

            return make_docker(planned, self.world, self.engine)
        makers = {"conda": self._make_conda, "pip": self._make_pip, "spark": self._make_spark}
        return makers[planned.step](planned)

    def _make_conda(self, planned: PlannedLayer) -> Trace:
        from .conda import link_group, linking_for  # asyncio, and rattler behind it

        packages = cast("tuple[CondaPackage, ...]", planned.packages)
        with self.world.store.local.scratch() as stage:
            linked = link_group(packages, stage, linking_for(planned.prefix, self.world))
            return self._store(planned, linked.entries, linked.warnings)

    def _make_pip(self, planned: PlannedLayer) -> Trace:
        from .wheel import wheel_entries

        wheels = cast("tuple[Wheel, ...]", planned.packages)
        archives = fetch_all(wheels, self.world.store.local, self.world.sources)
        entries = [
            entry
            for wheel, archive in zip(wheels, archives, strict=True)
            for entry in wheel_entries(archive, wheel.file_name, planned.prefix)
        ]
        return self._store(planned, entries, ())

    def _make_spark(self, planned: PlannedLayer) -> Trace:
        recipe = cast("Mapping[str, Json]", planned.inputs["inputs"])
        if "conf" in recipe:
            return self._trace(planned, [conf_entry(str(recipe["conf"]))], ())
        jars = cast("tuple[Jar, ...]", planned.packages)
        archives = fetch_all(jars, self.world.store.local, self.world.sources)
        return self._trace(planned, jar_entries(jars, archives), ())

    def _store(self, planned: PlannedLayer, entries: Sequence[Entry], warnings: tuple[str, ...]) -> Trace:
        recipe = cast("Mapping[str, Json]", planned.inputs["inputs"])
        if recipe["bytecode"] is None:
            return self._trace(planned, entries, warnings)
        from .bytecode import compile_entries
        from .local import ensure_prefix

        assert self.lock, "a layer without a lock"
        interpreter = ensure_prefix(python_closure(self.lock), self.world) / "bin" / "python"
        with self.world.store.local.scratch() as folder:
            compiled = compile_entries(entries, interpreter, folder)
            return self._trace(planned, [*entries, *compiled], warnings)

    def _trace(self, planned: PlannedLayer, entries: Iterable[Entry], warnings: tuple[str, ...]) -> Trace:
        layer, listing = store_layer(entries, self.recipe.compression, self.world)
        folder = f"{planned.prefix.path.lstrip('/')}/etc/conda/activate.d/"
        outputs: dict[str, Json] = {
            "layer": layer_to_json(layer),
            "activates": any(line.startswith(folder) for line in listing.decode().splitlines()),
            "warnings": warnings,
        }
        listed = Descriptor(LISTING, self.world.store.local.put_bytes(listing), len(listing))
        mark_paths(listed.digest, self.world.store)
        notes: dict[str, Json] = {"bytes": planned.size}
        return Trace(planned.key, planned.inputs, outputs, (layer.descriptor, listed), notes)


def store_layer(entries: Iterable[Entry], compression: str, world: World) -> tuple[Layer, bytes]:
    """Stream entries as a compressed tar into the store; returns the layer and its listing."""
    encoder = ENCODERS[compression]
    written: list[TarResult] = []

    def write(writer: HashingWriter) -> None:
        written.append(LayerWriter(encoder(writer.write), world.gate).write_all(entries))

    digest, size = world.store.local.create(write)
    return Layer(Descriptor(encoder.media_type, digest, size), written[0].diff_id), written[0].listing
