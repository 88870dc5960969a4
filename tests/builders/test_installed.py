"""What is installed, told as a definition that solves to the same packages again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import prebake
from conftest import SampleWorld
from prebake.builders.local import ensure_prefix
from prebake.errors import DefinitionError


def test_a_conda_environment_comes_back(bench: Any) -> None:
    lock = bench.lock("python=3.11", "small-demo", "generic-demo", pip=("tabulate", "tqdm"))
    environment = prebake.from_conda_prefix("debian:12", ensure_prefix(lock, bench.world))
    conda = environment.definition.conda
    assert conda
    assert conda.channels == ("conda-forge",)
    assert {spec.partition("=")[0] for spec in conda.specs} == {package.name for package in lock.conda}
    assert set(conda.pip) == {f"{wheel.name}=={wheel.version}" for wheel in lock.pip}
    assert environment.warnings == ()
    again = bench.lock(*conda.specs, pip=conda.pip)
    assert [package.sha256 for package in again.conda] == [package.sha256 for package in lock.conda]
    assert [wheel.sha256 for wheel in again.pip] == [wheel.sha256 for wheel in lock.pip]


def test_a_venv_comes_back(world: SampleWorld, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    wheels = world.root / "index"
    local = next(wheels.rglob("six-*.whl"))
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "-q", "--python", folder / "bin/python"]
    subprocess.run([*uv, "--index-url", world.index_url, "tabulate", "click", local], check=True)
    environment = prebake.from_venv("debian:12", folder)
    conda = environment.definition.conda
    assert conda
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (conda.channels, conda.specs) == ((), (f"python={minor}",))
    assert [line.partition("==")[0] for line in conda.pip] == ["click", "tabulate"]
    (warning,) = environment.warnings
    assert warning.startswith("six was installed from file:")


def test_this_python_is_the_current_one() -> None:
    conda = prebake.from_venv("debian:12").definition.conda
    assert conda
    assert "pytest" in {line.partition("==")[0] for line in conda.pip}
    assert not {"pip", "setuptools"} & {line.partition("==")[0] for line in conda.pip}


def test_a_commit_and_an_archive_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("version = 3.11.2\n")
    for name, origin in (
        ("one", '{"url": "https://host/one", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'),
        ("two", '{"url": "https://host/two-2.0.whl", "archive_info": {}}'),
    ):
        folder = tmp_path / f"lib/python3.11/site-packages/{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "direct_url.json").write_text(origin)
    conda = prebake.from_venv("debian:12", tmp_path).definition.conda
    assert conda
    assert conda.pip == ("one @ git+https://host/one@abc", "two @ https://host/two-2.0.whl")


@pytest.mark.parametrize("make", [prebake.from_conda_prefix, prebake.from_venv])
def test_a_folder_that_is_neither_is_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        make("debian:12", tmp_path)
    assert (caught.value.facts, caught.value.hint) == (
        {"folder": str(tmp_path)},
        "activate it, or name its folder",
    )


def test_records_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta/numpy.json").write_text("{")
    with pytest.raises(DefinitionError, match=r"numpy\.json"):
        prebake.from_conda_prefix("debian:12", tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    with pytest.raises(DefinitionError, match=r"python's version"):
        prebake.from_venv("debian:12", tmp_path)
