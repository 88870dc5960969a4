"""ACR task files as values: defaults, order, aliases, secrets, and what is said of what means nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prebake.config.task import Attempts, Build, Command, Mount, Push, Step, TaskFile
from prebake.config.task_file import Given, read_task, read_values
from prebake.config.template import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = {
    "ID": "r1",
    "Registry": "reg.example.com",
    "RegistryName": "reg",
    "OS": "linux",
    "Date": "20260101-000000z",
}


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[..., TaskFile]:
    def task(text: str, **more: Any) -> TaskFile:
        files = {"task.yaml": text} | more.pop("files", {})
        environ = more.pop("environ", {})
        return read_task(write(files), Given(RUN, more, environ))

    return task


def only(task: TaskFile) -> Step:
    (step,) = task.steps
    return step


def test_the_defaults_of_a_step(read: Callable[..., TaskFile]) -> None:
    task = read("steps:\n  - cmd: bash:3.0 echo 'hello world'\n")
    step = only(task)
    assert (task.version, step.id, step.parents) == ("v1.0.0", "acb_step_0", ())
    assert step.action == Command("bash:3.0", ("echo", "hello world"))
    assert (step.timeout, step.start_delay, step.ignore_errors, step.attempts) == (600, 0, False, Attempts())
    assert (step.container.folder, step.container.env, step.container.network) == ("/workspace", (), None)
    assert task.warnings == ()


def test_everything_a_step_can_say(read: Callable[..., TaskFile]) -> None:
    task = read(
        """
version: V1.0.0
stepTimeout: 60
workingDirectory: src
env: [A=task, B=task]
networks: [{name: own, driver: bridge, ipv6: no, isDefault: true}, {name: theirs, skipCreation: yes}]
volumes: [{name: keys, secret: {k: aGk=}}]
steps:
  - id: one
    cmd: app
    when: ["-"]
    timeout: 5
    startDelay: 1
    retries: 2
    retryDelay: 0
    retryOnErrors: [again]
    repeat: 3
    ignoreErrors: true
    keep: true
    detach: true
    privileged: true
    pull: true
    cmdDownloadRetries: 4
    cmdDownloadRetryDelay: 6
    env: [A=step, "C='x y'", D=x y, E=]
    workingDirectory: /else
    entryPoint: sh -c
    user: "1000:0"
    network: theirs
    cpus: 0.5
    ports: ["8080:80", 81]
    expose: [82]
    volumeMounts: [{name: keys, mountPath: /run/keys}]
  - cmd: app
    disableWorkingDirectoryOverride: true
"""
    )
    one, two = task.steps
    own = one.container
    assert (one.timeout, one.start_delay, one.ignore_errors) == (5, 1, True)
    assert one.attempts == Attempts(2, 0, ("again",), 3)
    assert dict(own.env) == {"A": "step", "B": "task", "C": "x y", "D": "x y", "E": ""}
    assert (own.keep, own.detach, own.privileged, own.pull) == (True, True, True, True)
    assert (own.pull_retries, own.pull_retry_delay, own.cpus) == (4, 6, 0.5)
    assert (own.folder, own.entry_point, own.user, own.network) == ("/else", ("sh", "-c"), "1000:0", "theirs")
    assert (own.ports, own.expose) == (("8080:80", "81"), ("82",))
    assert own.mounts == (Mount("keys", "/run/keys"),)
    assert (two.id, two.parents, two.timeout, two.container.folder) == ("acb_step_1", ("one",), 60, None)
    assert [(each.name, each.is_default, each.skip_creation) for each in task.networks] == [
        ("own", True, False),
        ("theirs", False, True),
    ]
    assert task.warnings == ()


def test_builds_and_pushes(read: Callable[..., TaskFile]) -> None:
    task = read(
        """
version: v1.1.0
env: [TOKEN=t]
steps:
  - build: >
      -t $Registry/app:$ID --tag=other -f src/Dockerfile --build-arg A=1 --build-arg "B=two words"
      --build-arg TOKEN --target run --no-cache --pull --platform linux/amd64 --cache-from a
      --add-host db:10.0.0.1 --label x=y --network host --rm src
  - build: -t app --secret id=x . --progress plain
    env: [DOCKER_BUILDKIT=1]
    pull: true
  - push: [$Registry/app:$ID, other, other:latest, "$Registry/app:$ID"]
"""
    )
    first, second, push = (step.action for step in task.steps)
    assert first == Build(
        tags=("reg.example.com/app:r1", "other:latest"),
        context="src",
        dockerfile="src/Dockerfile",
        target="run",
        platform="linux/amd64",
        network="host",
        arguments=(("A", "1"), ("B", "two words"), ("TOKEN", None)),
        labels=(("x", "y"),),
        hosts=(("db", "10.0.0.1"),),
        cache_from=("a",),
        no_cache=True,
        pull=True,
    )
    assert isinstance(second, Build)
    assert (second.buildkit, second.pull, second.extra) == (
        True,
        True,
        ("--secret", "id=x", "--progress", "plain"),
    )
    assert push == Push(("reg.example.com/app:r1", "other:latest"))


def test_when_orders_steps(read: Callable[..., TaskFile]) -> None:
    task = read(
        """
