"""A task before it runs: its steps, rendered, and which of them wait for which. Secrets are `***`."""

from __future__ import annotations

import shlex
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from ...config.task import Build, Command
from ...config.template import veiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...config.task import Step, TaskFile


def lines(task: TaskFile) -> Iterator[str]:
    """For people: what may run side by side stands under one heading."""
    steps = {step.id: step for step in task.steps}
    for number, wave in enumerate(waves(task), 1):
        yield f"wave {number}"
        for name in wave:
            step = steps[name]
            after = f"  after {', '.join(step.parents)}" if step.parents else ""
            yield f"  {name}  {step.action.kind}: {_words(step)}{after}"


def described(task: TaskFile) -> dict[str, Any]:
    """For scripts."""
    steps = [
        {
            "id": step.id,
            "kind": step.action.kind,
            "runs": _words(step),
            "after": list(step.parents),
            "timeout": step.timeout,
            "env": [veiled(f"{name}={value}") for name, value in step.container.env],
        }
        for step in task.steps
    ]
    return {"version": task.version, "steps": steps, "waves": waves(task), "warnings": list(task.warnings)}


def waves(task: TaskFile) -> list[list[str]]:
    """Ids of steps that may run side by side, first to last."""
    order = TopologicalSorter({step.id: step.parents for step in task.steps})
    order.prepare()
    found = []
    while order.is_active():
        ready = order.get_ready()
        found.append([step.id for step in task.steps if step.id in ready])
        order.done(*ready)
    return found


def _words(step: Step) -> str:
    if isinstance(step.action, Command):
        return veiled(shlex.join([step.action.image, *step.action.arguments]))
    if isinstance(step.action, Build):
        return veiled(f"{step.action.context} -> {', '.join(step.action.tags) or 'no tag'}")
    return veiled(", ".join(step.action.images))
