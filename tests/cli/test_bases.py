"""`prebake bases` through the real command, with the default smoke test in a real engine."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from world.tools import run

Prebake = Callable[..., CompletedProcess[str]]


def said(result: CompletedProcess[str], code: int = 0) -> Any:
    assert (result.returncode, result.stderr) == (code, ""), result.stderr
    return json.loads(result.stdout)["environments"]


def copy(source: str, target: str) -> None:
    plain = ["--quiet", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    run("skopeo", "--insecure-policy", "copy", *plain, f"docker://{source}", f"docker://{target}")


@pytest.mark.parametrize("verb", ["check", "watch", "status"])
def test_help_of_each_verb_shows_examples(verb: str, prebake: Prebake) -> None:
    result = prebake("bases", verb, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"prebake bases {verb}" in result.stdout.partition("\nexamples:\n")[2]


def test_check_and_status(
    world: Any, prebake: Prebake, definition: Callable[..., str], warm: Path, tmp_path: Path
) -> None:
    assert warm.is_dir()
    base, tag = f"{world.registry}/bases-cli/base:1", f"{world.registry}/bases-cli/vision:v1"
    copy(world.base, base)
    text = definition("six", image=base)
    (tmp_path / "env.yml").write_text(f"name: vision\nauto_rebuild: OnBaseImageUpdate\n{text}")

    def states() -> dict[str, str]:
        found = said(prebake("bases", "status", "--json"))
        return {each["title"]: each["state"] for each in found if each["base"] == base}

    old = json.loads(prebake("build", "env.yml", "--to", tag, "--json").stdout)["digest"]
    assert states() == {"vision": "fresh"}
    assert prebake("bases", "check").stdout.startswith("every environment that follows its base")
    copy(f"{world.base}-patched", base)
    assert "stale   follows  vision" in prebake("bases", "status").stdout
    (done,) = said(prebake("bases", "check", "--json", DOCKER_HOST=world.docker))
    assert (done["title"], done["outcome"], done["built"]) == ("vision", "rebuilt", 0)
    assert done["moved"] < 100_000 and done["image"] != old
    assert states() == {"vision": "fresh"}
    assert prebake("bases", "check", "--json").stdout == '{"environments": []}\n'


def test_without_an_engine_the_roll_out_stops(
    world: Any, prebake: Prebake, definition: Callable[..., str], warm: Path, tmp_path: Path
) -> None:
    assert warm.is_dir()
    base = f"{world.registry}/bases-cli/other:1"
    copy(world.base, base)
    (tmp_path / "env.yml").write_text(definition(image=base))
    follows = {"PREBAKE_AUTO_REBUILD": "OnBaseImageUpdate", "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    assert prebake("build", "env.yml").returncode == 0
    copy(f"{world.base}-patched", base)
    (done,) = said_but_warned(prebake("bases", "check", **follows))
    assert done.startswith("failed ") and "the Docker Engine does not answer" in done
    assert prebake("bases", "check", PREBAKE_SMOKE_TEST="", **follows).stdout.startswith("rebuilt ")


def said_but_warned(result: CompletedProcess[str]) -> list[str]:
    assert result.returncode == 1, result.stderr
    assert "warning: " in result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "--stage", "0"), "a stage makes no sense"),
        (("check", "Base:1"), "`Base:1` is not an image reference"),
        (("watch", "--least", "soon"), "`soon` is not an age"),
        (("watch", "--listen", "here"), "cannot listen there"),
    ],
)
def test_refused(arguments: tuple[str, ...], sentence: str, prebake: Prebake) -> None:
    error = json.loads(prebake("bases", *arguments, "--json").stderr)
    assert (error["error"], error["type"]) == (sentence, "SettingsError")
    text = prebake("bases", *arguments)
    assert (text.returncode, text.stdout) == (2, "")
    assert f"error: {sentence}" in text.stderr
