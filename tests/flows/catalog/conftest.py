"""`prebake env` in the tiny world, by a user who has a name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from conftest import SampleWorld
from named import Prebake, Write
from prebake.cli import main
from tiny import SETTINGS
from world.postgres import postgres

PREBAKE = Path(sys.executable).with_name("prebake")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def command(tiny: SampleWorld, tmp_path: Path) -> Prebake:
    """The command as a process of its own."""

    def run(*arguments: str, **variables: str) -> CompletedProcess[str]:
        return subprocess.run(
            [PREBAKE, *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]} | _environ(tiny, tmp_path) | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def prebake(
    tiny: SampleWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Prebake:
    """The same in this process, which spares half a second of imports."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in (_environ(tiny, tmp_path) | variables).items():
                patched.setenv(name, value)
            try:
                code = main(arguments)
            except SystemExit as end:  # argparse's
                code = int(end.code or 0)
        said = capsys.readouterr()
        return CompletedProcess(arguments, code, said.out, said.err)

    return run


def _environ(tiny: SampleWorld, folder: Path) -> dict[str, str]:
    return {"HOME": str(folder / "home"), "LOGNAME": "ada"} | tiny.environ(folder / "store") | SETTINGS


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
