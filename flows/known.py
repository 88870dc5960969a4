"""Images that were asked for, found again by their request: definition, pinned base, layers, sizes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..builders.pin import pin, pin_plain
from ..builders.recall import recall
from ..cache.digest import Digest, Key
from ..cache.inventory import trace_path
from ..cache.reference import Reference
from ..config.canonical import definition_of
from ..config.definition import Environment
from .wiring import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..builders.results import ImageResult
    from .progress import Progress
    from .requests import Asked
    from .wiring import Workspace


@dataclass(frozen=True, eq=False, repr=False)
class Known:
    """An environment as the record of requests and its trace (`environment/1`) know it."""

    asked: Asked
    trace: Mapping[str, Any]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What its image was made of."""
        inputs: Mapping[str, Any] = self.trace["inputs"]
        return inputs

    @property
    def layers(self) -> dict[str, int]:
        """Digests of its own layers, with their sizes in bytes."""
        return {layer["digest"]: layer["size"] for layer in self.trace["outputs"]["layers"]}

    @property
    def environment(self) -> Environment:
        """The definition, with its identity."""
        kept = self.asked
        definition = definition_of(self.inputs["inputs"]["definition"])
        return Environment(
            definition, kept.name or None, auto_rebuild=kept.auto_rebuild, smoke_test=kept.smoke_test
        )


def latest(requests: Iterable[Asked]) -> dict[str, Asked]:
    """The last request of each environment, of any lane: it knows the image that counts now."""
    return {asked.environment: asked for asked in requests}


def known(asked: Asked, workspace: Workspace) -> Known | None:
    """What its trace says; None if the local store has it no more, or it was built from a Dockerfile."""
    if not asked.image:
        return None
    try:
        data = trace_path(workspace.local, Key(asked.trace)).read_bytes()
        return Known(asked, json.loads(data))
    except (FileNotFoundError, ValueError):
        return None


def recalled(found: Known, workspace: Workspace, progress: Progress) -> ImageResult | None:
    """The image it was then, on the base it had then; None if a store has lost some of it."""
    inputs = found.inputs["inputs"]
    world = workspace.world(Request(), progress.step)
    image = str(Reference.parse(inputs["definition"]["image"]).at(Digest.parse(inputs["base"])))
    solved = inputs["definition"]["conda"]
    base = pin(image, world, workspace.recipe.prefix) if solved else pin_plain(image, world)
    return recall(found.inputs, base, world)
