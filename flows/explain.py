"""What each key of an environment is made of, where it was looked for and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..builders.plan import plan
from ..builders.resolve import conda_inputs, pip_inputs, resolve, spark_solve_inputs
from ..cache.digest import Json, key_of_inputs
from .lookup import known_traces, look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.plan import Plan
    from ..builders.resolve import Resolved
    from ..builders.world import World
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace


def explain(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> dict[str, Any]:
    """`made_of`, and of every layer where it was looked for, what came nearest and what making it costs."""
    world = workspace.world(request, progress.step)
    planned = _planned(environment, world, workspace)
    shown, known = _made_of(planned, world), known_traces(world.store)
    for layer in planned.layers:
        shown["layers"][layer.title] |= look_up(layer, world.store, known)
    return shown


def made_of(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> dict[str, Any]:
    """Keys and canonical inputs of the solves, of every layer and of the image."""
    world = workspace.world(request, progress.step)
    return _made_of(_planned(environment, world, workspace), world)


def _planned(environment: Environment, world: World, workspace: Workspace) -> Plan:
    return plan(resolve(environment, world, workspace.recipe.prefix), workspace.recipe)


def _made_of(planned: Plan, world: World) -> dict[str, Any]:
    layers = {layer.title: _shown(layer.inputs) for layer in planned.layers}
    return {"image": _shown(planned.inputs), "solves": _solves(planned.resolved, world), "layers": layers}


def _solves(resolved: Resolved, world: World) -> dict[str, Any]:
    spec, spark, lock = resolved.definition.conda, resolved.definition.spark, resolved.lock
    asked: dict[str, Mapping[str, Json]] = {}
    if spec and lock:
        asked["conda"] = conda_inputs(spec, lock.target, world.sources)
        asked |= {"pip": pip_inputs(spec, lock, world)} if spec.pip else {}
    if spark and spark.precache_packages:
        asked["spark"] = spark_solve_inputs(spark)
    return {name: _shown(inputs) for name, inputs in asked.items()}


def _shown(inputs: Mapping[str, Json]) -> dict[str, Any]:
    return {"key": str(key_of_inputs(inputs)), "made of": inputs}
