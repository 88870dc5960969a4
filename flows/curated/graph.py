"""One graph for the whole set: each layer that several environments share is reused or built once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from ...builders.engine import reuse_layer
from ...builders.make import Workshop
from ...builders.results import BUILT, LayerResult
from ...cache.tiered import MADE, Wanted
from ...errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...builders.plan import PlannedLayer
    from ...cache.digest import Key
    from ..progress import Progress
    from ..wiring import Workspace
    from .prepare import Prepared

    Layer = tuple[Prepared, PlannedLayer]


def unique_layers(prepared: Iterable[Prepared]) -> dict[Key, Layer]:
    """Every layer of the set once, the biggest first."""
    layers = {planned.key: (each, planned) for each in prepared for planned in each.plan.layers}
    return dict(sorted(layers.items(), key=lambda item: -item[1][1].size))


def obtain(
    layers: Mapping[Key, Layer], workspace: Workspace, progress: Progress
) -> dict[Key, LayerResult | PrebakeError]:
    """Reuse or make each layer; what cannot be made is told by its error, and stops no other."""
    progress.layers(len(layers))

    def one(layer: Layer) -> LayerResult | PrebakeError:
        try:
            result = _obtain(*layer, workspace)
        except PrebakeError as error:
            return error
        progress.layer(result)
        return result

    with ThreadPoolExecutor(workspace.settings.workers) as pool:
        return dict(zip(layers, pool.map(one, layers.values()), strict=True))


def _obtain(prepared: Prepared, planned: PlannedLayer, workspace: Workspace) -> LayerResult:
    start = time.perf_counter()
    if found := reuse_layer(planned, prepared.world.store):
        return found
    workshop = Workshop(prepared.world, workspace.recipe, prepared.lock)
    wanted = Wanted(planned.key, planned.inputs, lambda: workshop.make(planned))
    made = prepared.world.store.obtain(wanted).tier == MADE
    result = reuse_layer(planned, prepared.world.store)
    assert result, "a layer vanished as soon as it was made"
    seconds = time.perf_counter() - start
    return replace(result, outcome=BUILT, seconds=seconds) if made else result
