"""Copy what an environment consists of to the global tier: the only way anything gets there.

All that resolving, planning and reusing it looks at goes along (solves, layers, image), so that a machine
that knows the global tier alone answers from it without solving or building.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..builders.engine import reuse, reuse_layer
from ..builders.pin import pin_base
from ..builders.plan import plan
from ..builders.recall import environment_inputs, recall
from ..builders.resolve import resolve_on
from ..cache.tiered import share
from ..config.canonical import definition_inputs
from ..errors import SettingsError
from .progress import megabytes
from .tiers import GLOBAL, tier_of

if TYPE_CHECKING:
    from ..builders.world import World
    from ..cache.digest import Key
    from ..cache.store import Trace
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace


@dataclass(frozen=True)
class Promoted:
    """What the global tier has now: the image's digest, how many traces, and the bytes it lacked before."""

    digest: str
    traces: int
    bytes_copied: int

    def __str__(self) -> str:
        copied = megabytes(self.bytes_copied)
        return f"{self.digest}: {self.traces} traces are in the global tier, {copied} copied"

    def to_json(self) -> dict[str, Any]:
        """The object that `cache promote --json` prints."""
        return {"digest": self.digest, "traces": self.traces, "bytes_copied": self.bytes_copied}


def promote(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Promoted:
    """Copy an environment that was built before to the global tier. Raises SettingsError if it was not."""
    tier = tier_of(GLOBAL, workspace)
    world = workspace.world(request, progress.step)
    used: dict[Key, Trace] = {}
    watched = replace(world, store=world.store.watched(lambda trace: used.update({trace.key: trace})))
    digest = _walk(environment, watched, workspace)
    copied = 0
    for trace in used.values():
        progress.step(f"promoting {trace.inputs['recipe']} {trace.key}")
        gone = tier.blobs.missing(trace.blobs)
        copied += sum(blob.size for blob in trace.blobs if blob.digest in gone)
        share(trace, world.store, tier)
    return Promoted(digest, len(used), copied)


def _walk(environment: Environment, world: World, workspace: Workspace) -> str:
    """Look at all that the environment consists of; returns its image's digest."""
    base = pin_base(environment, world, workspace.recipe.prefix)
    asked = environment_inputs(definition_inputs(environment.definition), base, world, workspace.recipe)
    image = recall(asked, base, world)
    if image is None:
        facts = {"environment": environment.title}
        raise SettingsError("the environment is not built yet", facts=facts, hint="run `prebake build` first")
    planned = plan(resolve_on(base, environment, world, workspace.recipe.prefix), workspace.recipe)
    reuse(planned, world.store)
    for layer in planned.layers:
        reuse_layer(layer, world.store)
    return str(image.digest)
