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
from pathlib import Path

from ..errors import DefinitionError
from .conda_file import conda_file, requirements_file
from .definition import BuildContext, Definition, Environment
from .environment_file import bare_environment, checked_image, environment, inline_environment
from .places import Line, Place, missing, reading, refusal
from .yaml_nodes import parse

FOLDER_FILE = "environment.yml"
_OWN_KEYS = {"image", "build", "conda_file"}


def load(path: Path, *, image: str | None = None) -> Environment:
    """The environment a file or saved folder declares, on base `image` if given, whatever the file names."""
    if (path / FOLDER_FILE).is_file():
        path = path / FOLDER_FILE
    with reading() as files:
        found = _load(path, image)
    return replace(found, files=tuple(files))


def from_image(image: str) -> Environment:
    """An image as it is. Raises DefinitionError."""
    try:
        return Environment(Definition(image=checked_image(Line(image, Place(Path())), "image")))
    except DefinitionError as error:
        facts = {label: fact for label, fact in error.facts.items() if label != "file"}
        raise DefinitionError(error.sentence, facts=facts, hint=error.hint) from None


def from_dockerfile(dockerfile: Path, context: Path | None = None) -> Environment:
    """A Dockerfile and the folder it is built in, its own unless given. Raises DefinitionError."""
    folder = dockerfile.parent if context is None else context
    if not dockerfile.is_file():
        raise missing(dockerfile, Place(dockerfile))
    if not dockerfile.resolve().is_relative_to(folder.resolve()):
        raise refusal(
            "the Dockerfile lies outside of its context",
            Place(dockerfile),
            found=str(folder),
            allowed="a folder around the Dockerfile",
            hint="move it there",
        )
    inner = dockerfile.resolve().relative_to(folder.resolve())
    return Environment(Definition(build=BuildContext(folder, str(inner))))


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
