"""Command jobs and components: read as Azure ML reads them, or refused with one clear error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prebake.config.job import Input, Job, Output, Resources, fill
from prebake.config.job_data import not_local
from prebake.config.job_file import load_job
from prebake.errors import DefinitionError

from .conftest import compare

Write = Callable[[dict[str, str | bytes]], Path]
GOLDEN = Path(__file__).parents[1] / "golden/jobs"
ENV = "environment: {image: 'debian:12'}\n"
WHOLE = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
display_name: iris
experiment_name: e
compute: azureml:gpu-cluster
code: src
additional_includes: [common, one.py]
command: >-
  python train.py --data ${{inputs.data}} --lr ${{ inputs.lr }} $[[--seed ${{inputs.seed}}]]
  --out ${{outputs.model}}
environment: azureml:vision@latest
environment_variables: {GREETING: hello, COUNT: 3}
inputs:
  data: {type: uri_file, path: iris.csv, mode: ro_mount}
  lr: 0.10
  seed: {type: integer, optional: true}
  far: {type: uri_folder, path: "azureml://datastores/d/paths/x"}
outputs:
  model: {type: mlflow_model}
  kept: {path: results}
resources: {instance_count: 1, shm_size: 2g, docker_args: "--gpus all --network=host"}
distribution: {type: pytorch, process_count_per_instance: 1}
limits: {timeout: 60}
"""

BESIDE = {"common/a.py": "", "one.py": ""}


def job(
    text: str = "", command: str = "command: ls\n", env: str = ENV, **files: str
) -> dict[str, str | bytes]:
    return {"job.yml": command + env + text, **{name.replace("_", "."): text for name, text in files.items()}}


def test_every_field(write: Write, tmp_path: Path) -> None:
    found = load_job(write({"job.yml": WHOLE, "iris.csv": "1,2", "src/train.py": "", **BESIDE}))
    assert found == Job(
        "python train.py --data ${{inputs.data}} --lr ${{ inputs.lr }} $[[--seed ${{inputs.seed}}]]"
        " --out ${{outputs.model}}",
        reference="azureml:vision@latest",
        code=tmp_path / "src",
        includes=(tmp_path / "common", tmp_path / "one.py"),
        environment_variables=(("GREETING", "hello"), ("COUNT", "3")),
        inputs=(
            Input("data", "uri_file", path=tmp_path / "iris.csv"),
            Input("lr", value="0.10"),
            Input("far", "uri_folder", remote="azureml://datastores/d/paths/x"),
        ),
        outputs=(Output("model", "mlflow_model"), Output("kept", path=tmp_path / "results")),
        resources=Resources("2g", "all", "host"),
        timeout=60,
        display_name="iris",
        source=tmp_path / "job.yml",
    )
    assert found.warnings == ()


def test_values_from_outside_win(write: Write, tmp_path: Path) -> None:
    path = write({"job.yml": WHOLE, "iris.csv": "", "other.csv": "", "src/train.py": "", **BESIDE})
    found = load_job(path, (("lr", "0.5"), ("seed", "7"), ("data", "other.csv")))
    values = {each.name: each.value or each.path for each in found.inputs}
    assert (values["lr"], values["seed"], values["data"]) == ("0.5", "7", tmp_path / "other.csv")


def test_an_optional_part_of_the_command_goes_with_its_value() -> None:
    command = "train $[[--seed ${{inputs.seed}}]] $[[--a ${{inputs.a}} --b ${{inputs.b}}]]"
    assert fill(command, {"inputs.seed": "7", "inputs.a": "1"}).split() == ["train", "--seed", "7"]


def test_environments_in_place_and_in_files(write: Write) -> None:
    conda = "channels: [conda-forge]\ndependencies: [python]\n"
    inline = load_job(
        write(job(env="environment: {image: a, conda_file: conda.yml, name: x}\n", conda_yml=conda))
    )
    assert inline.environment is not None
    assert inline.environment.name is None
    assert "`name` of an inline environment is ignored" in inline.warnings[0]
    file = load_job(
        write(job(env="environment: file:env.yml\n", env_yml="image: a\nconda_file: conda.yml\n"))
    )
    plain = load_job(write(job(env="environment: env.yml\n", env_yml="image: a\nconda_file: conda.yml\n")))
    assert file.environment == plain.environment
    assert file.environment is not None
    assert file.environment.definition == replace(inline.environment).definition


