"""Build an image that is not known yet, and deliver it; for a registry, layers travel as they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..builders.engine import assemble_image, obtain_layers, reuse
from ..builders.make import Workshop
from ..builders.plan import plan
from .destination import Delivered, as_image, deliver

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..builders.plan import Plan
    from ..builders.resolve import Resolved
    from ..builders.results import ImageResult, LayerResult
    from ..builders.world import World
    from .destination import Destination
    from .progress import Progress
    from .wiring import Workspace


def build_environment(
    resolved: Resolved, to: Destination, workspace: Workspace, world: World, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Plan, reuse or build each layer, assemble, deliver."""
    planned = plan(resolved, workspace.recipe)
    found = reuse(planned, world.store)
    if found:
        return found, world.around("deliver", lambda: deliver(found, to, workspace, progress))
    progress.layers(len(planned.layers))
    workshop = Workshop(world, workspace.recipe, resolved.lock, workspace.engine)
    how = _build_and_push if to.kind == "registry" else _build_then_deliver
    return how(planned, to, workshop, workspace, progress)


def _build_and_push(
    planned: Plan, to: Destination, workshop: Workshop, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Layers travel while others are still being built."""
    from ..builders.push import Progress as Sending
    from ..builders.push import Uploader

    reference, sending, store = to.reference(), Sending(progress.sent), workshop.world.store
    origins = workspace.origins(reference)
    with Uploader(workspace.transport, reference, sending, origins) as uploader:

        def done(layer: LayerResult) -> None:
            progress.layer(layer)
            uploader.start(layer.layer.descriptor, store.open)

        image = _build(planned, workshop, workspace.settings.workers, done)
        progress.step("pushing")
        pushed = workshop.world.around(f"push: {reference}", lambda: uploader.commit(as_image(image, store)))
    return image, Delivered(str(pushed.reference), pushed.bytes_pushed)


def _build_then_deliver(
    planned: Plan, to: Destination, workshop: Workshop, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    image = _build(planned, workshop, workspace.settings.workers, progress.layer)
    if to.kind == "store":
        return image, deliver(image, to, workspace, progress)
    progress.step(f"delivering to {to.place}")
    title = f"deliver: {to.kind}:{to.place}"
    return image, workshop.world.around(title, lambda: deliver(image, to, workspace, progress))


def _build(planned: Plan, workshop: Workshop, jobs: int, done: Callable[[LayerResult], None]) -> ImageResult:
    store, around = workshop.world.store, workshop.world.around
    layers = obtain_layers(planned, store, workshop.make, jobs, done)
    return around("assemble", lambda: assemble_image(planned, store, layers))
