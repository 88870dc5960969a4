"""An environment as a folder: files that a person edits, that travel together and load again.

    environment.yml     as Azure ML's CLI reads it
    conda.yml           its packages, if it has any; constraints.txt beside it, if those have any
    context/            a copy of its build context, if it has one

`load` of the folder gives the same definition again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from .catalog.form import to_json
from .load import FOLDER_FILE
from .pip_line import option

if TYPE_CHECKING:
    from .definition import CondaSpec, Environment

_CONDA, _CONSTRAINTS, _CONTEXT = "conda.yml", "constraints.txt", "context"


def save(environment: Environment, folder: Path) -> None:
    """Write the environment to `folder`, which must not be there or be empty; whole or not at all.

    Raises DefinitionError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "name a folder that is not there yet"
        raise DefinitionError("there is something already", facts={"folder": folder}, hint=hint)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".save-") as scratch:
            draft = Path(scratch, "draft")
            draft.mkdir()
            _write(environment, draft)
            draft.rename(folder)
    except OSError as error:
        facts: dict[str, object] = {"folder": folder, "reason": error.strerror or error}
        hint = "choose a folder that this user may write to"
        raise DefinitionError("the environment cannot be saved", facts=facts, hint=hint) from error


def _write(environment: Environment, folder: Path) -> None:
    definition = environment.definition
    identity = {
        "name": environment.name,
        "version": environment.version,
        "description": environment.description,
        "tags": dict(environment.tags) or None,
    }
    given: dict[str, Any] = {key: value for key, value in identity.items() if value is not None}
    given |= to_json(definition)
    if definition.conda:
        given["conda_file"] = _CONDA
        _write_conda(definition.conda, folder)
    if definition.build:
        given["build"]["path"] = _CONTEXT
        shutil.copytree(definition.build.path, folder / _CONTEXT, symlinks=True)
    _dump(given, folder / FOLDER_FILE)


def _write_conda(spec: CondaSpec, folder: Path) -> None:
    """Constraints go to a file of their own, named where the first stood: a pip list holds none itself."""
    named = [(line, *(option(line) or ("", ""))) for line in spec.pip]
    constraints = [value for _, name, value in named if name == "--constraint"]
    pip = [line for line, name, _ in named if name != "--constraint"]
    if constraints:
        first = next(at for at, (_, name, _) in enumerate(named) if name == "--constraint")
        pip.insert(first, f"-c {_CONSTRAINTS}")
        (folder / _CONSTRAINTS).write_text("".join(f"{line}\n" for line in constraints))
    given = {
        "channels": list(spec.channels),
        "dependencies": [*spec.specs, *([{"pip": pip}] if pip else [])],
        "variables": dict(spec.variables),
    }
    _dump({key: value for key, value in given.items() if value}, folder / _CONDA)


def _dump(value: object, path: Path) -> None:
    import yaml

    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000))
