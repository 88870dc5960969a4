"""What users get wrong, and the whole text they see: a sentence, facts, a hint. No trace is left."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
Golden = Callable[..., None]


@dataclass(frozen=True)
class Case:
    """An environment and a command line that are refused with exit code `code`."""

    code: int
    conda: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


PACKAGES = {
    "conda-package-unknown": Case(3, ("numpyy",)),
    "conda-version-unknown": Case(3, ("numpy=7",)),
    "conda-pins-contradict": Case(3, ("numpy=1.26.4", "pandas=3.1.1")),
    "conda-package-without-sha256": Case(3, ("nosha-demo",)),
    "conda-packages-clobber": Case(3, ("clobber-a", "clobber-b")),
    "conda-needs-cuda": Case(3, ("needs-cuda",)),
    "pip-package-unknown": Case(3, (), ("tabulatte",)),
    "pip-contradicts-conda": Case(3, ("numpy=1.26.4",), ("numpy==2.4.6",)),
    "pip-sdist-not-allowed": Case(3, (), ("docopt",)),
    "pip-line-unreadable": Case(3, (), ("tabulate===?",)),
}
ARGUMENTS = {
    "to-not-a-reference": Case(2, arguments=("--to", "UPPER/x")),
    "to-pinned": Case(2, arguments=("--to", f"host.example/x@sha256:{'0' * 64}")),
    "to-empty": Case(2, arguments=("--to", "")),
    "to-docker-empty": Case(2, arguments=("--to", "docker:")),
    "to-oci-empty": Case(2, arguments=("--to", "oci:")),
    "policy-wrong": Case(2, arguments=("--policy", "never")),
    "variable-unknown": Case(2, variables={"PREBAKE_BIN": "3"}),
    "variable-not-allowed": Case(2, variables={"PREBAKE_COMPRESSION": "lz4"}),
    "variable-not-a-mirror": Case(2, variables={"PREBAKE_MIRRORS": "https://user:hunter2@conda.example"}),
    "settings-file-missing": Case(2, variables={"PREBAKE_SETTINGS": "gone.toml"}),
}
SETTINGS = {
    "setting-unknown": 'policy = "locked"\nstor = "here"\n',
    "setting-not-a-number": 'bins = "many"\n',
    "setting-too-small": "bins = 0\n",
    "setting-not-a-list": '\ndefault_channels = "conda-forge"\n',
    "setting-not-a-table": 'mirrors = "https://conda.example"\n',
    "setting-policy-wrong": 'policy = "weekly"\n',
    "settings-not-toml": "bins = \n",
}


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", PACKAGES | ARGUMENTS)
def test_refused(name: str, prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path) -> None:
    case = (PACKAGES | ARGUMENTS)[name]
    (tmp_path / "env.yml").write_text(definition(*case.conda, pip=case.pip))
    golden(name, prebake("build", "env.yml", "-q", *case.arguments, **case.variables), case.code)


@pytest.mark.parametrize("name", SETTINGS)
def test_refused_settings(
    name: str, prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path
) -> None:
    (tmp_path / "env.yml").write_text(definition())
    (tmp_path / "prebake.toml").write_text(SETTINGS[name])
    golden(name, prebake("build", "env.yml", "-q"), 2)


@pytest.mark.parametrize("name", ["debian:13", "alpine-like:musl", "debian:12-hasprefix"])
def test_refused_base(
    name: str, prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path, world: Any
) -> None:
    (tmp_path / "env.yml").write_text("# a comment\n" + definition(image=f"{world.registry}/{name}"))
    golden(f"base-{name.replace(':', '-')}", prebake("build", "env.yml", "-q"), 2)


def test_refused_files(prebake: Prebake, golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text("image: debian:12\nconda_file: conda.yaml\n")
    (tmp_path / "conda.yml").write_text("dependencies: []\n")
    golden("definition-missing", prebake("build", "evn.yml"), 2)
    golden("conda-file-missing", prebake("build", "env.yml"), 2)


def test_nothing_to_lock(prebake: Prebake, golden: Golden, tmp_path: Path, world: Any) -> None:
    (tmp_path / "env.yml").write_text(f"image: {world.base}\n")
    golden("nothing-to-lock", prebake("lock", "env.yml", "-o", "out.yml"), 2)


def test_lock_to_an_impossible_place(
    prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path
) -> None:
    (tmp_path / "env.yml").write_text(definition())
    golden("lock-output-impossible", prebake("lock", "env.yml", "-o", "gone/lock.yml"), 2)


@pytest.mark.parametrize("arguments", [(), ("build",), ("frobnicate",), ("build", "env.yml", "--frob")])
def test_usage(arguments: tuple[str, ...], prebake: Prebake) -> None:
    result = prebake(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: prebake ")


@pytest.mark.parametrize("name", ["conda-package-unknown", "to-not-a-reference"])
@pytest.mark.parametrize("verb", ["build", "plan", "lock", "explain"])
def test_json_errors_are_one_object(
    name: str, verb: str, prebake: Prebake, definition: Definition, tmp_path: Path
) -> None:
    case = (PACKAGES | ARGUMENTS)[name]
    arguments = case.arguments if verb == "build" else ()
    conda = case.conda if verb == "build" else ("numpyy",)
    # an unknown key is warned of, and warnings must not stand beside the object
    (tmp_path / "env.yml").write_text(definition(*conda) + "unknown: 1\n")
    result = prebake(verb, "env.yml", "--json", *arguments)
    error = json.loads(result.stderr)
    assert error.keys() == {"error", "type", "facts", "hint", "retryable"}
    assert (result.stdout, error["retryable"]) == ("", False)
    assert result.returncode == {"SettingsError": 2, "SolveError": 3}[error["type"]]
