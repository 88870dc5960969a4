"""Which credentials a build uses, so that none of them leaves with what it makes (see builders/gate.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..builders.gate import gate_of
from ..builders.secrets import package_secrets, registry_secrets
from ..builders.sources import channel_url, channels_of
from ..builders.spark import repositories_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..builders.pin import PinnedBase
    from ..builders.resolve import Resolved
    from ..builders.world import World
    from ..config.definition import Environment
    from .destination import Destination
    from .wiring import Workspace


def guarded(world: World, urls: Iterable[str], registries: Iterable[str], workspace: Workspace) -> World:
    """A world that records nothing that holds a credential for one of those, or for the settings' sources."""
    logins = registry_secrets((name, workspace.credentials(name)) for name in registries)
    gate = gate_of((*package_secrets(urls, world.sources), *logins))
    return replace(world, gate=gate, store=world.store.guarded(gate.check)) if gate else world


def registries_of(base: PinnedBase, to: Destination, workspace: Workspace) -> list[str]:
    """The registries that a build asks: of the base image, of the destination, of the tiers."""
    images = base.build.images.values() if base.build else [base.reference]
    used = [*map(workspace.registries.place, images), *images, *workspace.tier_repositories]
    if to.kind == "registry":
        used.append(to.reference())
    return sorted({reference.registry for reference in used})


def channels_asked(environment: Environment, world: World) -> list[str]:
    """URLs of the channels and Maven repositories that the environment's solves ask."""
    spec, spark, sources = environment.definition.conda, environment.definition.spark, world.sources
    repositories = [*repositories_of(spark)] if spark else []
    if spec is None:
        return repositories
    names = channels_of(spec.channels, spec.specs, sources)
    channels = [channel_url(name, sources) for name in names if name != "defaults"]
    return [*channels, *sources.defaults, *repositories]


def archives_of(resolved: Resolved) -> list[str]:
    """URLs of the archives that building takes."""
    lock = resolved.lock
    if lock is None:
        return []
    return [
        *(each.url for each in lock.conda),
        *(each.url for each in lock.pip),
        *(each.url for each in lock.jars),
    ]
