"""A machine of the sample world with an engine, and a real job: scikit-learn on data of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import SampleWorld
from prebake.flows.wiring import Workspace, open_workspace

TRAIN = """\
import argparse, importlib.metadata, json, os, pathlib, sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--c", type=float)
parser.add_argument("--note", type=pathlib.Path)
parser.add_argument("--out", type=pathlib.Path)
asked = parser.parse_args()
data, target = load_iris(return_X_y=True)
model = LogisticRegression(C=asked.c, max_iter=500).fit(data, target)
print("accuracy", round(model.score(data, target), 3), os.environ["GREETING"], asked.note.read_text())
print("python", sys.version_info[:2], file=sys.stderr)
found = {each.name: each.version for each in importlib.metadata.distributions()}
(asked.out / "versions.json").write_text(json.dumps(found, sort_keys=True))
(asked.out / "weights.json").write_text(json.dumps(model.coef_.round(6).tolist()))
"""
JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
display_name: iris
code: src
command: >-
  python train.py --c ${{inputs.c}} --note ${{inputs.note}} --out ${{outputs.model}}
inputs:
  c: 0.5
  note: {type: uri_file, path: note.txt}
outputs:
  model: {type: uri_folder}
environment:
  image: HOST/debian:12
  conda_file:
    channels: [conda-forge]
    dependencies: [python=3.11, numpy, scikit-learn]
environment_variables: {GREETING: hello}
resources: {shm_size: 64m, docker_args: --network host}
"""


def write_job(folder: Path, registry: str) -> Path:
    """The job's file, with its code and data beside it."""
    (folder / "src").mkdir(parents=True)
    (folder / "src/train.py").write_text(TRAIN)
    (folder / "note.txt").write_text("noted")
    (folder / "job.yml").write_text(JOB.replace("HOST", registry))
    return folder / "job.yml"


@pytest.fixture(scope="module")
def engine(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose engine is the sample world's; containers need the host's network there."""
    folder = tmp_path_factory.mktemp("engine")
    environ = world.environ(folder / "store") | {"DOCKER_HOST": world.docker, "PATH": "/usr/bin:/bin"}
    return open_workspace(environ, folder)
