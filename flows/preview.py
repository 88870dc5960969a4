"""What a build would do: each layer a hit or a miss, why, and the bytes of its archives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..builders.engine import reuse_layer
from ..builders.plan import plan
from ..builders.resolve import resolve
from ..cache.tiered import LOCAL
from .progress import megabytes

if TYPE_CHECKING:
    from ..builders.plan import Plan, PlannedLayer
    from ..cache.tiered import Tiers
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace

MISS = "miss"


@dataclass(frozen=True)
class Expected:
    """What would happen to one layer; `size` is the blob's on a hit, else that of its archives, in bytes."""

    planned: PlannedLayer
    outcome: str
    why: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """The layer's line in `plan --json`."""
        return {
            "step": self.planned.step,
            "key": str(self.planned.key),
            "outcome": self.outcome,
            "why": self.why,
            "size": self.size,
            "packages": list(self.planned.contents),
        }


@dataclass(frozen=True)
class Preview:
    """A plan beside what the store holds."""

    plan: Plan
    layers: tuple[Expected, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `plan --json` prints."""
        base = self.plan.resolved.base.reference
        layers = [layer.to_json() for layer in self.layers]
        return {"base": str(base), "key": str(self.plan.key), "layers": layers}

    def table(self) -> str:
        """For people."""
        lines = [f"base      {self.plan.resolved.base.reference}", f"key       {self.plan.key}"]
        for layer in self.layers:
            size = megabytes(layer.size)
            lines.append(f"{layer.outcome:<10}{size:>10}  {layer.planned.title}  ({layer.why})")
        todo = [layer for layer in self.layers if layer.outcome == MISS]
        lines.append(f"{len(self.layers) - len(todo)} of {len(self.layers)} layers are there")
        return "\n".join(lines)


def preview(environment: Environment, request: Request, workspace: Workspace, progress: Progress) -> Preview:
    """Resolve and plan, build nothing."""
    world = workspace.world(request, progress.step)
    planned = plan(resolve(environment, world, workspace.recipe.prefix), workspace.recipe)
    return Preview(planned, tuple(expected(layer, world.store) for layer in planned.layers))


def expected(planned: PlannedLayer, store: Tiers) -> Expected:
    """What would happen to a layer, by what the stores hold."""
    found = reuse_layer(planned, store)
    if found:
        where = f"in the {found.outcome.removeprefix('hit-')} store"
        return Expected(planned, found.outcome, where, found.size)
    answers = ((tier.name if tier else LOCAL, miss) for tier, miss in store.look(planned.key, planned.inputs))
    why = ", ".join(f"{tier}: {miss}" for tier, miss in answers)
    return Expected(planned, MISS, why, planned.size)
