"""Every real definition is read, or refused with an error that a user can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prebake.config.load import load
from prebake.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

    from prebake.config.definition import Environment

BASE = "ubuntu:24.04"
# Files that name no base image and so get one beside them.
PACKAGES_ONLY = ("corpus/", "conda.yaml", "conda_dependencies.yaml", "requirements.txt", "pydata.yml")

TEMPLATES = """
01-curated-sklearn-1.5/context/conda_dependencies.yaml
01-curated-sklearn-1.5/spec.yaml
02-curated-acpt-pytorch-2.8-cuda12.6/context/requirements.txt
02-curated-acpt-pytorch-2.8-cuda12.6/spec.yaml
04-curated-minimal-py311-inference/context/conda_dependencies.yaml
04-curated-minimal-py311-inference/spec.yaml
05-curated-data-labeling-sam/context/conda_dependencies.yaml
05-curated-data-labeling-sam/spec.yaml
12-example-byoc-inference-config/deployment.yml
corpus/azureml-assets-12c72c5d4c.yml
corpus/azureml-assets-3171b988da.yml
corpus/azureml-assets-3829ba6cf7.yml
corpus/azureml-assets-3ae93fde1f.yml
corpus/azureml-assets-51e8d07424.yml
corpus/azureml-assets-66a698e502.yml
corpus/azureml-assets-6870d9fa43.yml
corpus/azureml-assets-6bebee3497.yml
corpus/azureml-assets-7315c5887c.yml
corpus/azureml-assets-761ab26ea8.yml
corpus/azureml-assets-864e203613.yml
corpus/azureml-assets-a96e3c652c.yml
corpus/azureml-assets-b6caad1b70.yml
corpus/azureml-assets-c861a645ed.yml
corpus/azureml-assets-d8ab8b5320.yml
corpus/azureml-assets-fc4ff5fbc9.yml
"""
MANIFESTS = """
01-curated-sklearn-1.5/asset.yaml
02-curated-acpt-pytorch-2.8-cuda12.6/asset.yaml
04-curated-minimal-py311-inference/asset.yaml
05-curated-data-labeling-sam/asset.yaml
"""
BUILD_SPECS = """
01-curated-sklearn-1.5/environment.yaml
02-curated-acpt-pytorch-2.8-cuda12.6/environment.yaml
04-curated-minimal-py311-inference/environment.yaml
05-curated-data-labeling-sam/environment.yaml
"""
PYTHON_ENVS = """
corpus/azureml-assets-68efa19748.yml
corpus/azureml-examples-3087fffc5b.yml
corpus/azureml-examples-61d3a869ec.yml
corpus/azureml-examples-63ad41c882.yml
corpus/azureml-examples-d356da5191.yml
corpus/azureml-examples-e580bb0aaa.yml
corpus/azureml-examples-f88dda019d.yml
"""
REFUSED = {
    **dict.fromkeys(TEMPLATES.split(), "template"),
    **dict.fromkeys(MANIFESTS.split(), "neither"),
    **dict.fromkeys(BUILD_SPECS.split(), "azureml-assets"),
    **dict.fromkeys(PYTHON_ENVS.split(), "MLflow"),
    # The corpus has the conda file alone, without the requirements beside it.
    "corpus/azureml-assets-1da1e0f08d.yml": "exist",
    "corpus/azureml-assets-64e6052a01.yml": "exist",
    "corpus/metaflow-nflx-extensions-db67b3e694.yml": "match spec",  # pandas=>=1.0.0
}


def definitions(folder: Path) -> dict[str, Path]:
    found = (path for path in folder.rglob("*") if path.suffix in {".yml", ".yaml", ".txt"})
    return {str(path.relative_to(folder)): path for path in sorted(found)}


def read(name: str, path: Path) -> Environment | DefinitionError:
    bare = name.startswith(PACKAGES_ONLY[0]) or name.endswith(PACKAGES_ONLY[1:])
    try:
        return load(path, image=BASE if bare else None)
    except DefinitionError as error:
        return error


@pytest.fixture(scope="module")
def outcomes(environments: Path) -> dict[str, Environment | DefinitionError]:
    return {name: read(name, path) for name, path in definitions(environments).items()}


def test_how_many_are_accepted(outcomes: dict[str, Environment | DefinitionError]) -> None:
    refused = {name for name, outcome in outcomes.items() if isinstance(outcome, DefinitionError)}
    assert refused == REFUSED.keys()
    corpus = [name for name in outcomes if name.startswith("corpus/")]
    assert (len(outcomes), len(outcomes) - len(refused)) == (187, 144)
    assert (len(corpus), len(set(corpus) - refused)) == (159, 133)


def test_refusals_tell_where_what_and_what_to_do(outcomes: dict[str, Environment | DefinitionError]) -> None:
    for name, reason in REFUSED.items():
        error = outcomes[name]
        assert isinstance(error, DefinitionError), name
        assert reason in error.sentence, name
        assert {"file", "line", "found"} <= error.facts.keys(), name
        assert error.hint, name


def test_lines_point_at_their_text(outcomes: dict[str, Environment | DefinitionError]) -> None:
    for outcome in outcomes.values():
        if not isinstance(outcome, DefinitionError) and outcome.definition.conda:
            for text in {
                *outcome.definition.conda.specs,
                *outcome.definition.conda.pip,
            } & outcome.lines.keys():
                path, line = outcome.lines[text]
                assert text in " ".join(path.read_text().splitlines()[line - 1].split())
