"""`prebake warm` through the real command."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Prebake = Callable[..., CompletedProcess[str]]


def said(result: CompletedProcess[str], code: int = 0) -> Any:
    assert (result.returncode, result.stderr) == (code, ""), result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("verb", ["plan", "run", "status", "report"])
def test_help_of_each_verb_shows_examples(verb: str, prebake: Prebake) -> None:
    result = prebake("warm", verb, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"prebake warm {verb}" in result.stdout.partition("\nexamples:\n")[2]


def test_plan_run_status_report(
    prebake: Prebake, definition: Callable[..., str], warm: Path, tmp_path: Path
) -> None:
    assert warm.is_dir()
    (tmp_path / "env.yml").write_text(f"name: vision\n{definition()}")
    digest = json.loads(prebake("build", "env.yml", "--json").stdout)["digest"]
    node = {"PREBAKE_WARM_TARGETS": "oci:node", "PREBAKE_WARM_BUDGET": "1GB"}
    (pick,) = said(prebake("warm", "plan", "--json", **node))["picks"]
    assert (pick["digest"], pick["environment"], pick["target"]) == (digest, "vision", "oci:node")
    assert "vision -> oci:node" in prebake("warm", "plan", **node).stdout
    assert said(prebake("warm", "status", "--json", **node), code=1)["targets"][0]["missing"] == [digest]
    done = said(prebake("warm", "run", "--json", **node))
    assert (done["equal"], done["warmed"], done["bytes"]) == (True, [digest], pick["bytes"])
    assert said(prebake("warm", "status", "--json", **node))["targets"][0]["missing"] == []
    nothing = "0 warmed, 0 dropped, 0 failures, 0.0 kB moved in 1 rounds\n"
    assert prebake("warm", "run", **node).stdout.endswith(nothing)
    assert prebake("build", "env.yml").returncode == 0
    (grade,) = said(prebake("warm", "report", "--json"))["targets"]
    assert (grade["used"], grade["met"], grade["missed"]) == (1, 1, 0)


def test_nothing_yet(prebake: Prebake) -> None:
    assert prebake("warm", "plan", "--target", "oci:node").stdout == "nothing was asked for yet\n"
    assert prebake("warm", "report").stdout == "nothing was warmed yet\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("plan",), "there is no target to warm"),
        (("plan", "--target", "oci:node", "--budget", "much"), "`much` is not a size"),
        (("run", "--target", "mirror.example.com/warm:v1"), "a warm target makes no sense"),
        (("run", "--target", "Mirror"), "`Mirror` is not an image reference"),
    ],
)
def test_refused(arguments: tuple[str, ...], sentence: str, prebake: Prebake) -> None:
    error = json.loads(prebake("warm", *arguments, "--json").stderr)
    assert (error["error"], error["type"]) == (sentence, "SettingsError")
    text = prebake("warm", *arguments)
    assert (text.returncode, text.stdout) == (2, "")
    assert f"error: {sentence}" in text.stderr
