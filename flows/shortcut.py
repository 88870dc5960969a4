"""A hit by file: what a file declared when it was last read, so that an unchanged one is not parsed again.

Parsing YAML, match specs and requirements takes longer than all else that a hit does. A trace (`file/3`,
local only) keeps the canonical definition beside the xxh3 of every file that was read for it. Whatever goes
another way than a hit (an error too) is left to `ensure`, which reads the file.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import xxhash

from ..builders.pin import pin, pin_plain
from ..builders.recall import environment_inputs, recall
from ..cache.digest import Json, key_inputs, key_of_inputs
from ..cache.store import Trace
from ..errors import DefinitionError, IntegrityError, RegistryError, StoreError
from .built import Built
from .destination import deliver
from .noting import identity, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..builders.pin import PinnedBase
    from ..builders.world import World
    from ..config.definition import Environment
    from .progress import Progress
    from .wiring import Request, Workspace

FILE = "file/3"


def recall_file(
    path: Path, image: str | None, request: Request, workspace: Workspace, progress: Progress
) -> tuple[Built, tuple[str, ...]] | None:
    """The image that `path` gives at its destination, and the file's warnings; None if it takes a build."""
    start = time.perf_counter()
    inputs = _inputs(path, image)
    known = workspace.local.look(key_of_inputs(inputs), inputs)
    if not isinstance(known, Trace) or _contents(known) != _read(name for name, _ in _contents(known)):
        return None
    world, recipe = workspace.world(request, progress.step), workspace.recipe
    outputs = cast("Mapping[str, Any]", known.outputs)
    definition = outputs["definition"]
    try:
        base = _pinned(outputs, world, recipe.prefix)
        asked = environment_inputs(definition, base, world, recipe)
        found = recall(asked, base, world)
        if found is None:
            return None
        delivered = deliver(found, request.destination, workspace, progress)
    except (DefinitionError, IntegrityError, RegistryError):
        return None
    built = Built(found, delivered, time.perf_counter() - start)
    note(asked, built, request, outputs["identity"], workspace.local)
    return built, tuple(outputs["warnings"])


def _pinned(outputs: Mapping[str, Any], world: World, prefix: str) -> PinnedBase:
    """What `pin_base` gives for the definition."""
    definition, context = outputs["definition"], outputs["context"]
    if context:
        from ..builders.docker_pin import pin_build
        from ..config.definition import BuildContext

        return pin_build(BuildContext(Path(context), definition["dockerfile_path"]), world)
    if definition["conda"]:
        return pin(definition["image"], world, prefix)
    return pin_plain(definition["image"], world)


def remember_file(environment: Environment, image: str | None, workspace: Workspace) -> None:
    """Record what the file declared, if an image can be recalled by it."""
    from ..config.canonical import definition_inputs

    if environment.source is None:
        return
    build = environment.definition.build
    inputs = _inputs(environment.source, image)
    outputs: dict[str, Json] = {
        "definition": definition_inputs(environment.definition),
        "context": str(build.path.absolute()) if build else None,
        "files": _read(str(path.absolute()) for path in environment.files),
        "identity": identity(environment),
        "warnings": environment.warnings,
    }
    with contextlib.suppress(StoreError):  # a store that only reads may serve hits; they take longer
        workspace.local.record(Trace(key_of_inputs(inputs), inputs, outputs))


def _inputs(path: Path, image: str | None) -> Mapping[str, Json]:
    return key_inputs(FILE, {"file": str(path.absolute()), "image": image})


def _contents(known: Trace) -> list[list[str]]:
    return [list(map(str, pair)) for pair in cast("list[list[str]]", known.outputs["files"])]


def _read(names: Iterable[str]) -> list[list[str]]:
    """Each file with the xxh3 of its content, "" for one that cannot be read."""
    return [[name, _content(name)] for name in names]


def _content(name: str) -> str:
    try:
        with open(name, "rb") as stream:  # noqa: PTH123  (a name, and pathlib's open is slower)
            return xxhash.xxh3_128_hexdigest(stream.read())
    except OSError:
        return ""
