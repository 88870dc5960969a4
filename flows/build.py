"""Build an image that is not known yet, and deliver it; for a registry, layers travel as they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..builders.engine import build, reuse
from ..builders.make import Workshop
from ..builders.plan import plan
from .destination import Delivered, as_image, deliver

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..builders.plan import Plan, PlannedLayer
    from ..builders.resolve import Resolved
    from ..builders.results import ImageResult, LayerResult
    from ..builders.world import World
    from ..cache.store import Trace
    from .destination import Destination
    from .progress import Progress
    from .wiring import Workspace

    Make = Callable[[PlannedLayer], Trace]


def build_environment(
    resolved: Resolved, to: Destination, workspace: Workspace, world: World, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Plan, reuse or build each layer, assemble, deliver."""
    planned = plan(resolved, workspace.recipe)
    found = reuse(planned, workspace.store)
    if found:
        return found, deliver(found, to, workspace, progress.sent)
    progress.layers(len(planned.layers))
    make = Workshop(world, workspace.recipe, resolved.lock).make
    how = _build_and_push if to.kind == "registry" else _build_then_deliver
    return how(planned, to, make, workspace, progress)


def _build_and_push(
    planned: Plan, to: Destination, make: Make, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Layers travel while others are still being built."""
    from ..builders.push import Progress as Sending
    from ..builders.push import Uploader

    reference, sending = to.reference(), Sending(progress.sent)
    origins = workspace.origins(reference)
    with Uploader(workspace.transport, reference, sending, origins) as uploader:

        def done(layer: LayerResult) -> None:
            progress.layer(layer)
            uploader.start(layer.layer.descriptor, workspace.store.open)

        image = build(planned, workspace.store, make, workspace.settings.workers, done)
        progress.step("pushing")
        pushed = uploader.commit(as_image(image, workspace))
    return image, Delivered(str(pushed.reference), pushed.bytes_pushed)


def _build_then_deliver(
    planned: Plan, to: Destination, make: Make, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    image = build(planned, workspace.store, make, workspace.settings.workers, progress.layer)
    if to.kind != "store":
        progress.step(f"delivering to {to.place}")
    return image, deliver(image, to, workspace, progress.sent)
