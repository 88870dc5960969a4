"""What each key of an environment is made of, and which fields differ from another environment's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..builders.plan import plan
from ..builders.resolve import conda_inputs, pip_inputs, resolve
from ..cache.digest import Json, key_of_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..builders.resolve import Resolved
    from ..builders.world import World
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace


def explain(
    environment: Environment, request: Request, workspace: Workspace, progress: Progress
) -> dict[str, Any]:
    """Keys and canonical inputs of the solves, of every layer and of the image."""
    world = workspace.world(request, progress.step)
    resolved = resolve(environment, world, workspace.recipe.prefix)
    planned = plan(resolved, workspace.recipe)
    layers = {layer.title: _shown(layer.inputs) for layer in planned.layers}
    return {"image": _shown(planned.inputs), "solves": _solves(resolved, world), "layers": layers}


def _solves(resolved: Resolved, world: World) -> dict[str, Any]:
    spec, lock = resolved.definition.conda, resolved.lock
    if spec is None or lock is None:
        return {}
    shown = {"conda": _shown(conda_inputs(spec, lock.target, world.sources))}
    return shown | ({"pip": _shown(pip_inputs(spec, lock, world))} if spec.pip else {})


def _shown(inputs: Mapping[str, Json]) -> dict[str, Any]:
    return {"key": str(key_of_inputs(inputs)), "made of": inputs}


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in which two explanations differ, by path."""
    return {path: {"was": old, "is": new} for path, old, new in _differing("", was, now)}


def _differing(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from _differing(f"{path}.{name}".lstrip("."), was.get(name), now.get(name))
    elif isinstance(was, list | tuple) and isinstance(now, list | tuple):
        gone = [item for item in was if item not in now]
        come = [item for item in now if item not in was]
        if gone or come or list(was) != list(now):
            yield path, gone or list(was), come or list(now)
    elif was != now:
        yield path, was, now
