"""Render, pin, solve and plan one environment of the set: what it would be, before anything is built."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...builders.latest import latest_release, latest_tag
from ...builders.pin import pin_base
from ...builders.plan import Plan, plan
from ...builders.recall import environment_inputs
from ...builders.resolve import resolve_on
from ...cache.reference import Reference
from ...config.canonical import definition_inputs
from ...config.curated_template import Placeholder, render
from ...config.load import load
from ...config.places import rendering
from ...errors import DefinitionError
from ..guard import archives_of, channels_asked, guarded, registries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ...builders.lock import Lock
    from ...builders.world import World
    from ...cache.digest import Json
    from ...config.definition import Environment
    from ..destination import Destination
    from ..wiring import Workspace
    from .definitions import Curated

    Ask = Callable[[Placeholder], "Answer"]


@dataclass(frozen=True)
class Answer:
    """What a placeholder stood for, and when it was asked (Unix time)."""

    asked: Placeholder
    found: str
    at: int

    def to_json(self) -> dict[str, Json]:
        """For traces and provenance."""
        return {"template": str(self.asked), "of": self.asked.subject, "found": self.found, "at": self.at}


@dataclass(frozen=True, eq=False, repr=False)
class Prepared:
    """An environment that is solved and planned; `asked` are the inputs that a hit is found by."""

    curated: Curated
    environment: Environment
    answers: tuple[Answer, ...]
    plan: Plan
    asked: Mapping[str, Json]
    world: World

    @property
    def lock(self) -> Lock:
        """What the solves decided."""
        assert self.plan.resolved.lock, "a curated environment without packages"
        return self.plan.resolved.lock


def prepare(
    curated: Curated,
    to: Destination,
    world: World,
    workspace: Workspace,
    ask: Callable[[Placeholder], Answer],
) -> Prepared:
    """Raises DefinitionError, SolveError, PackageError, RegistryError, Unreachable."""
    environment, answers = _load(curated.definition, ask)
    if environment.definition.conda is None:
        hint = "add a `conda_file:`; an image alone has nothing to prebuild"
        facts = {"file": curated.definition}
        raise DefinitionError("a curated environment declares no packages", facts=facts, hint=hint)
    base = pin_base(environment, world, workspace.recipe.prefix)
    asked = environment_inputs(definition_inputs(environment.definition), base, world, workspace.recipe)
    registries, channels = registries_of(base, to, workspace), channels_asked(environment, world)
    world = guarded(world, channels, registries, workspace)
    resolved = resolve_on(base, environment, world, workspace.recipe.prefix)
    world = guarded(world, [*channels, *archives_of(resolved)], registries, workspace)
    return Prepared(curated, environment, answers, plan(resolved, workspace.recipe), asked, world)


def _load(file: Path, ask: Ask) -> tuple[Environment, tuple[Answer, ...]]:
    answers: list[Answer] = []

    def look_up(asked: Placeholder) -> str:
        answers.append(ask(asked))
        return answers[-1].found

    with rendering(lambda text, path: render(text, path, look_up)):
        environment = load(file)
    return replace(environment, name=file.parent.name), tuple(answers)


def asking(world: World) -> Ask:
    """Answers placeholders from the configured index and registries, each of them once."""

    @functools.cache
    def ask(asked: Placeholder) -> Answer:
        return Answer(asked, _look_up(asked, world), int(time.time()))

    return ask


def _look_up(asked: Placeholder, world: World) -> str:
    if asked.kind == "image":
        registries, reference = world.registries, Reference.parse(asked.subject)
        return latest_tag(registries.repository(registries.place(reference)), asked.detail)
    pre, sources = asked.detail == "pre", world.sources
    return latest_release(asked.subject, sources, world.cache_dir, python=asked.python, pre=pre)
