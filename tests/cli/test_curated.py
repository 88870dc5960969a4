"""`prebake curated` as users run it; containers are in tests/flows/curated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Prebake = Callable[..., CompletedProcess[str]]
DEFINITION = """\
description: Has a package that nobody has.
image: docker.io/library/debian:{{latest-image-tag:12}}
conda_file:
  dependencies:
    - python=3.11
    - pip:
        - no-such-package
"""


@pytest.fixture
def curated(prebake: Prebake, world: Any, tmp_path: Path) -> Prebake:
    """The command with a set of one environment, which cannot be had."""
    (tmp_path / "set/hopeless").mkdir(parents=True)
    (tmp_path / "set/hopeless/environment.yml").write_text(DEFINITION)
    (tmp_path / "set/hopeless/smoke.py").write_text("assert True\n")
    mirrors = f"docker.io/library={world.registry}"
    place = f"{world.registry}/{tmp_path.name.replace('_', '-')}"
    settings = {"PREBAKE_IMAGE_MIRRORS": mirrors, "PREBAKE_CURATED_SET": "set", "PREBAKE_CURATED": place}
    return lambda *arguments, **more: prebake("curated", *arguments, **(settings | more))


def test_list_shows_the_set_that_comes_with_prebake(prebake: Prebake) -> None:
    result = prebake("curated", "list", "--json")
    found = json.loads(result.stdout)["environments"]
    assert len(found) == 12 and found["sklearn"] == "Classical machine learning with scikit-learn."


def test_list_shows_a_set_of_ones_own(curated: Prebake) -> None:
    assert curated("list").stdout == "hopeless\tHas a package that nobody has.\n"


def test_a_build_that_fails_says_why_and_is_remembered(curated: Prebake) -> None:
    result = curated("build", "-q")
    assert result.returncode == 3
    assert "hopeless\nerror: no index has a package `no-such-package`" in result.stderr
    assert result.stdout.splitlines()[0] == "hopeless: failed"
    (told,) = json.loads(curated("status", "--json").stdout)["environments"]
    assert told["digest"] == "" and told["failure"] == "no index has a package `no-such-package`"
    assert "failed: no index has a package" in curated("status").stdout


def test_a_build_for_scripts_is_one_object(curated: Prebake) -> None:
    result = curated("build", "--json")
    (told,) = json.loads(result.stdout)["environments"]
    assert (result.returncode, result.stderr) == (3, "")
    assert (told["outcome"], told["error"]["type"]) == ("failed", "SolveError")


def test_show_tells_where_it_is_and_what_it_is(curated: Prebake) -> None:
    text = curated("show", "hopeless").stdout
    assert "none yet" in text and DEFINITION.strip() in text


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("build", "hopless"), {}, "error: `hopless` is not a curated environment"),
        (("build", "hopeless", "--policy", "sometimes"), {}, "error: `sometimes` is not a policy"),
        (("build",), {"PREBAKE_CURATED": ""}, "error: nothing says where curated images go"),
        (("status",), {"PREBAKE_CURATED": "HOST"}, "error: `HOST` is not an image reference"),
        (("list",), {"PREBAKE_CURATED_SET": "elsewhere"}, "error: there is no curated environment"),
    ],
)
def test_a_mistake_is_one_clear_error(
    curated: Prebake, arguments: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    result = curated(*arguments, **settings)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(sentence)
    assert "\nhint: " in result.stderr
