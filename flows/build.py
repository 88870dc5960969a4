"""Build an image that is not known yet, and deliver it; for a registry, layers travel as they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..builders.engine import assemble_image, obtain_layers, reuse
from ..builders.plan import plan
from ..builders.results import BUILT
from .destination import Delivered, as_image, deliver

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..builders.engine import Make
    from ..builders.plan import Plan, PlannedLayer
    from ..builders.push import Uploader
    from ..builders.resolve import Resolved
    from ..builders.results import ImageResult, LayerResult
    from ..builders.world import World
    from ..cache.store import Trace
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
    pieces = _Pieces(planned, world, _maker(resolved, workspace, world))
    how = _build_and_push if to.kind == "registry" else _build_then_deliver
    return how(pieces, to, workspace, progress)


@dataclass(frozen=True, eq=False, repr=False)
class _Pieces:
    """A plan, where its layers are looked for, and how one of them is made."""

    planned: Plan
    world: World
    make: Make


def _maker(resolved: Resolved, workspace: Workspace, world: World) -> Make:
    def make(layer: PlannedLayer) -> Trace:
        from ..builders.make import Workshop  # 40 ms with all behind it, and each layer may be there

        return Workshop(world, workspace.recipe, resolved.lock, workspace.engine).make(layer)

    return make


def _build_and_push(
    pieces: _Pieces, to: Destination, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Layers travel while others are still being built."""
    from ..builders.push import Progress as Sending
    from ..builders.push import Uploader

    reference, store = to.reference(), pieces.world.store
    sending, origins = Sending(progress.sent, on_wait=progress.step), workspace.origins(reference)
    with Uploader(workspace.transport, reference, sending, origins) as uploader:

        def done(layer: LayerResult) -> None:
            """What was hashed as it was made a moment ago is not hashed again; the registry compares it."""
            progress.layer(layer)
            uploader.start(layer.layer.descriptor, store.local.open if layer.outcome == BUILT else store.open)

        _start_base(pieces.planned, uploader)
        image = _build(pieces, workspace.settings.workers, done)
        progress.step("pushing")
        pushed = pieces.world.around(f"push: {reference}", lambda: uploader.commit(as_image(image, store)))
    return image, Delivered(str(pushed.reference), pushed.bytes_pushed)


def _start_base(planned: Plan, uploader: Uploader) -> None:
    """The base's layers travel first: they may come from another registry."""
    base = planned.resolved.base
    for blob in base.manifest.layers if planned.layers else ():
        uploader.start_from(blob, base.source)


def _build_then_deliver(
    pieces: _Pieces, to: Destination, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    image = _build(pieces, workspace.settings.workers, progress.layer)
    if to.kind == "store":
        return image, deliver(image, to, workspace, progress)
    progress.step(f"delivering to {to.place}")
    title = f"deliver: {to.kind}:{to.place}"
    return image, pieces.world.around(title, lambda: deliver(image, to, workspace, progress))


def _build(pieces: _Pieces, jobs: int, done: Callable[[LayerResult], None]) -> ImageResult:
    planned, store = pieces.planned, pieces.world.store
    layers = obtain_layers(planned, store, pieces.make, jobs, done)
    return pieces.world.around("assemble", lambda: assemble_image(planned, store, layers))
