"""Small sets of curated environments in the sample world: `minimal` packages, real containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.cache.reference import Reference
from prebake.cache.registry import Repository
from prebake.flows.curated.definitions import find
from prebake.flows.curated.prebuild import prebuild
from prebake.flows.curated.results import Prebuilt
from prebake.flows.progress import Silent
from prebake.flows.wiring import Workspace, open_workspace

if TYPE_CHECKING:
    from conftest import SampleWorld

GOOD = "import sys\nassert sys.version_info[:2] == (3, 11)\nprint('fine')\n"
_numbers = count()


@dataclass(frozen=True)
class Desk:
    """A set of definitions, a machine, and where its images go."""

    folder: Path
    environ: dict[str, str]
    place: str

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.environ, self.folder)

    def define(self, name: str, *pip: str, smoke: str = GOOD, note: str = "") -> None:
        folder = self.folder / "set" / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"description: The {name}.",
            r"image: docker.io/library/debian:{{latest-image-tag:12(\.\d+)?}}",
            "conda_file:",
            "  channels: [conda-forge]",
            f"  dependencies: [python=3.11, {{pip: [{', '.join(pip)}]}}]",
            f"environment_variables: {{NOTE: '{note}'}}",
        ]
        (folder / "environment.yml").write_text("\n".join(lines) + "\n")
        (folder / "smoke.py").write_text(smoke)

    def prebuild(self, *names: str, policy: str = "always") -> Prebuilt:
        workspace = self.workspace
        return prebuild(find(names, workspace.settings.curated_set), policy, workspace, Silent())

    def repository(self, name: str) -> Repository:
        return Repository.of(self.workspace.transport, Reference.parse(f"{self.place}/{name}"))

    def with_settings(self, **settings: str) -> Desk:
        return replace(self, environ=self.environ | settings)


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers are built once for all tests; what each publishes goes to a place of its own."""
    return tmp_path_factory.mktemp("curated") / "store"


@pytest.fixture
def desk(world: SampleWorld, shared_store: Path, tmp_path: Path) -> Desk:
    return make_desk(world, shared_store, tmp_path)


@pytest.fixture(scope="session")
def new_desk(world: SampleWorld, shared_store: Path) -> Callable[[Path], Desk]:
    return lambda folder: make_desk(world, shared_store, folder)


def make_desk(world: SampleWorld, store: Path, folder: Path) -> Desk:
    place = f"{world.registry}/curated-{next(_numbers)}"
    environ = world.environ(store)
    environ["PREBAKE_IMAGE_MIRRORS"] = f"docker.io/library={world.registry}"
    environ |= {"PREBAKE_CURATED": place, "PREBAKE_CURATED_SET": str(folder / "set")}
    return Desk(folder, environ | {"DOCKER_HOST": world.docker}, place)
