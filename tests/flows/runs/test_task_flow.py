"""`prebake task run --flow`: the same run, each step a Prefect task run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from building import PREBAKE
from conftest import SampleWorld
from world.prefect import plain_environ

from .conftest import Site

TASK = """
version: v1.1.0
steps:
  - {id: one, cmd: "BASE echo {{.Values.token}} heard"}
  - {id: two, cmd: "BASE sh -c 'exit {{.Values.code}}'"}
"""


def run(site: Site, world: SampleWorld, folder: Path, code: int) -> tuple[int, dict[str, Any]]:
    file = folder / f"task-{code}.yaml"
    file.write_text(TASK.replace("BASE", world.base))
    given = ["--set", f"code={code}", "--set-secret", "token=s3cret-word", "--network", "host"]
    done = subprocess.run(
        [PREBAKE, "task", "run", str(file), *given, "--json", "--flow"],
        env=plain_environ() | site.environ | {"DOCKER_HOST": world.docker},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "s3cret-word" not in done.stdout + done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_steps_are_task_runs(site: Site, world: SampleWorld, tmp_path: Path) -> None:
    codes = {}
    for code in (0, 3):
        codes[code], told = run(site, world, tmp_path, code)
        assert told["state"] == ("Failed" if code else "Succeeded")
        sought = {"flows": {"name": {"any_": ["run_task"]}}, "sort": "START_TIME_DESC", "limit": 1}
        [flow] = site.api.post("/flow_runs/filter", sought)
        assert flow["parameters"]["about"] == {"run": told["run"]}
        assert flow["state_type"] == ("FAILED" if code else "COMPLETED")
        tasks = site.api.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [flow["id"]]}}})
        assert {each["name"] for each in tasks} == {"step one", "step two"}
        logs = site.api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [flow["id"]]}}})
        assert any("*** heard" in line["message"] for line in logs)
        assert not any("s3cret" in line["message"] for line in logs)
    assert codes == {0: 0, 3: 8}
