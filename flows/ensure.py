"""The main verb: an environment in, an image at its destination out.

    image = assemble(map(reuse_or_build, plan(resolve(definition))))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..builders.engine import reuse
from ..builders.plan import plan
from ..builders.resolve import resolve
from .destination import Delivered, as_image, deliver
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..builders.engine import ImageResult, LayerResult
    from ..builders.plan import Plan, PlannedLayer
    from ..cache.store import Trace
    from ..config.definition import Environment
    from .destination import Destination
    from .progress import Progress
    from .wiring import Request, Workspace

    Make = Callable[[PlannedLayer], Trace]


@dataclass(frozen=True)
class Built:
    """An image that is where it was asked to be."""

    image: ImageResult
    delivered: Delivered
    seconds: float

    @property
    def reference(self) -> str:
        """Where it is, with its digest."""
        return self.delivered.reference

    def summary(self) -> str:
        """For people: what was reused, made and moved."""
        made = sum(layer.outcome == "built" for layer in self.image.layers)
        hits = len(self.image.layers) - made
        moved = megabytes(self.delivered.bytes_pushed)
        return f"{hits} layers reused, {made} built, {moved} pushed in {self.seconds:.2f} s"

    def to_json(self) -> dict[str, Any]:
        """The object that `build --json` prints."""
        return {
            "reference": self.delivered.reference,
            "digest": str(self.image.digest),
            "key": str(self.image.plan.key),
            "seconds": round(self.seconds, 3),
            "bytes_pushed": self.delivered.bytes_pushed,
            "layers": [layer.to_json() for layer in self.image.layers],
        }


def ensure(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Built:
    """The image of `environment` where `request` wants it: found, or built from what nobody built yet."""
    start = time.perf_counter()
    world = workspace.world(request, progress.step)
    planned = plan(resolve(environment, world, workspace.recipe.prefix), workspace.recipe)
    to = request.destination
    found = reuse(planned, workspace.store)
    if found:
        delivered = deliver(found, to, workspace, progress.sent)
        return Built(found, delivered, time.perf_counter() - start)
    from ..builders.make import Workshop  # rattler, installer and the encoders: not on the hit path

    make = Workshop(world, workspace.recipe, planned.resolved.lock).make
    image, delivered = (_build_and_push if to.kind == "registry" else _build_then_deliver)(
        planned, to, make, workspace, progress
    )
    return Built(image, delivered, time.perf_counter() - start)


def _build_and_push(
    planned: Plan, to: Destination, make: Make, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    """Layers travel while others are still being built."""
    from ..builders.engine import build
    from ..builders.push import Progress as Sending
    from ..builders.push import Uploader

    with Uploader(workspace.transport, to.reference(), Sending(progress.sent)) as uploader:

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
    from ..builders.engine import build

    image = build(planned, workspace.store, make, workspace.settings.workers, progress.layer)
    if to.kind != "store":
        progress.step(f"delivering to {to.place}")
    return image, deliver(image, to, workspace, progress.sent)
