"""Every real environment with a Dockerfile: parsed, pinned, and built where the sample world has a base."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import prebake
from prebake.builders.docker_pin import pin_build
from prebake.builders.dockerfile import parse, platform_arguments
from prebake.cache.oci import Platform
from prebake.config.definition import BuildContext
from prebake.errors import DefinitionError
from prebake.flows.wiring import Request, Workspace, open_workspace
from world.tools import run

if TYPE_CHECKING:
    from conftest import SampleWorld

PYTHON = "07-example-docker-context/docker-contexts/python-and-pip"
# The images that each takes from outside, its template's tags put in.
TAKEN = {
    "01-curated-sklearn-1.5/context": ["mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:TAG"],
    "02-curated-acpt-pytorch-2.8-cuda12.6/context": [
        "mcr.microsoft.com/aifx/acpt/stable-ubuntu2204-cu126-py310-torch280:TAG",
        "mcr.microsoft.com/azureml/o16n-base/python-assets:20230419.v1",
    ],
    "04-curated-minimal-py311-inference/context": ["mcr.microsoft.com/azureml/inference-base-2204:TAG"],
    "05-curated-data-labeling-sam/context": ["mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:TAG"],
    PYTHON: ["python:3.8"],
    "12-example-byoc-inference-config": ["mcr.microsoft.com/azureml/minimal-py312-inference:latest"],
    "15-example-nccltests-context": ["nvcr.io/nvidia/pytorch:22.02-py3"],
}
NAMES = {"12-example-byoc-inference-config": "minimal-single-model-conda-in-dockerfile.dockerfile"}
ARGUMENTS = platform_arguments(Platform())


def dockerfile(folder: Path) -> Path:
    return folder / NAMES.get(folder.name, "Dockerfile")


@pytest.fixture(scope="module")
def workspace(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One whose registry stands in for all others, with a tiny image for all but `python:3.8`."""
    store = tmp_path_factory.mktemp("dockerfiles") / "store"
    mirrors = {name: f"{world.registry}/{name}" for name in ("docker.io", "mcr.microsoft.com", "nvcr.io")}
    settings = {
        "PREBAKE_IMAGE_MIRRORS": " ".join(f"{name}={place}" for name, place in mirrors.items()),
        "PREBAKE_DOCKER_NETWORK": "host",
        "DOCKER_HOST": world.docker,
    }
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    for image in {image for images in TAKEN.values() for image in images} - {"python:3.8"}:
        target = f"docker://{world.registry}/{image}"
        source = f"docker://{world.registry}/alpine-like:musl"
        run("skopeo", "--insecure-policy", "copy", "-q", *plain, source, target)
    return open_workspace(world.environ(store) | settings, store.parent)


def test_none_is_left_out(environments: Path) -> None:
    found = {path.parent for path in environments.rglob("*") if path.name.lower().endswith("dockerfile")}
    assert {str(folder.relative_to(environments)) for folder in found} == TAKEN.keys()


@pytest.mark.parametrize("name", TAKEN)
def test_parsed_and_pinned(name: str, environments: Path, workspace: Workspace, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(environments / name, tmp_path / "context"))
    path = folder / dockerfile(environments / name).name
    text = path.read_text()
    if "{{" in text:
        with pytest.raises(DefinitionError, match="template") as caught:
            parse(path, text, ARGUMENTS)
        assert caught.value.facts["line"] == "1"
        path.write_text(re.sub(r"\{\{.*?\}\}", "TAG", text))
    if name == PYTHON:
        path.write_text(path.read_text().replace("python:3.8", TAKEN["15-example-nccltests-context"][0]))
    world = workspace.world(Request(), print)
    build = pin_build(BuildContext(folder, path.name), world).build
    assert build
    expected = TAKEN["15-example-nccltests-context"] if name == PYTHON else TAKEN[name]
    assert [image.name for image in build.dockerfile.images] == expected
    for image in build.dockerfile.images:
        assert f"{str(build.images[image.name]).partition('@')[0]}@sha256:" in str(build.inputs["dockerfile"])


def test_python_and_pip_is_built(
    environments: Path, workspace: Workspace, world: SampleWorld, tmp_path: Path
) -> None:
    """Its Dockerfile as it is; a python of today stands in for 3.8, so its packages are others, too."""
    stand_in = tmp_path / "python.yml"
    stand_in.write_text(
        f"image: {world.base}\nconda_file: {{channels: [conda-forge], dependencies: [python=3.11, pip]}}\n"
        f"environment_variables: {{PIP_INDEX_URL: '{world.index_url}', PIP_ROOT_USER_ACTION: ignore}}\n"
    )
    place = f"{world.registry}/docker.io/library/python:3.8"
    prebake.ensure(prebake.load(stand_in), to=place, workspace=workspace)
    shutil.copytree(environments / "07-example-docker-context", tmp_path / "env")
    (tmp_path / "env/docker-contexts/python-and-pip/requirements.txt").write_text("tabulate\nsix\n")
    environment = prebake.load(tmp_path / "env/docker-context.yml")
    built = prebake.ensure(environment, workspace=workspace)
    assert [layer.outcome for layer in built.image.layers] == ["built"] * 2
    again = prebake.ensure(environment, workspace=workspace)
    assert [layer.outcome for layer in again.image.layers] == ["hit-local"] * 2
    assert again.reference == built.reference
    command = ("python", "-c", "import tabulate, six; print('here')")
    assert _run(environment, command, workspace) == 0


def _run(environment: Any, command: tuple[str, ...], workspace: Workspace) -> int:
    from prebake.flows.progress import Silent
    from prebake.flows.run import Command, prepare

    return prepare(environment, Request(), Command(command, network="host"), workspace, Silent())()
