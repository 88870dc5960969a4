"""Environments as folders, and environments made of what is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import prebake
from prebake.config.definition import BuildContext, Definition
from prebake.errors import DefinitionError

from .test_corpus import definitions, read

Write = Callable[..., Path]


def test_every_real_definition_survives_a_folder(environments: Path, tmp_path: Path) -> None:
    for number, (name, path) in enumerate(definitions(environments).items()):
        environment = read(name, path)
        if isinstance(environment, DefinitionError):
            continue
        prebake.save(environment, tmp_path / str(number))
        again = prebake.load(tmp_path / str(number))
        expected = environment.definition
        if expected.build:
            expected = replace(
                expected, build=replace(expected.build, path=tmp_path / str(number) / "context")
            )
        assert again.definition == expected, name
        assert (again.name, again.version, again.description, again.tags) == (
            environment.name,
            environment.version,
            environment.description,
            environment.tags,
        )


def test_constraints_move_to_a_file(write: Write, tmp_path: Path) -> None:
    text = (
        "dependencies: [python=3.11, pip: ['-i https://host/simple', numpy, -c one.txt, scipy, -c two.txt]]"
    )
    path = write({"conda.yml": text, "one.txt": "numpy<3\nscipy<2", "two.txt": "pandas<4"})
    environment = prebake.from_conda_file(path, "debian:12")
    prebake.save(environment, tmp_path / "saved")
    assert (tmp_path / "saved/constraints.txt").read_text() == "numpy<3\nscipy<2\npandas<4\n"
    conda = prebake.load(tmp_path / "saved").definition.conda
    assert conda
    options = ("-i https://host/simple",)
    assert conda.pip == (*options, "numpy", "-c numpy<3", "-c scipy<2", "-c pandas<4", "scipy")


def test_a_context_travels_with_the_folder(write: Write, tmp_path: Path) -> None:
    dockerfile = write({"context/docker/Dockerfile": "FROM debian:12\n", "context/app.py": "print()\n"})
    environment = prebake.from_dockerfile(dockerfile, tmp_path / "context")
    assert environment.definition == Definition(build=BuildContext(tmp_path / "context", "docker/Dockerfile"))
    prebake.save(environment, tmp_path / "deep/saved")
    (tmp_path / "context").rename(tmp_path / "gone")
    build = prebake.load(tmp_path / "deep/saved").definition.build
    assert build == BuildContext(tmp_path / "deep/saved/context", "docker/Dockerfile")
    assert (build.path / "app.py").read_text() == "print()\n"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(DefinitionError) as caught:
            prebake.save(prebake.from_image("debian:12"), folder)
        hint = "name a folder that is not there yet"
        assert str(caught.value) == f"error: there is something already\n  folder  {folder}\nhint: {hint}"
    with pytest.raises(DefinitionError, match="cannot be saved"):
        prebake.save(prebake.from_image("debian:12"), tmp_path / "mine/below")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_fails_half_way_leaves_nothing(write: Write, tmp_path: Path) -> None:
    dockerfile = write({"context/Dockerfile": "FROM debian:12\n"})
    environment = prebake.from_dockerfile(dockerfile)
    dockerfile.unlink()
    dockerfile.parent.rmdir()
    with pytest.raises(DefinitionError, match="cannot be saved"):
        prebake.save(environment, tmp_path / "saved")
    assert [*tmp_path.iterdir()] == []


def test_packages_of_a_requirements_file(write: Write) -> None:
    environment = prebake.from_requirements(write({"requirements.txt": "numpy>=2\n"}), "debian:12")
    assert environment.definition.conda
    assert environment.definition.conda.pip == ("numpy>=2",)


def test_an_image_that_is_none_is_refused() -> None:
    with pytest.raises(DefinitionError) as caught:
        prebake.from_image("Debian:12")
    assert str(caught.value) == (
        "error: `image` is no image reference\n"
        "  found    Debian:12\n"
        "  allowed  registry/repository[:tag][@sha256:digest]\n"
        "hint: repositories are lower case"
    )


def test_a_dockerfile_that_is_not_in_its_context_is_refused(write: Write, tmp_path: Path) -> None:
    dockerfile = write({"a/Dockerfile": "FROM debian:12\n", "b/app.py": ""})
    with pytest.raises(DefinitionError, match="outside of its context"):
        prebake.from_dockerfile(dockerfile, tmp_path / "b")
    with pytest.raises(DefinitionError, match="does not exist"):
        prebake.from_dockerfile(tmp_path / "a/Dockerfil")


def test_naming_environments_imports_little() -> None:
    heavy = ("sqlalchemy", "alembic", "yaml")
    code = f"import sys, prebake; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
