"""`prebake submit` and `prebake jobs` as people and scripts use them, and what they get wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
Golden = Callable[..., None]
JOB = """\
command: python train.py ${{inputs.lr}}; exit 7
code: src
inputs: {lr: 0.1}
environment: file:env.yml
limts: {timeout: 60}
"""
CODE = "import sys, tabulate; print(tabulate.__version__, sys.argv[1]); print('words', file=sys.stderr)\n"

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(autouse=True)
def job(tmp_path: Path, definition: Definition) -> Path:
    """A job whose environment is in the store, but for its one pip package."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/train.py").write_text(CODE)
    (tmp_path / "env.yml").write_text(definition(pip=("tabulate==0.9.0",)))
    (tmp_path / "job.yml").write_text(JOB)
    return tmp_path / "job.yml"


def test_what_the_job_says_and_how_it_ends(prebake: Prebake) -> None:
    first = prebake("submit", "job.yml", "--target", "local", "--input", "lr=0.5")
    assert (first.returncode, first.stdout) == (7, "0.9.0 0.5\n")
    warning, begun, *said = first.stderr.splitlines()
    assert warning == "warning: job.yml:5: key `limts` is ignored, did you mean `limits`?"
    assert said[-1] == "words"
    job_id = begun.removeprefix("job ")
    listed = prebake("jobs", "list").stdout.split()
    assert listed[:3] == [job_id, "Failed", "7"]
    assert sorted(prebake("jobs", "logs", job_id).stdout.splitlines()[-2:]) == ["0.9.0 0.5", "words"]
    shown = prebake("jobs", "show", job_id).stdout
    assert f"job                   {job_id}\n" in shown
    assert "exit_code             7\n" in shown
    followed = prebake("jobs", "logs", "-f", job_id)
    assert (followed.returncode, followed.stdout) == (7, prebake("jobs", "logs", job_id).stdout)


def test_scripts_get_one_object(prebake: Prebake) -> None:
    ended = prebake("submit", "job.yml", "--target", "local", "--json")
    assert (ended.returncode, ended.stderr, ended.stdout.count("\n")) == (7, "", 1)
    said = json.loads(ended.stdout)
    assert (said["state"], said["exit_code"], said["inputs"]) == ("Failed", 7, {"lr": "0.1"})
    assert said["environment"]["reference"].startswith("azureml:CliV2AnonymousEnvironment:")
    assert json.loads(prebake("jobs", "show", said["id"], "--json").stdout) == said
    assert json.loads(prebake("jobs", "list", "--json", "--state", "Failed").stdout) == {"jobs": [said]}
    assert json.loads(prebake("jobs", "list", "--json", "--state", "Running").stdout) == {"jobs": []}


def test_without_wait(prebake: Prebake) -> None:
    begun = json.loads(prebake("submit", "job.yml", "--target", "local", "--no-wait", "--json").stdout)
    assert begun["state"] == "Queued"
    followed = prebake("jobs", "logs", "-f", begun["id"])
    assert (followed.returncode, sorted(followed.stdout.splitlines())[0]) == (7, "0.9.0 0.1")


def test_a_command_in_a_registered_environment(prebake: Prebake, tmp_path: Path) -> None:
    assert prebake("env", "register", "env.yml", "--name", "tables").returncode == 0
    command = ("submit", "--env", "tables@latest", "--target", "local", "--code", "src", "-q", "--")
    ended = prebake(*command, "python", "train.py", "a b")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0.9.0 a b\n", "words\n")
    (listed,) = json.loads(prebake("jobs", "list", "--json").stdout)["jobs"]
    assert listed["environment"]["reference"] == "azureml:tables:1"
    (tmp_path / "named.yml").write_text(JOB.replace("file:env.yml", "azureml:tables:1"))
    assert prebake("submit", "named.yml", "--target", "local").returncode == 7


def test_dry_run(prebake: Prebake, tmp_path: Path) -> None:
    far = JOB.replace("{lr: 0.1}", "{lr: 0.1, x: {path: 'azureml:iris:1'}}")
    (tmp_path / "job.yml").write_text(far)
    intended = prebake("submit", "job.yml", "--dry-run", "--gpus", "all", "--json")
    said = json.loads(intended.stdout)
    assert (intended.returncode, said["command"]) == (0, "python train.py 0.1; exit 7")
    assert (said["layers"][1:], said["not_local"]) == (" of 7 to build", ["azureml:iris:1"])
    assert said["resources"]["gpus"] == "all"
    assert "layers       1 of" in prebake("submit", "job.yml", "--dry-run").stdout
    assert not (tmp_path / "store/jobs").exists()
    assert not list((tmp_path / "store").glob("catalog*")), "nothing is registered"


def test_dry_run_without_a_registry(prebake: Prebake, tmp_path: Path, definition: Definition) -> None:
    (tmp_path / "env.yml").write_text(definition(image="127.0.0.1:9/x:1"))
    intended = prebake("submit", "job.yml", "--dry-run", "-q")
    assert intended.returncode == 0
    assert "layers       not known: " in intended.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unknown-input", JOB.replace("inputs.lr", "inputs.rl")),
        ("missing-code", JOB.replace("src", "scr")),
        ("pipeline", "type: pipeline\njobs: {a: {command: ls}}\n"),
        ("not-local", JOB.replace("{lr: 0.1}", "{lr: {path: 'https://host/x.csv', type: uri_file}}")),
        ("unknown-environment", JOB.replace("file:env.yml", "azureml:nobody@latest")),
        ("user-managed", JOB.replace("file:env.yml", "{image: 'HOST'}")),
    ],
)
def test_refused_job(
    name: str, text: str, prebake: Prebake, golden: Golden, tmp_path: Path, definition: Definition
) -> None:
    image = definition().split()[1]
    (tmp_path / "job.yml").write_text(text.replace("limts: {timeout: 60}\n", "").replace("HOST", image))
    golden(f"job-{name}", prebake("submit", "job.yml", "--target", "local", "-q"), 2)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("input-unknown", ("job.yml", "--input", "rl=1")),
        ("input-wrong", ("job.yml", "--input", "lr")),
        ("command-twice", ("job.yml", "ls")),
        ("environment-file", ("env.yml",)),
        ("code-folder", ("--env", "env.yml", "--code", "nowhere", "--", "ls")),
        ("misplaced", ("job.yml", "--code", "src", "--target", "local", "--layered-code")),
        ("gpus-wrong", ("job.yml", "--gpus", "many")),
    ],
)
def test_refused_arguments(
    name: str, arguments: tuple[str, ...], prebake: Prebake, golden: Golden, tmp_path: Path
) -> None:
    (tmp_path / "job.yml").write_text(JOB.replace("limts: {timeout: 60}\n", ""))
    golden(f"job-{name}", prebake("submit", *arguments), 2)


def test_an_unknown_job(prebake: Prebake, golden: Golden, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store")
    golden("job-unknown", prebake("jobs", "show", "20260301-101500-042-1f3a"), 2)
