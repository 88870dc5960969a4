"""One graph for the whole set: each layer that several environments share is reused or built once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ...builders.engine import obtain_layer
from ...builders.make import Workshop
from ...errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...builders.plan import PlannedLayer
    from ...builders.results import StepResult
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
) -> dict[Key, StepResult | PrebakeError]:
    """Reuse or make each layer; what cannot be made is told by its error, and stops no other."""
    progress.layers(len(layers))

    def one(layer: Layer) -> StepResult | PrebakeError:
        prepared, planned = layer
        workshop = Workshop(prepared.world, workspace.recipe, prepared.lock, workspace.engine)
        try:
            result = obtain_layer(planned, prepared.world.store, workshop.make)
        except PrebakeError as error:
            return error
        for each in result.layers:
            progress.layer(each)
        return result

    with ThreadPoolExecutor(workspace.settings.workers) as pool:
        return dict(zip(layers, pool.map(one, layers.values()), strict=True))
