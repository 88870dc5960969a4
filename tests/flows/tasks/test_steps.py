"""Steps after ACR's documented patterns, in a real engine and with a real registry."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from prebake.builders.docker import connect
from prebake.cache.reference import Reference
from prebake.config.template import Secret
from prebake.errors import DefinitionError, Unreachable
from prebake.flows.tasks.runner import Terms
from prebake.flows.tasks.states import State

OK, FAILED = State.SUCCESSFUL, State.FAILED
DOCKERFILE = """\
ARG BASE
ARG TOOLS=${BASE}
FROM ${TOOLS} AS tools
ARG GREETING=nobody
ARG MOOD
RUN echo "$GREETING $MOOD" > /greeting
FROM ${BASE}
COPY --from=tools /greeting /greeting
COPY . /src
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    for name, text in {
        "app/Dockerfile": DOCKERFILE,
        "app/kept.txt": "kept",
        "app/notes.md": "ignored",
        "app/.dockerignore": "*.md\n",
        "outside/Dockerfile": DOCKERFILE,
        ".git/config": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_build_run_and_push(
    play: Callable[..., Any], world: Any, context: Path, registry_digest: Callable[[str], str]
) -> None:
    done = play(
        """
version: v1.1.0
env: [MOOD=fine]
steps:
  - id: build
    build: >
      -t $Registry/app:$ID -t app
      --build-arg BASE={{.Values.base}} --build-arg TOOLS={{.Values.base}}-patched
      --build-arg GREETING=hello --build-arg MOOD app
  - id: look
    cmd: app sh -c 'cat /greeting; ls -A /src /workspace'
  - push: [$Registry/app:$ID]
""",
        plan={"context": context},
    )
    assert done.run.error is None, done.log
    assert done.said("look") == [
        "hello fine",
        "/src:",
        ".dockerignore",
        "Dockerfile",
        "kept.txt",
        "",
        "/workspace:",
        "app",
        "outside",
    ]
    (name,) = done.run.images
    assert done.run.images[name] == registry_digest(name)
    pushed, local = done.run.dependencies
    assert pushed["image"]["digest"] == registry_digest(name)
    assert local["image"]["digest"] == ""
    assert pushed["runtime-dependency"]["digest"] == registry_digest(world.base)
    (tools,) = pushed["buildtime-dependency"]
    assert (tools["tag"], tools["digest"]) == ("12-patched", registry_digest(f"{world.base}-patched"))
    assert json.loads(json.dumps(done.run.to_json()))["steps"][0]["state"] == "successful"
    assert any("Step ID: build marked as successful (elapsed time in seconds: " in line for line in done.log)
    assert f"Run ID: {done.run.id} was successful after " in done.log[-1]


@pytest.fixture
def registry_digest(world: Any) -> Callable[[str], str]:
    from prebake.builders.pin import Registries
    from prebake.cache.registry import Repository
    from prebake.cache.transport import Transport

    registries = Registries(lambda each: Repository.of(Transport(lambda _: None), each), frozenset())
    return lambda name: str(registries.head(Reference.parse(name)))


def test_a_build_takes_its_dockerfile_from_outside_and_stops_at_a_target(
    play: Callable[..., Any], context: Path
) -> None:
    done = play(
        """
workingDirectory: app
steps:
  - build: -t early -f ../outside/Dockerfile --build-arg BASE={{.Values.base}} --target tools --label a=b .
  - id: look
    cmd: early sh -c 'cat /greeting; ls / | grep -c src || true'
""",
        plan={"context": context},
    )
    assert done.said("look") == ["nobody ", "0"]


def test_a_build_of_what_a_step_before_wrote(play: Callable[..., Any], context: Path) -> None:
    done = play(
        """
steps:
  - cmd: "{{.Values.base}} sh -c 'mkdir gen; echo FROM {{.Values.base}} > gen/Dockerfile'"
  - build: -t generated gen
  - build: -t generated nowhere
""",
        plan={"context": context},
    )
    assert [step.state for step in done.run.steps] == [OK, OK, FAILED]
    assert done.run.error.sentence == "step `acb_step_2` builds what is not in the workspace"
    assert done.run.error.facts["found"] == "/workspace/nowhere"


def test_a_failing_build_shows_the_engines_words(play: Callable[..., Any], context: Path) -> None:
    (context / "app/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN exit 3\n")
    done = play("steps: [{build: '-t x --build-arg BASE={{.Values.base}} app'}]", plan={"context": context})
    assert done.run.state == "Failed"
    assert "returned a non-zero code: 3" in done.run.error.facts["reason"]


BUILDKIT = """
steps:
  - id: build
    build: -t kit:1 --build-arg BASE={{.Values.base}} {{.Values.secret}} app
    env: [DOCKER_BUILDKIT=1, TOKEN=given]
  - cmd: kit:1 test -e /cached
"""


@pytest.mark.parametrize("path", ["/usr/bin:/bin", ""])
def test_buildkit_comes_through_the_docker_cli(
    play: Callable[..., Any], world: Any, context: Path, path: str
) -> None:
    mounts = (
        "--mount=type=cache,target=/c --mount=type=secret,id=t grep given /run/secrets/t && " if path else ""
    )
    (context / "app/Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN {mounts}touch /cached\n")
    environ = {"PATH": path, "DOCKER_HOST": world.docker}
    secret = "--secret id=t,env=TOKEN" if path else ""
    done = play(BUILDKIT, plan={"context": context, "environ": environ}, secret=secret)
    assert done.run.error is None, done.log
    assert any("classic builder is used" in line for line in done.log) == (not path)
    assert done.run.dependencies[0]["runtime-dependency"]["digest"].startswith("sha256:")


def test_a_server_in_the_background_is_found_by_its_step(play: Callable[..., Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = (
        "use IO::Socket::INET; $s = IO::Socket::INET->new(Listen => 5, ReuseAddr => 1, "
        "LocalAddr => q(127.0.0.1), LocalPort => $ENV{PORT}); "
        "while ($c = $s->accept) { print $c qq(hello\\n); close $c }"
    )
    ask = "until exec 3<>/dev/tcp/server/$PORT; do sleep 0.05; done 2>/dev/null; cat <&3"
    done = play(
        f"""
env: [PORT={port}]
steps:
  - id: server
    cmd: {{{{.Values.base}}}} perl -e '{serve}'
    detach: true
  - id: ask
    cmd: {{{{.Values.base}}}} bash -c '{ask}'
    timeout: 60
"""
    )
    assert done.states == {"server": OK, "ask": OK}
    assert done.said("ask") == ["hello"]


def test_what_a_container_is_given(play: Callable[..., Any]) -> None:
    done = play(
        """
workingDirectory: sub
env: [A=task, B=task]
steps:
  - id: look
    cmd: "{{.Values.base}} -c 'pwd; id -u; echo $A $B; ulimit -c; printf end'"
    entryPoint: sh
    user: "1000"
    env: [B=step]
    cpus: 1
    privileged: true
    ports: ["8080:80"]
    expose: [81]
  - id: image
    cmd: "{{.Values.base}} pwd"
    disableWorkingDirectoryOverride: true
"""
    )
    warning, *lines = done.said("look")
    assert warning.startswith("warning: `ports` map nothing in the host's network")
    assert lines[:3] == ["/workspace/sub", "1000", "task step"]
    assert lines[-1] == "end"
    assert done.said("image") == ["/"]


def test_workspace_and_home_go_from_step_to_step(play: Callable[..., Any]) -> None:
    done = play(
        """
steps:
  - cmd: "{{.Values.base}} sh -c 'echo here > file; echo home > ~/file'"
  - id: read
    cmd: "{{.Values.base}} sh -c 'cat file ~/file'"
"""
    )
    assert done.said("read") == ["here", "home"]


def test_retries_repeats_and_ignored_errors(play: Callable[..., Any]) -> None:
    done = play(
        """
steps:
  - id: third
    cmd: "{{.Values.base}} sh -c 'echo try >> third; test $(wc -l < third) -ge 3'"
    retries: 4
    retryDelay: 0
  - id: known
    cmd: "{{.Values.base}} sh -c 'echo try >> known; echo again; false'"
    retries: 2
    retryDelay: 0
    retryOnErrors: [again]
    ignoreErrors: true
  - id: unknown
    cmd: "{{.Values.base}} sh -c 'echo try >> unknown; false'"
    retries: 2
    retryOnErrors: [again]
    ignoreErrors: true
  - id: repeated
    cmd: "{{.Values.base}} sh -c 'echo try >> repeated'"
    repeat: 2
  - id: count
    cmd: "{{.Values.base}} sh -c 'wc -l third known unknown repeated'"
"""
    )
    assert set(done.states.values()) == {OK}
    counted = [line.split() for line in done.said("count")]
    assert counted[:4] == [["3", "third"], ["3", "known"], ["1", "unknown"], ["3", "repeated"]]
    assert any("set to ignore errors" in line for line in done.log)


def test_an_image_that_cannot_be_pulled_is_tried_again(play: Callable[..., Any]) -> None:
    done = play(
        "steps: [{cmd: '{{.Run.Registry}}/no/such', pull: true, cmdDownloadRetries: 2}]",
    )
    assert done.run.error.sentence == "the Docker Engine cannot pull an image"
    assert sum("waiting 0 seconds" in line for line in done.log) == 2
    again = play("steps: [{cmd: '{{.Values.base}} true', pull: true}]")
    assert any("Image is up to date" in line or "Downloaded newer" in line for line in again.log)


def test_a_push_is_tried_three_times(play: Callable[..., Any], context: Path) -> None:
    done = play(
        """
steps:
  - build: -t 127.0.0.1:1/x --build-arg BASE={{.Values.base}} app
  - push: [127.0.0.1:1/x, "127.0.0.1:1/x:latest"]
""",
        plan={"context": context},
    )
    assert done.run.error.sentence == "an image cannot be pushed"
    assert [line.partition("] ")[2] for line in done.log if "Pushing image" in line] == [
        f"Pushing image: 127.0.0.1:1/x:latest, attempt {attempt}" for attempt in (1, 2, 3)
    ]


def test_an_image_that_nobody_built_is_not_pushed(play: Callable[..., Any]) -> None:
    done = play("steps: [{push: ['{{.Run.Registry}}/nobody/built:this']}]")
    assert done.run.error.sentence == "the image to push is not there"


def test_secrets_reach_containers_and_nothing_else(play: Callable[..., Any]) -> None:
    done = play(
        """
secrets: [{id: token, env: TOKEN}]
volumes:
  - name: keys
    secret:
      token: {{.Secrets.token | b64enc}}
      plain: {{"plain" | b64enc}}
steps:
  - id: print
    cmd: >
      {{.Values.base}} sh -c
      'cat /keys/plain; wc -c < /keys/token; cat /keys/token; echo; echo $PAT; echo {{.Values.pat}}'
    env: ["PAT='{{.Values.pat}}'"]
    volumeMounts: [{name: keys, mountPath: /keys}]
  - cmd: "{{.Values.base}} no-such-{{.Values.pat}}"
""",
        pat=Secret("hunter2 two"),
    )
    assert done.said("print") == ["plain13", "***", "***", "***"]
    assert done.states["acb_step_1"] is FAILED
    everything = "\n".join([*done.log, json.dumps(done.run.to_json()), str(done.run.error), repr(done.run)])
    assert "hunter2" not in everything


def test_what_a_flow_would_log_of_a_failure_has_no_secret(play: Callable[..., Any]) -> None:
    logged: list[str] = []

    def around(title: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception:
            logged.append(traceback.format_exc())
            raise

    play(
        "steps: [{cmd: '{{.Values.base}} no-such-{{.Values.pat}}'}]",
        Terms(around=around),
        pat=Secret("hunter2"),
    )
    assert "StepFailed" in logged[0]
    assert "hunter2" not in logged[0]


def test_a_file_of_a_volume_that_is_not_base64(play: Callable[..., Any]) -> None:
    with pytest.raises(DefinitionError, match="is not base64"):
        play("volumes: [{name: v, secret: {k: '***'}}]\nsteps: [{cmd: '{{.Values.base}}'}]")


def test_an_engine_that_is_not_there(play: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        play("steps: [{cmd: x}]", plan={"connect": partial(connect, f"unix://{tmp_path}/none.sock")})


def test_networks_are_made_or_the_host_stands_in(play: Callable[..., Any]) -> None:
    done = play(
        """
networks: [{name: odd, driver: host}, {name: own}]
steps:
  - {id: odd, cmd: "{{.Values.base}} true", network: odd}
  - {id: host, cmd: "{{.Values.base}} true", network: host}
"""
    )
    assert set(done.states.values()) == {OK}
    assert sum("no network odd, the host's is used instead" in line for line in done.log) == 1
    assert any("Executing step ID: odd." in line and "Network: 'host'" in line for line in done.log)


def test_the_engines_socket_only_on_demand(play: Callable[..., Any], world: Any) -> None:
    look = "test -S /var/run/docker.sock && echo there; true"
    text = f"steps:\n- id: look\n  cmd: {{{{.Values.base}}}} sh -c '{look}'\n"
    assert play(text).said("look") == []
    socket_path = Path(world.docker.removeprefix("unix://"))
    assert play(text, plan={"socket": socket_path}).said("look") == ["there"]
