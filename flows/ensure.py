"""The main verb: an environment in, an image at its destination out.

image = assemble(map(reuse_or_build, plan(resolve(definition))))
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..builders.pin import pin_base
from ..builders.recall import environment_inputs, recall, remember
from ..cache.store import BlobNotFound
from ..config.canonical import definition_inputs
from ..errors import IntegrityError, PrebakeError, RegistryError
from .built import Built
from .destination import deliver
from .noting import identity, note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.results import ImageResult
    from ..cache.digest import Json
    from ..config.definition import Environment
    from .destination import Delivered
    from .progress import Progress
    from .wiring import Request, Workspace


def ensure(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Built:
    """The image of `environment` where `request` wants it: found, or built from what nobody built yet.

    A blob that turns out to be corrupt or gone on its way to the destination is made again, once.
    """
    if environment.registered:
        from .registered import ensure_registered

        return ensure_registered(environment, request, workspace, progress)
    start = time.perf_counter()
    try:
        done = _ensure(environment, request, workspace, progress)
    except (IntegrityError, RegistryError) as error:
        if not isinstance(error, BlobNotFound) and not _mended(error, workspace, progress):
            raise
        done = _ensure(environment, request, workspace, progress)
    asked, image, delivered = done
    built = Built(image, delivered, time.perf_counter() - start)
    note(asked, built, request, identity(environment), workspace.local)
    return built


def _mended(error: PrebakeError, workspace: Workspace, progress: Progress) -> bool:
    """Whether corrupt blobs were found, which count as missing from now on."""
    corrupt = workspace.local.set_aside_corrupt() if _tells_of_corruption(error) else []
    if corrupt:
        progress.step(f"warning: {len(corrupt)} corrupt blobs were set aside: {', '.join(map(str, corrupt))}")
    return bool(corrupt)


def _tells_of_corruption(error: PrebakeError) -> bool:
    """A reader compared digests, or the registry did (distribution spec, "Error Codes", code-3)."""
    return isinstance(error, IntegrityError) or "DIGEST_INVALID" in getattr(error, "codes", ())


def _ensure(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> tuple[Mapping[str, Json], ImageResult, Delivered]:
    world = workspace.world(request, progress.step)
    base = pin_base(environment, world, workspace.recipe.prefix)
    asked = environment_inputs(definition_inputs(environment.definition), base, world, workspace.recipe)
    found = recall(asked, base, world)
    if found:
        to = request.destination
        return asked, found, world.around("deliver", lambda: deliver(found, to, workspace, progress))
    from ..builders.resolve import resolve_on  # solvers, encoders, uploads: not on the hit path
    from .build import build_environment
    from .guard import archives_of, channels_asked, guarded, registries_of

    registries = registries_of(base, request.destination, workspace)
    channels = channels_asked(environment, world)
    world = guarded(world, channels, registries, workspace)
    resolved = resolve_on(base, environment, world, workspace.recipe.prefix)
    world = guarded(world, [*channels, *archives_of(resolved)], registries, workspace)
    image, delivered = build_environment(resolved, request.destination, workspace, world, progress)
    remember(asked, image, resolved, world)
    return asked, image, delivered
