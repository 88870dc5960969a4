"""The schema for editors agrees with the reader on real files and on mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from prebake.config.fields import ENVIRONMENT
from prebake.config.load import load
from prebake.config.schema import json_schema
from prebake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REAL = [
    "06-example-image-plus-conda/docker-image-plus-conda.yaml",
    "07-example-docker-context/docker-context.yml",
    "08-example-byoc-image/docker-image.yml",
    "15-example-nccltests-context/env.yml",
]


def errors(document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(json_schema()).iter_errors(document)]


def test_it_is_a_schema_that_describes_every_field() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["properties"].keys() == ENVIRONMENT.keys()
    assert all(field["description"] for field in schema["properties"].values())


@pytest.mark.parametrize("name", REAL)
def test_real_environments_are_valid(environments: Path, name: str) -> None:
    assert errors(yaml.safe_load((environments / name).read_text())) == []


@pytest.mark.parametrize(
    "name",
    [
        "09-example-inline-env-component/component.yml",
        "12-example-byoc-inference-config/blue-deployment-vnet.yml",
    ],
)
def test_environments_within_jobs_are_valid(environments: Path, name: str) -> None:
    assert errors(yaml.safe_load((environments / name).read_text())["environment"]) == []


def test_conda_files_that_are_read_are_valid_inline(environments: Path) -> None:
    for path in sorted((environments / "corpus").glob("*.yml"))[::5]:
        try:
            load(path, image="a")
        except DefinitionError:
            continue
        assert errors({"image": "a", "conda_file": yaml.safe_load(path.read_text())}) == [], path.name


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        "{image: a, build: {path: .}}",
        "{build: {path: .}, conda_file: x}",
        "{image: 5}",
        "{image: a, os_type: windows}",
        "{image: a, tags: [x]}",
        "{image: a, conda_file: {channels: [c]}}",
        "{image: a, conda_file: {dependencies: [3.12]}}",
        "{image: a, inference_config: {}}",
        "{build: {dockerfile_path: x}}",
    ],
)
def test_mistakes_are_mistakes_to_both(write: Callable[[dict[str, str | bytes]], Path], text: str) -> None:
    assert errors(yaml.safe_load(text))
    with pytest.raises(DefinitionError):
        load(write({"e.yml": text, "Dockerfile": "FROM a"}))
