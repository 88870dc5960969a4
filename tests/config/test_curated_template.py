from __future__ import annotations

from pathlib import Path

import pytest

from prebake.config.curated_template import Placeholder, render
from prebake.config.load import load
from prebake.config.places import rendering
from prebake.errors import DefinitionError, SolveError

FILE = Path("env.yml")


def asked(text: str) -> list[Placeholder]:
    found: list[Placeholder] = []

    def answer(placeholder: Placeholder) -> str:
        found.append(placeholder)
        return "1"

    render(text, FILE, answer)
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("- fastapi=={{latest-pypi-version}}", Placeholder("pypi", "fastapi")),
        ("- azureml-core~={{latest-pypi-version:pre}}", Placeholder("pypi", "azureml-core", "pre")),
        ("- uvicorn[standard] == {{ latest-pypi-version }}", Placeholder("pypi", "uvicorn")),
        ("image: debian:{{latest-image-tag}}", Placeholder("image", "debian")),
        (
            r"image: mcr.example:5000/aifx/acpt:{{latest-image-tag:biweekly\.\d{6}\.\d{1}.*}}",
            Placeholder("image", "mcr.example:5000/aifx/acpt", r"biweekly\.\d{6}\.\d{1}.*"),
        ),
        (r"image: debian:{{latest-image-tag:v\d{2}}}", Placeholder("image", "debian", r"v\d{2}")),
    ],
)
def test_a_placeholder_says_what_is_asked(line: str, expected: Placeholder) -> None:
    assert asked(line) == [expected]


def test_the_environments_python_goes_along() -> None:
    text = "- python=3.11\n- pip:\n  - fastapi=={{latest-pypi-version}}\n"
    assert asked(text) == [Placeholder("pypi", "fastapi", python="3.11")]


def test_comments_are_left_alone() -> None:
    assert asked("# - fastapi=={{latest-pypi-version}}") == []


def test_a_look_up_that_fails_names_its_line() -> None:
    def fail(placeholder: Placeholder) -> str:
        raise SolveError("no release", facts={"package": placeholder.subject})

    with pytest.raises(SolveError) as caught:
        render("a: 1\n- fastapi=={{latest-pypi-version}}\n", FILE, fail)
    assert caught.value.facts == {
        "file": "env.yml",
        "line": "2",
        "found": "{{latest-pypi-version}}",
        "package": "fastapi",
    }


def test_a_placeholder_at_another_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text("image: debian:12\nname: '{{latest-pypi-version}}'\n")
    with (
        pytest.raises(DefinitionError, match="the file is a template"),
        rendering(lambda text, path: render(text, path, lambda placeholder: "1")),
    ):
        load(tmp_path / "env.yml")


def test_files_that_a_definition_names_are_templates_too(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text("image: debian:{{latest-image-tag}}\nconda_file: conda.yml\n")
    (tmp_path / "conda.yml").write_text(
        "dependencies: [python=3.11, {pip: ['six=={{latest-pypi-version}}']}]"
    )
    with rendering(lambda text, path: render(text, path, lambda placeholder: "12")):
        found = load(tmp_path / "env.yml").definition
    assert found.image == "debian:12" and found.conda and found.conda.pip == ("six==12",)
