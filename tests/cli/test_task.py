"""`prebake task` as users call it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from prebake.builders.docker import connect
from prebake.builders.docker_task_room import LABEL
from world import services

PREBAKE = Path(sys.executable).with_name("prebake")
TASK = """
version: v1.1.0
steps:
  - id: build
    build: -t $Registry/{{.Values.name | default "app"}}:$ID --build-arg BASE={{.Values.base}} .
  - id: test
    cmd: $Registry/{{.Values.name | default "app"}}:$ID sh -c 'cat /src/hello; echo {{.Values.token}}'
  - push: ["$Registry/{{.Values.name | default "app"}}:$ID"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY . /src\n")
    (folder / "hello").write_text("hello\n")
    (folder / "task.yaml").write_text(TASK)
    return folder


def test_run_with_json(prebake: Any, world: Any, context: Path) -> None:
    done = prebake(
        *("task", "run", "task/task.yaml", "--registry", world.registry, "--set", f"base={world.base}"),
        *("--set-secret", "token=env:TOKEN", "--network", "host", "--run-id", "cli-json", "--json"),
        DOCKER_HOST=world.docker,
        TOKEN="hunter2",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["run"], told["state"]) == ("cli-json", "Succeeded")
    assert [(step["id"], step["kind"], step["state"]) for step in told["steps"]] == [
        ("build", "build", "successful"),
        ("test", "cmd", "successful"),
        ("acb_step_2", "push", "successful"),
    ]
    assert told["images"][0]["reference"] == f"{world.registry}/app:cli-json"
    assert told["dependencies"][0]["runtime-dependency"]["reference"] == world.base
    assert "[test] hello" in done.stderr
    assert "[test] ***" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_failing_run_says_which_step_and_how(prebake: Any, world: Any, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("steps: [{id: bad, cmd: '{{.Values.base}} false'}]")
    (tmp_path / "values.yaml").write_text(f"base: {world.base}\n")
    done = prebake(
        *("task", "run", "task.yaml", "--values", "values.yaml", "--network", "host"),
        DOCKER_HOST=world.docker,
    )
    assert done.returncode == 8
    assert "Step ID: bad marked as failed" in done.stdout
    assert done.stderr.startswith("error: step `bad` exited with 1\n")


def test_show_and_dry_run_touch_nothing(prebake: Any, context: Path) -> None:
    arguments = (
        "task/task.yaml",
        "--registry",
        "r.example",
        "--set",
        "base=b",
        "--set-secret",
        "token=hunter2",
    )
    named = ("--run-id", "r1")
    shown = prebake("task", "show", *arguments, *named, DOCKER_HOST="unix:///nowhere.sock")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "wave 1",
        "  build  build: . -> r.example/app:r1",
        "wave 2",
        "  test  cmd: r.example/app:r1 sh -c 'cat /src/hello; echo ***'  after build",
        "wave 3",
        "  acb_step_2  push: r.example/app:r1  after test",
    ]
    dry = prebake("task", "run", *arguments, *named, "--dry-run", DOCKER_HOST="unix:///nowhere.sock")
    assert dry.stdout == shown.stdout
    told = json.loads(prebake("task", "show", *arguments, *named, "--json").stdout)
    assert told["waves"] == [["build"], ["test"], ["acb_step_2"]]
    assert "hunter2" not in json.dumps(told)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--set", "novalue"), "--set cannot be read"),
        (("--set-secret", "a=env:NOT_SET"), "a secret's variable is not set"),
        (("--set-secret", "a=@no-file"), "a secret's file cannot be read"),
        (("--timeout", "0"), "the run's time-out makes no sense"),
        (("--context", "nowhere"), "the context is not a folder"),
        (("--run-id", "a b"), "the run's id is impossible"),
        (("--values", "none.yaml"), "file `none.yaml` does not exist"),
    ],
)
def test_arguments_that_make_no_sense(
    prebake: Any, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "task.yaml").write_text("steps: [{cmd: x}]")
    refused = prebake("task", "run", "task.yaml", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {sentence}\n")
    as_json = prebake("task", "run", "task.yaml", *arguments, "--json")
    assert json.loads(as_json.stderr)["error"] == sentence


def test_warnings_are_told_and_an_engine_that_is_away(prebake: Any, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("steps: [{cmd: x, retires: 1}]")
    away = prebake("task", "run", "task.yaml", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert away.returncode == 7
    assert "key `retires` is ignored, did you mean `retries`?" in away.stdout
    assert away.stderr.startswith("error: the Docker Engine does not answer\n")


def test_pushes_with_dockers_credentials(prebake: Any, world: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY task.yaml /\n")
    (tmp_path / "task.yaml").write_text(
        "steps: [{build: '-t {{.Run.Registry}}/own .'}, {push: ['{{.Run.Registry}}/own']}]"
    )
    config = tmp_path / "docker"
    config.mkdir()
    with services.registry(tmp_path / "registry", ("me", "secret")) as private:
        arguments = ("task", "run", "task.yaml", "--registry", private.host, "--network", "host")
        environ = {"DOCKER_HOST": world.docker, "DOCKER_CONFIG": str(config)}
        refused = prebake(*arguments, **environ)
        assert refused.returncode == 8
        assert "docker login" in refused.stderr
        login = base64.b64encode(b"me:secret").decode()
        (config / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": login}}}))
        assert prebake(*arguments, **environ).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_container(world: Any, tmp_path: Path, number: signal.Signals, start: Any) -> None:
    run_id = f"signal-{int(number)}"
    (tmp_path / "task.yaml").write_text(
        "steps:\n"
        "- {when: ['-'], cmd: '{{.Values.base}} tail -f /dev/null', detach: true}\n"
        "- {when: ['-'], cmd: '{{.Values.base}} tail -f /dev/null', retries: 3}\n"
    )
    with connect(world.docker) as engine:
        process = start("task", "run", "task.yaml", "--set", f"base={world.base}", "--run-id", run_id)
        wait_until(lambda: len(running(engine, run_id)) == 2, process)
        process.send_signal(number)
        process.send_signal(number)
        assert process.wait(60) == 130
        asked: Any = {"label": f"{LABEL}={run_id}"}
        assert engine.containers.list(all=True, filters=asked) == []
        assert engine.volumes.list(filters=asked) == []


@pytest.fixture
def start(world: Any, tmp_path: Path) -> Any:
    def popen(*arguments: str) -> subprocess.Popen[str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": world.docker}
        environ = own | world.environ(tmp_path / "store") | {"PREBAKE_TASK_NETWORK": "host"}
        return subprocess.Popen(
            [PREBAKE, *arguments], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
        )

    return popen


def running(engine: docker.DockerClient, run_id: str) -> list[Any]:
    return engine.containers.list(filters={"label": f"{LABEL}={run_id}"}, ignore_removed=True)


def wait_until(ready: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
