"""Remote runs as people and scripts have them: a real server, a real worker with a store of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO, Any

import pytest

from building import PREBAKE
from conftest import CONDA_FORGE, SampleWorld
from remote import Desk
from tiny import tiny_world
from world.faults import Fault, Proxy, proxy
from world.prefect import plain_environ, prefect, worker
from world.services import free_port

Prebake = Callable[..., CompletedProcess[str]]
Golden = Callable[..., None]
SLOW = 120.0  # seconds that nobody waits for
NOBODY = "http://127.0.0.1:1/api"
REFUSED = {
    "runs-lane-unknown": ("runs", "submit", "env.yml", "--lane", "fast"),
    "runs-timeout-too-short": ("runs", "submit", "env.yml", "--timeout", "60"),
    "runs-timeout-too-long": ("build", "env.yml", "--remote", "--timeout", "28801"),
    "runs-without-a-place": ("runs", "submit", "env.yml"),
    "runs-to-a-folder": ("build", "env.yml", "--remote", "--to", "oci:out"),
    "runs-without-a-server": ("runs", "list"),
    "runs-state-unknown": ("runs", "list", "--state", "Done"),
    "wait-not-a-reference": ("wait", "UPPER/x"),
}


@pytest.fixture(scope="module")
def tiny(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleWorld]:
    with tiny_world(world, tmp_path_factory.mktemp("tiny")) as made:
        yield made


@pytest.fixture(scope="module")
def channel(tiny: SampleWorld) -> Iterator[Proxy]:
    """The channel that the worker sees, which can be slow."""
    with proxy(tiny.static.removeprefix("http://")) as front:
        yield front


@pytest.fixture(scope="module")
def works(tiny: SampleWorld, channel: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A worker's machine."""
    folder = tmp_path_factory.mktemp("works")
    mirror = ("PREBAKE_MIRRORS", f"{CONDA_FORGE}=http://{channel.host}/channel")
    with prefect(folder, free_port()) as api:
        desk = Desk(tiny, folder, api, more=(mirror,))
        with worker(desk.environ, folder / "worker.log"):
            yield desk


@pytest.fixture
def desk(works: Desk, tmp_path: Path) -> Desk:
    return replace(works, folder=tmp_path)


def run(desk: Desk, *arguments: str) -> CompletedProcess[str]:
    command = [PREBAKE, *arguments]
    environ = plain_environ() | desk.environ
    return subprocess.run(command, cwd=desk.folder, env=environ, capture_output=True, text=True, check=False)