steps:
  - {id: a, cmd: x, when: ["-"]}
  - {id: b, cmd: x, when: ["-"]}
  - {id: c, cmd: x, when: [a, b, a]}
  - {cmd: x}
  - {id: early, cmd: x, when: [late]}
  - {id: late, cmd: x, when: [a]}
"""
    )
    assert {step.id: step.parents for step in task.steps} == {
        "a": (),
        "b": (),
        "c": ("a", "b"),
        "acb_step_3": ("c",),
        "early": ("late",),
        "late": ("a",),
    }


def test_aliases(read: Callable[..., TaskFile]) -> None:
    task = read(
        """
version: v1.1.0
alias:
  src: [first.yaml, second.yaml]
  directive: "@"
  values:
    app: "{{.Values.name}}:v1"
    bash: my/bash
steps:
  - cmd: "@app @a @b @OS @@app $OS @unknown"
  - cmd: bash -c true
  - cmd: curl x
""",
        files={"first.yaml": "a: first\nb: first\n", "second.yaml": "b: second\napp: lost\n"},
        name="app",
    )
    commands = [step.action for step in task.steps]
    assert commands[0] == Command("app:v1", ("first", "second", "linux", "@app", "$OS", "@unknown"))
    assert commands[1] == Command("my/bash:latest", ("-c", "true"))
    assert commands[2] == Command("mcr.microsoft.com/acr/curl:2ff604c", ("x",))


def test_older_versions_have_no_aliases(read: Callable[..., TaskFile]) -> None:
    task = read("version: v1.0.0\nalias: {values: {x: y}}\nsteps: [{cmd: bash echo $ID $x}]\n")
    assert only(task).action == Command("bash:latest", ("echo", "$ID", "$x"))
    assert [warning.partition(": ")[2] for warning in task.warnings] == [
        "`alias` is ignored: aliases need `version: v1.1.0`"
    ]


def test_values_come_as_written_and_nest(read: Callable[..., TaskFile], write: Callable[..., Path]) -> None:
    values = read_values(write({"values.yaml": "version: 1.10\nflag: yes\na: {b: c}\nnone:\n"}))
    assert values == {"version": "1.10", "flag": "yes", "a": {"b": "c"}, "none": ""}
    task = read("steps: [{cmd: 'x {{.Values.version}} {{.Values.a.b}}'}]", **values)
    assert only(task).action == Command("x:latest", ("1.10", "c"))


SECRETIVE = """
secrets:
  - id: from-env
    env: TOKEN
  - id: fromFile
    file: key.pem
  - id: vaulted
    keyvault: https://vault.example/secrets/x
volumes:
  - name: keys
    secret:
      key: {{.Secrets.fromFile | b64enc}}
steps:
  - cmd: app --key {{.Secrets.vaulted}}
    env: ["PAT='{{.Values.pat}}'"]
    volumeMounts: [{name: keys, mountPath: /keys}]
  - build: --build-arg PAT={{.Values.pat}} https://{{.Values.pat}}@git.example/x.git
"""


def test_secrets_are_tokens_until_they_are_revealed(read: Callable[..., TaskFile]) -> None:
    task = read(
        SECRETIVE,
        files={"key.pem": "BEGIN hunter2\nEND hunter2\n"},
        environ={"TOKEN": "hunter2-env"},
        pat=Secret("hunter2-pat"),
        vaulted=Secret("hunter2-vault"),
    )
    assert "hunter2" not in repr(task)
    command, build = (step.action for step in task.steps)
    assert isinstance(command, Command)
    assert isinstance(build, Build)
    assert task.reveal(command.arguments[1]) == "hunter2-vault"
    assert task.reveal(dict(task.steps[0].container.env)["PAT"]) == "hunter2-pat"
    assert task.reveal(build.context) == "https://hunter2-pat@git.example/x.git"
    assert {"hunter2-env", "hunter2-pat", "hunter2-vault", "BEGIN hunter2\nEND hunter2"} < set(task.hidden)


def test_what_means_nothing_is_said(read: Callable[..., TaskFile], tmp_path: Path) -> None:
    task = read(
        """
versoin: v1.1.0
env: ["A=1,2"]
networks: [{name: n, drivr: x}]
steps:
  - cmd: x a && b
    isolation: default
    exitedWith: [0]
    retires: 3
  - build: .
    cache: enabled
    privileged: true
  - push: [x]
    retries: 3
    env: [A=b]
"""
    )
    assert [warning.replace(f"{tmp_path}/task.yaml:", "") for warning in task.warnings] == [
        "2: key `versoin` is ignored, did you mean `version`?",
        "3: ACR splits an entry of the task's `env` at commas; here it is one variable",
        "4: key `drivr` is ignored, did you mean `driver`?",
        "9: key `retires` is ignored, did you mean `retries`?",
        "7: `isolation` is ignored: Linux containers have no isolation mode",
        "8: `exitedWith` is ignored: ACR reads it and does nothing with it either",
        "6: `&&` goes to the container as it is: no shell reads a cmd here; "
        "write bash -c '...' with the whole command in quotes",
        "11: `cache` is ignored: the engine keeps its build cache from run to run",
        "12: `privileged` is ignored: `docker build` runs in the engine, not in a container of the step",
        "14: `retries` is ignored: a push is tried three times anyway",
        "15: `env` is ignored: a push runs no container",
    ]
