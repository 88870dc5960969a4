"""The definitions that come with prebake, as files; tests/flows/curated solves them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from prebake.config.curated_template import render
from prebake.config.load import load
from prebake.config.places import rendering
from prebake.errors import DefinitionError, SettingsError
from prebake.flows.curated.definitions import OWN_SET, Curated, find

SET = find([], None)


def test_it_is_a_dozen() -> None:
    assert len(SET) == 12


@pytest.mark.parametrize("curated", SET, ids=lambda each: each.name)
def test_a_definition_is_read_without_a_warning(curated: Curated) -> None:
    with rendering(lambda text, path: render(text, path, lambda placeholder: "12")):
        environment = load(curated.definition)
    assert environment.warnings == ()
    assert (environment.name, environment.definition.conda is None) == (curated.name, False)
    assert curated.description.endswith(".")


@pytest.mark.parametrize("curated", SET, ids=lambda each: each.name)
def test_a_smoke_test_imports_and_asserts(curated: Curated) -> None:
    nodes = [*ast.walk(ast.parse(curated.smoke))]
    assert any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)
    assert any(isinstance(node, ast.Assert) for node in nodes)


def test_names_choose_and_unknown_ones_are_refused() -> None:
    assert [each.name for each in find(["vision", "nlp", "nlp"], None)] == ["nlp", "vision"]
    with pytest.raises(SettingsError, match="`visoin` is not a curated environment") as caught:
        find(["visoin"], OWN_SET)
    assert caught.value.hint == "did you mean `vision`?"


def test_an_empty_folder_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no curated environment"):
        find([], tmp_path)


def test_a_smoke_test_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="has no smoke test"):
        _ = Curated(tmp_path).smoke