def told(desk: Desk, *arguments: str) -> Any:
    done = run(desk, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def start(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    environ = plain_environ() | desk.environ
    command = ["env", "--default-signal=INT", PREBAKE, *arguments]  # a shell in the background ignores it
    return subprocess.Popen(command, cwd=desk.folder, env=environ, stdout=pipe, stderr=pipe, text=True)


def until(stream: IO[str] | None, *words: str) -> str:
    """The line that holds all of `words`; what comes before it is read."""
    assert stream
    seen = []
    for line in stream:
        if all(word in line for word in words):
            return line
        seen.append(line)
    raise AssertionError("".join(seen))


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, prebake: Prebake, golden: Golden, tmp_path: Path, world: SampleWorld) -> None:
    (tmp_path / "env.yml").write_text(f"image: {world.base}\n")
    golden(name, prebake(*REFUSED[name]), 2)


def test_a_silent_server_is_told(prebake: Prebake, golden: Golden) -> None:
    golden("runs-server-down", prebake("runs", "list", PREBAKE_PREFECT_API=NOBODY), 7)


def test_an_unknown_run_and_an_image_that_does_not_come(desk: Desk, golden: Golden) -> None:
    golden("runs-id-unknown", run(desk, "runs", "show", "zzz"), 2)
    late = run(desk, "wait", f"{desk.world.registry}/nobody/there:v1", "--timeout", "0.1")
    golden("wait-too-late", late, 7)


def test_a_remote_build_says_what_a_local_one_says(desk: Desk) -> None:
    file, to = desk.file("ab").name, f"{desk.world.registry}/cli/ab:v1"
    remote = run(desk, "build", "--remote", file, "--to", to)
    assert remote.returncode == 0, remote.stderr
    assert remote.stdout.splitlines()[-1].startswith(f"{to}@sha256:")
    assert "conda: part-a" in remote.stderr
    assert "Succeeded after " in remote.stderr
    assert "Traceback" not in remote.stderr
    again = told(desk, "build", "--remote", file, "--to", to)
    local = told(desk, "build", file, "--to", to)
    assert again.keys() == local.keys()
    assert [again[name] for name in ("reference", "digest", "key")] == [
        local[name] for name in ("reference", "digest", "key")
    ]
    assert {layer["outcome"] for layer in local["layers"]} <= {"hit-workspace", "hit-local"}


def test_a_run_is_submitted_waited_for_and_shown(desk: Desk) -> None:
    made = told(desk, "runs", "submit", desk.file("ac").name)
    waited = told(desk, "wait", made["reference"])
    assert waited["reference"] == f"{made['reference']}@{waited['digest']}"
    shown = told(desk, "runs", "show", made["run"][:13])
    assert shown["state"] == "Succeeded"
    assert [image["digest"] for image in shown["images"]] == [waited["digest"]]
    assert shown["dependencies"][0]["runtime-dependency"]["tag"] == "12"
    assert {"conda: part-c", "assemble"} <= {step["step"] for step in shown["steps"]}
    assert shown["build"]["digest"] == waited["digest"]
    page = run(desk, "runs", "show", made["run"])
    assert waited["reference"] in page.stdout
    assert made["run"] in {each["run"] for each in told(desk, "runs", "list", "--state", "succeeded")["runs"]}
    assert made["run"][:8] in run(desk, "runs", "list").stdout
    assert "conda: part-c" in run(desk, "runs", "logs", made["run"][:13]).stdout


def test_a_run_fails_as_a_local_build_does(desk: Desk) -> None:
    file, to = desk.file("az").name, f"{desk.world.registry}/cli/az:v1"
    local, remote = (
        run(desk, "build", file, "--json"),
        run(desk, "build", "--remote", file, "--json", "--to", to),
    )
    assert (remote.returncode, remote.stdout) == (local.returncode, local.stdout) == (3, "")
    expected, found = json.loads(local.stderr), json.loads(remote.stderr)
    failed = found["facts"].pop("run")
    expected["facts"].pop("file", None)
    assert found == expected
    waited = run(desk, "wait", to)
    assert (waited.returncode, failed in waited.stderr) == (3, True)


def test_the_log_is_live_and_cancel_ends_it(desk: Desk, channel: Proxy) -> None:
    channel.faults.append(Fault(lambda seen: "/part-e-" in seen.path, delay=SLOW))
    with start(desk, "build", "--remote", desk.file("de").name) as building:
        made = until(building.stderr, "run ").split()[1]
        until(building.stderr, "3 layers")
        assert told(desk, "runs", "show", made)["state"] == "Running"
        with start(desk, "runs", "logs", "-f", made[:13]) as following:
            until(following.stdout, "3 layers")
            canceled = run(desk, "runs", "cancel", made)
            assert canceled.returncode == 0
            assert following.wait(120) == 0
        assert "the run was canceled" in until(building.stderr, "error: ")
        assert building.wait(120) == 1
    assert told(desk, "runs", "show", made)["state"] == "Canceled"
    assert "already" in run(desk, "runs", "cancel", made).stdout


def test_an_interrupt_leaves_the_run_going(desk: Desk, channel: Proxy) -> None:
    channel.faults.append(Fault(lambda seen: "/part-g-" in seen.path, delay=SLOW))
    with start(desk, "runs", "submit", "--wait", desk.file("fg").name) as waiting:
        made = until(waiting.stderr, "run ").split()[1]
        until(waiting.stderr, "3 layers")
        waiting.send_signal(signal.SIGINT)
        assert f"prebake runs cancel {made[:8]}" in until(waiting.stderr, "the run goes on")
        assert waiting.wait(120) == 130
    assert told(desk, "runs", "show", made)["state"] == "Running"
    run(desk, "runs", "cancel", made)
