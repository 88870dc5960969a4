"""The main verb: an environment in, an image at its destination out.

image = assemble(map(reuse_or_build, plan(resolve(definition))))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..builders.pin import pin_base
from ..builders.recall import environment_inputs, recall, remember
from ..errors import IntegrityError, PrebakeError, RegistryError
from .destination import deliver
from .progress import megabytes

if TYPE_CHECKING:
    from ..builders.results import ImageResult
    from ..config.definition import Environment
    from .destination import Delivered
    from .progress import Progress
    from .wiring import Request, Workspace


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
            "key": str(self.image.key),
            "seconds": round(self.seconds, 3),
            "bytes_pushed": self.delivered.bytes_pushed,
            "layers": [layer.to_json() for layer in self.image.layers],
        }


def ensure(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Built:
    """The image of `environment` where `request` wants it: found, or built from what nobody built yet.

    A blob that turns out to be corrupt on its way to the destination is set aside and made again, once.
    """
    start = time.perf_counter()
    try:
        image, delivered = _ensure(environment, request, workspace, progress)
    except (IntegrityError, RegistryError) as error:
        corrupt = workspace.store.set_aside_corrupt() if _tells_of_corruption(error) else []
        if not corrupt:
            raise
        progress.step(f"warning: {len(corrupt)} corrupt blobs were set aside: {', '.join(map(str, corrupt))}")
        image, delivered = _ensure(environment, request, workspace, progress)
    return Built(image, delivered, time.perf_counter() - start)


def _tells_of_corruption(error: PrebakeError) -> bool:
    """A reader compared digests, or the registry did (distribution spec, "Error Codes", code-3)."""
    return isinstance(error, IntegrityError) or "DIGEST_INVALID" in getattr(error, "codes", ())


def _ensure(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> tuple[ImageResult, Delivered]:
    world = workspace.world(request, progress.step)
    base = pin_base(environment, world, workspace.recipe.prefix)
    asked = environment_inputs(environment.definition, base, world, workspace.recipe)
    found = recall(asked, base, world)
    if found:
        return found, deliver(found, request.destination, workspace, progress.sent)
    from ..builders.resolve import resolve_on  # solvers, encoders, uploads: not on the hit path
    from .build import build_environment

    resolved = resolve_on(base, environment, world, workspace.recipe.prefix)
    image, delivered = build_environment(resolved, request.destination, workspace, world, progress)
    remember(asked, image, resolved.solved_at, world)
    return image, delivered
