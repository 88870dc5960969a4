"""`prebake env` through the real command, in the tiny world, by a user who has a name."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from conftest import SampleWorld
from named import Prebake, Write
from tiny import SETTINGS
from world.postgres import postgres

PREBAKE = Path(sys.executable).with_name("prebake")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def prebake(tiny: SampleWorld, tmp_path: Path) -> Prebake:
    return functools.partial(_command, tiny, tmp_path)


def _command(tiny: SampleWorld, folder: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LOGNAME": "ada"}
    return subprocess.run(
        [PREBAKE, *arguments],
        cwd=folder,
        env=own | tiny.environ(folder / "store") | SETTINGS | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def write(tiny: SampleWorld, tmp_path: Path) -> Write:
    """`write("part-a", "part-b", COLOUR="red")` makes `env.yml` of those packages."""

    def made(*parts: str, **variables: str) -> Path:
        dependencies = ", ".join(["python=3.11", *parts])
        text = (
            f"image: {tiny.base}\nconda_file: {{channels: [conda-forge], dependencies: [{dependencies}]}}\n"
        )
        given = "".join(f"  {name}: '{value}'\n" for name, value in variables.items())
        path = tmp_path / "env.yml"
        path.write_text(text + (f"environment_variables:\n{given}" if given else ""))
        return path

    return made
