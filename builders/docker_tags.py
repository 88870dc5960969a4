"""Tags of one repository in a Docker Engine: what is there under our names, and taking one away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .docker import _find, engine_errors

if TYPE_CHECKING:
    from docker import DockerClient


def tags_of(engine: DockerClient, repository: str) -> set[str]:
    """The tags that images have in `repository`. Raises EngineError, Unreachable."""
    with engine_errors("list its images", {"repository": repository}):
        names = (name for image in engine.images.list(name=repository) for name in image.tags)
        return {name.rpartition(":")[2] for name in names if name.rpartition(":")[0] == repository}


def untag(engine: DockerClient, name: str) -> None:
    """Take a name away; an image without another goes with it. Raises EngineError, Unreachable."""
    with engine_errors("remove the image", {"image": name}):
        if _find(engine, name):
            engine.images.remove(name, noprune=False)
