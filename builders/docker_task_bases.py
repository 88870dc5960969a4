"""What a built image depends on: the images its Dockerfile names, with their digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..cache.oci import Platform
from ..cache.reference import Reference
from ..config.task import Build
from ..config.template import has_secret
from ..errors import DefinitionError
from .docker import engine_errors
from .dockerfile import parse, platform_arguments

if TYPE_CHECKING:
    from docker import DockerClient

    from ..config.task import Step
    from .docker_task_room import Room, Say

    Digests = dict[str, str]


def bases(step: Step, room: Room, text: str, say: Say) -> tuple[Digests, Digests]:
    """Digests by reference: of what the image runs on, and of what else it was built with.

    Empty where the engine's builder reads a Dockerfile that we do not.
    """
    assert isinstance(step.action, Build)
    # Not those that hold a secret: what they name would stand in the record.
    given = {name: value for name, value in step.action.arguments if value and not has_secret(value)}
    try:
        found = parse(step.place.path, text, platform_arguments(Platform()) | given)
    except DefinitionError as error:
        say(f"warning: the image's dependencies are not recorded: {error.sentence}")
        return {}, {}
    names = dict.fromkeys(image.name for image in found.images)
    with room.plan.connect() as engine, engine_errors("inspect images", {"step": step.id}):
        digests = {name: _digest(engine, name) for name in names}
    below = {found.base.name} if found.base else set()
    return (
        {name: digest for name, digest in digests.items() if name in below},
        {name: digest for name, digest in digests.items() if name not in below},
    )


def _digest(engine: DockerClient, name: str) -> str:
    """As the engine's own store has it; BuildKit keeps its bases elsewhere, so the registry is asked then."""
    from docker.errors import APIError, ImageNotFound

    reference = Reference.parse(name)
    if reference.digest:
        return str(reference.digest)
    try:
        known = engine.images.get(name).attrs["RepoDigests"] or ()
        pinned = [Reference.parse(each) for each in known]
        return next((str(each.digest) for each in pinned if each.name == reference.name), "")
    except ImageNotFound:
        pass
    try:
        api: Any = engine.api
        return str(api.inspect_distribution(name)["Descriptor"]["digest"])
    except APIError:
        return ""
