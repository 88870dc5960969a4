"""A file that did not change is not parsed again; one that did, or whose includes did, is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from building import PREBAKE
from prebake.flows.progress import Silent
from prebake.flows.shortcut import recall_file
from prebake.flows.wiring import Request, open_workspace

if TYPE_CHECKING:
    from conftest import SampleWorld

FILES = {
    "env.yml": "image: {base}\nconda_file: conda.yml\nno_such_key: 1\n",
    "conda.yml": "channels: [conda-forge]\ndependencies: [python=3.11, {{pip: [-r more.txt]}}]\n",
    "more.txt": "# nothing yet\n",
}


@dataclass(frozen=True)
class Desk:
    folder: Path
    variables: dict[str, str]

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        """In a process of its own, which tells what it imports."""
        command = [sys.executable, "-X", "importtime", PREBAKE, "build", *options, "env.yml"]
        environ = os.environ | self.variables
        return subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )

    def recall(self, image: str | None = None) -> tuple[str, ...] | None:
        """The file's warnings, if its image is recalled."""
        workspace = open_workspace(self.variables, self.folder)
        found = recall_file(self.folder / "env.yml", image, Request(), workspace, Silent())
        return found[1] if found else None


@pytest.fixture
def desk(world: SampleWorld, tmp_path: Path) -> Desk:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.format(base=world.base))
    made = Desk(tmp_path, world.environ(tmp_path / "store"))
    assert made.recall() is None
    first = made.build()
    assert first.returncode == 0, first.stderr
    return made


def test_an_unchanged_file_is_not_parsed(desk: Desk) -> None:
    again = desk.build()
    assert again.returncode == 0
    assert "0 built" in again.stdout
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "prebake.flows.shortcut" in imported
    assert imported.isdisjoint({"yaml", "sqlite3", "sqlalchemy", "prefect", "boto3", "docker", "rattler"})


def test_its_warnings_are_told_again(desk: Desk) -> None:
    warnings = desk.recall()
    assert warnings
    assert any("no_such_key" in warning for warning in warnings)
    assert warnings[0] in desk.build().stderr


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_read_again(desk: Desk, name: str) -> None:
    with (desk.folder / name).open("a") as file:
        file.write("tabulate\n" if name == "more.txt" else "# a comment\n")
    assert desk.recall() is None
    built = desk.build()
    assert ("0 built" in built.stdout) == (name != "more.txt")
    assert desk.recall() is not None


def test_a_file_that_is_gone_is_missed(desk: Desk) -> None:
    (desk.folder / "more.txt").unlink()
    assert desk.recall() is None
    refused = desk.build()
    assert refused.returncode == 2, refused.stderr
    assert "more.txt" in refused.stderr


def test_another_image_or_policy_is_asked_for_anew(desk: Desk, world: SampleWorld) -> None:
    assert desk.recall(f"{world.registry}/debian:12-patched") is None
    assert desk.build("--refresh").returncode == 0
    imported = desk.build("--refresh").stderr
    assert "prebake.builders.conda_solve" in imported
