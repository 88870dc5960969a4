"""The text of every refusal: PREBAKE_UPDATE_GOLDEN=1 writes them anew, to be read before committing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.config.load import load
from prebake.errors import DefinitionError

from .conftest import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[dict[str, str | bytes]], Path]

GOLDEN = Path(__file__).parents[1] / "golden/definition"
BASE = "ubuntu:24.04"


def env(text: str | bytes, **others: str) -> dict[str, str | bytes]:
    return {"env.yml": text, **{name.replace("_", "."): content for name, content in others.items()}}


def deps(*entries: str) -> dict[str, str | bytes]:
    listed = "".join(f"  - {entry}\n" for entry in entries)
    return {"conda.yml": f"channels: [conda-forge]\ndependencies:\n  - python\n{listed}"}


def reqs(text: str, **others: str) -> dict[str, str | bytes]:
    return {"requirements.txt": text, **{name.replace("_", "."): content for name, content in others.items()}}


CASES: dict[str, dict[str, str | bytes]] = {
    "both-image-and-build": env("image: a\nbuild: {path: .}\n"),
    "neither-image-nor-build": env("name: x\n"),
    "asset-manifest": env("name: x\ntype: environment\nspec: spec.yaml\nextra_config: environment.yaml\n"),
    "assets-build-spec": env("image:\n  name: x\n  context: {dir: context}\n"),
    "pipeline-job": env("type: pipeline\njobs: {a: {environment: {image: a}}}\n"),
    "python-env-of-mlflow": env(
        "python: 3.12\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n"
    ),
    "environment-by-name": env("command: x\nenvironment: azureml:x@latest\n"),
    "conda-file-with-build": env("build: {path: .}\nconda_file: c.yml\n"),
    "dependencies-misplaced": env("image: a\ndependencies: [numpy]\n"),
    "conda-file-missing": env("image: a\nconda_file: conda.yaml\n", conda_yml="dependencies: []\n"),
    "conda-folder-missing": env("image: a\nconda_file: sub/conda.yaml\n"),
    "conda-file-is-a-list": env("image: a\nconda_file: [numpy]\n"),
    "conda-without-dependencies": env("image: a\nconda_file: {channels: [c]}\n"),
    "context-missing": env("build: {path: contxt}\n", **{"context/Dockerfile": "FROM a\n"}),
    "context-is-a-url": env("build: {path: https://github.com/x/y.git}\n"),
    "dockerfile-missing": env("build: {path: ctx}\n", **{"ctx/dockerfile": "FROM a\n"}),
    "dockerfile-from-outside": env(
        "build: {path: ctx, dockerfile_path: ctx/Dockerfile}\n", **{"ctx/Dockerfile": "FROM a\n"}
    ),
    "build-without-path": env("build: {dockerfile_path: Dockerfile}\n"),
    "windows": env("image: a\nos_type: windows\n"),
    "image-is-a-number": env("image: 5\n"),
    "image-with-scheme": env("image: azureml://registries/azureml/environments/x\n"),
    "image-is-empty": env("image: ''\n"),
    "conda-file-is-empty": env("image: a\nconda_file: conda.yml\n", conda_yml=""),
    "conda-file-with-nul": env('image: a\nconda_file: "a\\0b"\n'),
    "two-documents": env("image: a\n---\nimage: b\n"),
    "key-is-a-list": env("? [a]\n: b\nimage: a\n"),
    "image-in-upper-case": env("image: Python:3.12\n"),
    "tags-are-a-list": env("image: a\ntags: [x]\n"),
    "port-out-of-range": env(
        "image: a\ninference_config:\n  liveness_route: {path: /, port: 70000}\n"
        "  readiness_route: {path: /, port: 1}\n  scoring_route: {path: /, port: 1}\n"
    ),
    "route-missing": env("image: a\ninference_config:\n  liveness_route: {path: /, port: 1}\n"),
    "spark-with-build": env("build: {path: .}\nspark: {packages: ['g:a:1']}\n"),
    "spark-without-version": env("image: a\nspark:\n  packages:\n    - {group: g, artifact: a}\n"),
    "spark-range": env("image: a\nspark:\n  packages: ['g:a:[1,2)']\n"),
    "spark-no-coordinate": env("image: a\nspark:\n  packages: [synapseml]\n"),
    "spark-two-versions": env("image: a\nspark:\n  packages:\n    - g:a:1\n    - g:a:2\n"),
    "spark-repository-with-password": env(
        "image: a\nspark:\n  repositories: ['https://me:hunter2@host/maven']\n  packages: ['g:a:1']\n"
    ),
    "spark-repository-is-no-url": env("image: a\nspark: {repositories: [central], packages: ['g:a:1']}\n"),
    "spark-precache-is-text": env("image: a\nspark: {packages: ['g:a:1'], precachePackages: maybe}\n"),
    "variable-name": env("image: a\nenvironment_variables:\n  1x: y\n"),
    "duplicate-key": env("image: a\nname: x\nimage: b\n"),
    "empty": env("# nothing\n"),
    "list-at-top": env("- numpy\n"),
    "not-yaml": env("image: a\n  conda_file: b: c\n"),
    "not-utf8": env(b"image: a\nname: caf\xe9\n"),
    "control-character": env("image: a\x07\n"),
    "template-in-value": env("name: x\nimage: '{{image}}'\n"),
    "template-in-job": env("environment:\n  image: ${{parent.inputs.image}}\n"),
    "template-unquoted": env("name: x\nimage: {{image}}\n"),
    "template-breaks-yaml": env("name: x\nimage: {{ACR_NAME}}.azurecr.io/x:1\n"),
    "template-statement": env("image: a\n{% if gpu %}\nname: x\n{% endif %}\n"),
    "template-in-requirements": reqs("numpy\nazureml-core=={{latest-pypi-version}}\n"),
    "no-base-image": {"conda.yaml": "channels: [c]\ndependencies: [python]\n"},
    "no-base-image-for-requirements": reqs("numpy\n"),
    "spec-arrow": deps("pandas=>=1.0.0"),
    "spec-swapped": deps("pandas=<2"),
    "spec-for-pip": deps("-r requirements.txt"),
    "spec-extras": deps("uvicorn[standard]==0.30"),
    "spec-git": deps("git+https://github.com/x/y"),
    "spec-is-a-mapping": deps("numpy: 1.26"),
    "spec-is-a-number": deps("3.12"),
    "pip-is-text": deps("pip: numpy"),
    "channels-are-text": {"conda.yml": "channels: conda-forge\ndependencies: [python]\n"},
    "channel-with-password": {
        "conda.yml": "channels: ['https://me:hunter2@host/c']\ndependencies: [python]\n"
    },
    "channel-with-token": {"conda.yml": "channels: ['https://host/t/hunter2/c']\ndependencies: [python]\n"},
    "channel-with-both": {
        "conda.yml": "channels: ['https://me:hunter2@host/t/hunter2/c']\ndependencies: [python]\n"
    },
    "index-with-password": reqs("--index-url https://me:hunter2@host/simple\n"),
    "index-with-token": reqs("x\n--extra-index-url=https://hunter2@host/simple\n"),
    "wheel-with-signature": reqs("x @ https://a.blob.core.windows.net/x.whl?sv=1&sig=hunter2\n"),
    "variable-with-password": env(
        "image: a\nenvironment_variables:\n  DB: postgresql://me:hunter2@host/db\n"
    ),
    "requirement-arrow": reqs("pandas=>1.0\n"),
    "requirement-single-equals": reqs("numpy\npandas=1.5\n"),
    "requirement-words": reqs("pip install numpy\n"),
    "requirement-unquoted-marker": reqs("x; python_version < 3.8\n"),
    "option-unknown": reqs("--extra-index https://host/simple\n"),
    "option-without-value": reqs("--index-url\n"),
    "include-missing": reqs("numpy\n-r reqs.txt\n", req_txt="x\n"),
    "include-by-url": reqs("-r https://host/requirements.txt\n"),
    "include-cycle": reqs("-r a.txt\n", a_txt="x\n-r requirements.txt\n"),
}
NEEDS_NO_IMAGE = {"no-base-image", "no-base-image-for-requirements"}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name: str, write: Write, tmp_path: Path) -> None:
    path = write(CASES[name])
    bare = path.name != "env.yml" and name not in NEEDS_NO_IMAGE
    with pytest.raises(DefinitionError) as refused:
        load(path, image=BASE if bare else None)
    assert {"file", "line", "found"} <= refused.value.facts.keys()
    assert refused.value.hint
    _compare(name, str(refused.value).replace(f"{tmp_path}/", ""))


def _compare(name: str, text: str) -> None:
    compare(GOLDEN / f"{name}.txt", text)


def test_every_golden_text_has_its_case() -> None:
    outside = {"folder", "missing", "image-argument"}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == CASES.keys() | outside


@pytest.mark.parametrize(
    ("name", "file", "image"),
    [("folder", ".", None), ("missing", "evn.yml", None), ("image-argument", "conda.yml", "https://x/y")],
)
def test_refused_arguments(name: str, file: str, image: str | None, write: Write, tmp_path: Path) -> None:
    write({"env.yml": "image: a\n", "conda.yml": "dependencies: []\n"})
    with pytest.raises(DefinitionError) as refused:
        load(tmp_path / file, image=image)
    _compare(
        name,
        str(refused.value)
        .replace(f"{tmp_path}/", "")
        .replace(str(tmp_path), ".")
        .replace(tmp_path.name, "."),
    )
