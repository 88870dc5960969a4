"""The main verb: an environment in, an image at its destination out.

image = assemble(map(reuse_or_build, plan(resolve(definition))))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..builders.pin import pin_base
from ..builders.recall import environment_inputs, recall, remember
from ..cache.digest import key_inputs, key_of_inputs
from ..cache.store import BlobNotFound, Trace
from ..config.canonical import definition_inputs
from ..errors import IntegrityError, PrebakeError, RegistryError
from .built import Built
from .destination import deliver
from .noting import identity, note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.pin import PinnedBase
    from ..builders.results import ImageResult
    from ..builders.world import World
    from ..cache.digest import Json
    from ..config.definition import Environment
    from .destination import Delivered, Destination
    from .progress import Progress
    from .wiring import Request, Workspace

    Done = tuple[ImageResult, Delivered]

FLIGHT = "flight/1"


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
    wish = _Wish(environment, base, asked, request.destination, workspace, world, progress)
    return asked, *(wish.found() or wish.made_once())


@dataclass(frozen=True, eq=False, repr=False)
class _Wish:
    """An environment on its pinned base, and where its image is wanted; `asked` are its trace's inputs."""

    environment: Environment
    base: PinnedBase
    asked: Mapping[str, Json]
    to: Destination
    workspace: Workspace
    world: World
    progress: Progress

    def found(self) -> Done | None:
        """The image, if it was made before, at its destination."""
        found = recall(self.asked, self.base, self.world)
        if found is None:
            return None
        to, at, progress = self.to, self.workspace, self.progress
        return found, self.world.around("deliver", lambda: deliver(found, to, at, progress))

    def made_once(self) -> Done:
        """The image at its destination, made here or by another process that was asked for it before.

        Before what is imported for a build: a hundred who wait would leave no core to the one that builds.
        """
        from ..cache.leases import lease_name
        from ..cache.single_flight import Told, rather_once

        if self.world.policy.looks_each_time:
            return self._made()
        flight = {"environment": str(key_of_inputs(self.asked)), "to": self.to.text}
        name = lease_name(key_inputs(FLIGHT, flight))
        told = Told(self.progress.step, "builds the same environment")
        return rather_once(name, self.workspace.local_leases, self._found_since, self._made, told)

    def _found_since(self) -> Done | None:
        """What another has left in the local store; tiers were asked already."""
        known = self.workspace.local.look(key_of_inputs(self.asked), self.asked)
        return self.found() if isinstance(known, Trace) else None

    def _made(self) -> Done:
        from ..builders.resolve import resolve_on  # solvers, encoders, uploads: not on the hit path
        from .build import build_environment
        from .guard import archives_of, channels_asked, guarded, registries_of

        registries = registries_of(self.base, self.to, self.workspace)
        channels = channels_asked(self.environment, self.world)
        world = guarded(self.world, channels, registries, self.workspace)
        resolved = resolve_on(self.base, self.environment, world, self.workspace.recipe.prefix)
        world = guarded(world, [*channels, *archives_of(resolved)], registries, self.workspace)
        image, delivered = build_environment(resolved, self.to, self.workspace, world, self.progress)
        remember(self.asked, image, resolved, world)
        return image, delivered
