"""`spark`, as Azure ML's SDK v1 writes it: JSON or YAML, mappings or coordinates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jsonschema import Draft202012Validator

from prebake.config.canonical import definition_inputs
from prebake.config.catalog.difference import changes, meaning
from prebake.config.catalog.form import from_json, to_json
from prebake.config.definition import Definition, SparkSpec
from prebake.config.folder import save
from prebake.config.load import load
from prebake.config.schema import json_schema

Write = Callable[[dict[str, str | bytes]], Path]
PACKAGES = [{"group": "com.x", "artifact": "tool_2.12", "version": "1.10"}, "org.y:aid:2"]
SECTION = {"repositories": ["https://maven.x/repo/"], "packages": PACKAGES, "precachePackages": False}


def test_json_and_yaml_mean_the_same(write: Write) -> None:
    written = json.dumps({"image": "debian:12", "spark": SECTION})
    yaml = (
        "image: debian:12\nspark:\n  repositories: [https://maven.x/repo]\n  precachePackages: false\n"
        "  packages:\n    - {group: com.x, artifact: tool_2.12, version: 1.10}\n    - org.y:aid:2\n"
    )
    found = [load(write({name: text})) for name, text in (("env.json", written), ("env.yml", yaml))]
    expected = SparkSpec(("com.x:tool_2.12:1.10", "org.y:aid:2"), ("https://maven.x/repo",), False)
    assert [each.definition.spark for each in found][1] == expected
    assert found[1].lines["org.y:aid:2"][1] == 7
    schema = Draft202012Validator(json_schema())
    assert not [*schema.iter_errors(json.loads(written))]
    assert [*schema.iter_errors({"build": {"path": "."}, "spark": SECTION})]


def test_packages_are_a_set_and_repositories_are_not() -> None:
    def inputs(spec: SparkSpec) -> object:
        return definition_inputs(Definition(image="a", spark=spec))

    assert inputs(SparkSpec(("g:a:1", "g:b:1"))) == inputs(SparkSpec(("g:b:1", "g:a:1")))
    assert inputs(SparkSpec(("g:a:1",), ("x", "y"))) != inputs(SparkSpec(("g:a:1",), ("y", "x")))
    assert "spark" not in definition_inputs(Definition(image="a"))


def test_no_packages_are_no_section_and_unknown_keys_are_told(write: Write) -> None:
    text = "image: a\nspark:\n  packages: []\n  repositorys: []\n"
    found = load(write({"env.yml": text}))
    assert found.definition == Definition(image="a")
    assert [warning for warning in found.warnings if "repositorys" in warning and "repositories" in warning]


def test_it_is_registered_saved_and_compared(write: Write, tmp_path: Path) -> None:
    found = load(write({"env.yml": json.dumps({"image": "a", "spark": SECTION})}))
    assert from_json(json.loads(json.dumps(to_json(found.definition)))) == found.definition
    save(found, tmp_path / "saved")
    assert load(tmp_path / "saved").definition == found.definition
    plain = meaning(Definition(image="a"))
    assert "spark.packages" not in plain
    come = [change.field for change in changes(plain, meaning(found.definition))]
    gone = [change.field for change in changes(meaning(found.definition), plain)]
    assert come == gone == ["spark.packages", "spark.repositories", "spark.precachePackages"]