def test_unknown_keys_are_told_with_the_nearest(write: Write) -> None:
    found = load_job(write(job("enviroment_variables: {A: b}\nlimits: {timout: 3}\n")))
    assert "did you mean `environment_variables`?" in found.warnings[0]
    assert "did you mean `timeout`?" in found.warnings[1]


def test_a_real_component(environments: Path, tmp_path: Path) -> None:
    shutil.copytree(environments / "09-example-inline-env-component", tmp_path / "real")
    (tmp_path / "real/src").mkdir(exist_ok=True)  # the stored copy is without its code
    found = load_job(tmp_path / "real/component.yml")
    assert found.command == "python hello.py"
    assert found.environment is not None
    assert found.environment.definition.conda is not None


def test_real_definitions_that_are_no_jobs_say_so(environments: Path) -> None:
    for path in sorted(environments.rglob("*.y*ml")):
        with pytest.raises(DefinitionError) as refused:
            load_job(path)
        assert {"file", "line", "found"} <= refused.value.facts.keys(), path
        assert refused.value.hint, path


CASES: dict[str, dict[str, str | bytes]] = {
    "unknown-input": job("inputs: {data: 1}\n", "command: cat ${{inputs.dta}}\n"),
    "unknown-placeholder": job(command="command: cat ${{search_space.lr}}\n"),
    "optional-outside": job("inputs: {x: {type: string, optional: true}}\n", "command: echo ${{inputs.x}}\n"),
    "unknown-optional": job("inputs: {seed: 1}\n", "command: ls $[[${{inputs.sed}}]]\n"),
    "no-value": job("inputs: {x: {type: integer}}\n"),
    "missing-code": job("code: ./scr\n", **{"src/train.py": "", **BESIDE}),
    "missing-include": job("additional_includes: [comon]\n", **{"common/a.py": ""}),
    "code-elsewhere": job("code: https://github.com/x/y\n"),
    "missing-input": job("inputs: {x: {type: uri_file, path: iris.cvs}}\n", iris_csv=""),
    "type-of-data": job("inputs: {x: {type: uri_fil, path: iris.csv}}\n", iris_csv=""),
    "name-of-data": job("inputs: {'a-b': 1}\n"),
    "missing-environment": job(env="environment: file:evn.yml\n", env_yml="image: a\n"),
    "pipeline": {"job.yml": "type: pipeline\njobs: {a: {command: ls}}\n"},
    "pipeline-untyped": {"job.yml": "jobs: {a: {command: ls}}\n"},
    "sweep": {"job.yml": "type: sweep\ntrial: {command: ls}\n"},
    "spark": job("type: spark\nentry: {file: a.py}\n"),
    "environment": {"job.yml": "image: a\n"},
    "no-command": {"job.yml": "environment: {image: a}\n"},
    "nodes": job("resources: {instance_count: 4}\n"),
    "processes": job("distribution: {type: pytorch, process_count_per_instance: 2}\n"),
    "docker-argument": job("resources: {docker_args: '--gpu all'}\n"),
    "docker-quote": job('resources: {docker_args: "--gpus \'all"}\n'),
    "timeout": job("limits: {timeout: soon}\n"),
    "credential": job("inputs: {x: 'https://me:hunter2@host/x'}\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name: str, write: Write, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_job(write(CASES[name]))
    assert {"file", "line", "found"} <= refused.value.facts.keys()
    assert refused.value.hint
    _compare(name, str(refused.value).replace(f"{tmp_path}/", ""))


def test_an_input_that_the_job_does_not_have(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_job(write(job("inputs: {data: 1}\n")), (("dta", "2"),))
    _compare("argument", str(refused.value).replace(f"{tmp_path}/", ""))


@pytest.mark.parametrize("kind", ["input", "output"])
def test_what_is_not_local_is_read_but_cannot_run(kind: str, write: Write, tmp_path: Path) -> None:
    found = load_job(write(job(f"{kind}s: {{x: {{type: uri_folder, path: 'azureml:iris:1'}}}}\n")))
    _compare(f"{kind}-not-local", str(not_local(found)).replace(f"{tmp_path}/", ""))
    assert not_local(replace(found, inputs=(), outputs=())) is None


def _compare(name: str, text: str) -> None:
    compare(GOLDEN / f"{name}.txt", text)
