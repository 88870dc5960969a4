"""Registered environments and the engine: what a reference names, and what it was resolved to.

    version = register(environment, workspace, progress)
    environment = registered("vision@latest", workspace, progress)
    ensure(environment, ...)

`ensure` leaves a registered environment to `ensure_registered`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..config.catalog import Record
from ..config.catalog.reference import LATEST, parse
from ..config.pip_line import is_local
from ..errors import PrebakeError

if TYPE_CHECKING:
    from ..config.catalog import Version
    from ..config.definition import Environment
    from .built import Built
    from .progress import Progress
    from .wiring import Request, Workspace


def register(
    environment: Environment, workspace: Workspace, progress: Progress, *, anonymous: bool = False
) -> Version:
    """Register an environment, with the content of its build context. Raises ConflictError, SettingsError."""
    from .contexts import pack_context

    for line in filter(is_local, environment.definition.conda.pip if environment.definition.conda else ()):
        progress.step(f"warning: `{line}` is on this machine alone: others cannot build it")
    context = pack_context(environment.definition, workspace, progress)
    catalog = workspace.catalog
    return catalog.register(environment, asked_by=workspace.user, anonymous=anonymous, context=context)


def registered(reference: str, workspace: Workspace, progress: Progress) -> Environment:
    """The environment a reference names, ready to be built on this machine. Raises SettingsError.

    It has the lock that it had before, on whatever machine, as long as the policy lets that serve.
    """
    from .contexts import unpack_context
    from .relock import restore_lock

    registry = parse(reference).registry
    catalog = workspace.catalog_of(registry)
    version = catalog.get(reference)
    environment = replace(version.environment, registered=registry is None)
    restore_lock(environment.definition, catalog.records(version), workspace, progress)
    return unpack_context(environment, version.context, workspace, progress)


def clone(reference: str, name: str, workspace: Workspace) -> Version:
    """The same definition under another name, its versions from 1. Raises ConflictError, SettingsError."""
    version = workspace.catalog_of(parse(reference).registry).get(reference)
    copy = replace(version.environment, name=name, version=None)
    return workspace.catalog.register(copy, asked_by=workspace.user, context=version.context)


def meant(reference: str, workspace: Workspace) -> tuple[Version, ...]:
    """The version a reference names; all versions of a bare name. Raises SettingsError."""
    asked = parse(reference)
    if asked.version or asked.label:
        return (workspace.catalog.get(reference),)
    return workspace.catalog.versions(asked.name)


def unlabel_all(reference: str, workspace: Workspace) -> None:
    """Take away the labels of a version, or of all versions of a name. Raises SettingsError."""
    for version in meant(reference, workspace):
        for label in version.labels:
            if label != LATEST:
                workspace.catalog.unlabel(version.name, label)


def forget(reference: str, workspace: Workspace) -> tuple[str, ...]:
    """Delete a version, or all of a name; gives the images that were built of it, which stay."""
    gone = workspace.catalog.delete(reference, asked_by=workspace.user)
    return tuple(dict.fromkeys(record.reference for record in gone))


def ensure_registered(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> Built:
    """`ensure`, and lock and image recorded with the version; a catalog that fails fails no build."""
    from .ensure import ensure

    built = ensure(replace(environment, registered=False), request, workspace, progress)
    try:
        version = workspace.catalog.get(environment.title)
        workspace.catalog.record(version, _record(environment, request, built, workspace))
    except PrebakeError as error:
        progress.step(f"warning: {environment.title} does not remember this build: {error}")
    return built


def _record(environment: Environment, request: Request, built: Built, workspace: Workspace) -> Record:
    policy = request.policy or workspace.settings.policy
    return Record(
        lock=_lock(environment, request, built, workspace),
        base=str(built.image.base.reference.at(built.image.base.digest)),
        image=str(built.image.digest),
        reference=built.reference,
        policy=policy,
        asked_by=workspace.user,
    )


def _lock(environment: Environment, request: Request, built: Built, workspace: Workspace) -> str:
    """The lock that the build has made or found, by the traces of its solves; empty if those moved since."""
    if environment.definition.conda is None and environment.definition.spark is None:
        return ""
    from ..builders.plan import plan
    from ..builders.resolve import resolve_on
    from .progress import Silent

    world = workspace.world(replace(request, policy="locked"), Silent().step)
    resolved = resolve_on(built.image.base, environment, world, workspace.recipe.prefix)
    made_this = plan(resolved, workspace.recipe).key == built.image.key
    return resolved.lock.to_bytes().decode() if resolved.lock and made_this else ""
