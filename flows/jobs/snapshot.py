"""The code of a job as it was at submission: a copy, so that later edits reach no job that was submitted.

What `.amlignore` or else `.gitignore` names at the folder's root stays out, as in Azure ML, and so do `.git`
and the local store.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DefinitionError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathspec import GitIgnoreSpec

OUTPUTS = "outputs"


def take(folder: Path, copy: Path, without: Path) -> None:
    """Copy the code of `folder` into the folder `copy`; `without` stays out.

    Raises DefinitionError when there is no such folder, StoreError.
    """
    if not folder.is_dir():
        facts: dict[str, object] = {"folder": folder}
        raise DefinitionError("the code folder does not exist", facts=facts, hint="correct its path")
    try:
        for path in _files(folder, without.resolve()):
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=path.is_file() and not _inner_link(path, folder))
    except OSError as error:
        raise _no_copy(folder, error) from error


def include(path: Path, copy: Path, without: Path) -> None:
    """Put a file or folder beside the code, under its own name. Raises StoreError."""
    if path.is_dir():
        take(path, copy / path.name, without)
        return
    try:
        shutil.copy2(path, copy / path.name)
    except OSError as error:
        raise _no_copy(path, error) from error


def link_outputs(copy: Path) -> None:
    """Let what the command writes to `./outputs` be kept with the job's outputs, as in Azure ML."""
    if not os.path.lexists(copy / OUTPUTS):
        (copy / OUTPUTS).symlink_to(Path("..", OUTPUTS))


def _no_copy(path: Path, error: OSError) -> StoreError:
    facts = {"path": path, "reason": error}
    return StoreError("the code cannot be copied", facts=facts, hint="check names, permissions and space")


def _files(folder: Path, without: Path) -> Iterator[Path]:
    ignored = _ignored(folder)
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [
            name for name in folders if _kept(here / name, folder, ignored, "/") and here / name != without
        ]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted(files + links):
            path = here / name
            if _kept(path, folder, ignored) and (path.is_file() or path.is_symlink()):
                yield path


def _ignored(folder: Path) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    named = next((folder / name for name in (".amlignore", ".gitignore") if (folder / name).is_file()), None)
    return GitIgnoreSpec.from_lines([".git/", *(named.read_text().splitlines() if named else ())])


def _kept(path: Path, folder: Path, ignored: GitIgnoreSpec, end: str = "") -> bool:
    return not ignored.match_file(f"{path.relative_to(folder)}{end}")


def _inner_link(path: Path, folder: Path) -> bool:
    """Whether it is a link that means the same in the copy; what others point to is copied."""
    inner = path.is_symlink() and not path.readlink().is_absolute()
    return inner and path.resolve().is_relative_to(folder.resolve())
