"""Read a definition: environment YAML, job YAML with an environment in it, a conda or a requirements file.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     _ = (path := Path(folder, "requirements.txt")).write_text("numpy>=2  # arrays")
...     load(path, image="ubuntu:24.04").definition.conda
CondaSpec(channels=('conda-forge',), specs=('python',), pip=('numpy>=2',), variables=())
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .conda_file import conda_file, requirements_file
from .environment_file import bare_environment, environment, inline_environment
from .places import reading
from .yaml_nodes import parse

if TYPE_CHECKING:
    from pathlib import Path

    from .definition import Environment

_OWN_KEYS = {"image", "build", "conda_file"}


def load(path: Path, *, image: str | None = None) -> Environment:
    """The environment a file declares, on base `image` if that is given, whatever the file names."""
    with reading() as files:
        found = _load(path, image)
    return replace(found, files=tuple(files))


def _load(path: Path, image: str | None) -> Environment:
    if path.suffix.lower() in {".txt", ".in"}:
        return bare_environment(path, requirements_file(path), image)
    document = parse(path)
    keys = document.fields().keys()
    if keys & _OWN_KEYS:
        return environment(document, image)
    if "environment" in keys:
        return inline_environment(document, image)
    if "dependencies" in keys:
        return bare_environment(path, conda_file(document), image)
    return environment(document, image)
