"""Jobs in the tiny world, from a local prefix: what is recorded, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from prebake import Job, Target
from prebake.config.job import Input, Output
from prebake.errors import DefinitionError, SettingsError, SolveError
from prebake.flows.jobs.record import ENDED, Record
from prebake.flows.jobs.store import JobStore
from prebake.flows.jobs.submit import cancel
from prebake.flows.wiring import Workspace
from tiny import PARTS, SETTINGS, tiny_environment, tiny_machine

LOCAL = Target("local")
DEADLINE = 60.0
Submit = Callable[..., Record]


@pytest.fixture(scope="module")
def machine(tiny: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return tiny_machine(tiny, tmp_path_factory.mktemp("machine") / "store")


@pytest.fixture(scope="module")
def environment(tiny: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> prebake.Environment:
    return tiny_environment(f"{tiny.registry}/debian:12", tmp_path_factory.mktemp("definition"), PARTS[:2])


@pytest.fixture
def submit(machine: Workspace, environment: prebake.Environment) -> Submit:
    """Submit a command line to this machine."""

    def run(command: str, wait: bool = True, **more: object) -> Record:
        job = Job(command, environment, **more)  # type: ignore[arg-type]
        return prebake.submit(job, target=LOCAL, wait=wait, workspace=machine)

    return run


@pytest.fixture
def jobs(machine: Workspace) -> JobStore:
    return JobStore(machine.settings.store)


def _until(jobs: JobStore, record: Record, state: str) -> Record:
    deadline = time.monotonic() + DEADLINE
    while (found := jobs.read(record.id)).state != state:
        assert time.monotonic() < deadline and found.state not in ENDED, found
        time.sleep(0.02)
    return found


def _log(jobs: JobStore, record: Record) -> str:
    return jobs.log(record.id).read_text()


def test_what_was_run_is_recorded(submit: Submit, jobs: JobStore, environment: prebake.Environment) -> None:
    ended = submit("echo $GREETING; echo words >&2; exit 7", environment_variables=(("GREETING", "hello"),))
    assert (ended.state, ended.exit_code, ended.error) == ("Failed", 7, "")
    assert set(_log(jobs, ended).splitlines()[-2:]) == {"hello", "words"}
    assert ended.requested <= (ended.prepared or 0) <= (ended.ended or 0)
    ran = ended.order.job.environment
    assert ran and ran.definition == environment.definition
    assert ended.order.reference == f"azureml:{ran.title}"
    assert ended.order.reference.startswith("azureml:CliV2AnonymousEnvironment:")
    assert ended.lock.startswith("sha256:")
    assert "part-a" in (jobs.folder(ended.id) / "conda-lock.yml").read_text()
    assert jobs.read(ended.id) == ended
    assert ended.to_json()["environment"]["definition"]["conda_file"]["channels"] == ["conda-forge"]


def test_lines_of_the_log_do_not_mix(submit: Submit, jobs: JobStore) -> None:
    count = "i=0; while [ $i -lt 200 ]; do printf {0}; printf '{0}\\n'; i=$((i+1)); done"
    ended = submit(f"({count.format('a')}) & ({count.format('b')}) >&2; wait; printf unended")
    lines = _log(jobs, ended).splitlines()
    assert (lines.count("aa"), lines.count("bb"), lines[-1]) == (200, 200, "unended")


def test_the_second_job_shares_the_prefix_and_solves_nothing(submit: Submit, jobs: JobStore) -> None:
    first = submit("cat $CONDA_PREFIX/share/part-a/data | wc -c")
    second = submit("test -x $CONDA_PREFIX/bin/python3.11 || ls $CONDA_PREFIX/share")
    assert (second.state, second.outcome, second.prefix) == ("Completed", "hit", first.prefix)
    assert "solving" not in _log(jobs, second)
    assert (jobs.folder(first.id) / "conda-lock.yml").samefile(jobs.folder(second.id) / "conda-lock.yml")


def test_inputs_and_outputs_have_their_places(submit: Submit, jobs: JobStore, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("data")
    command = "cat ${{inputs.file}} > ${{outputs.own}}/copy; echo ${{inputs.lr}} > ${{outputs.there}}/lr; "
    command += "echo one > ${{outputs.single}}; mkdir -p outputs/sub; echo two > outputs/sub/more"
    inputs = (Input("file", "uri_file", path=tmp_path / "in.txt"), Input("lr", value="0.1"))
    outputs = (Output("own"), Output("there", path=tmp_path / "there"), Output("single", "uri_file"))
    ended = submit(command, inputs=inputs, outputs=outputs)
    kept = jobs.folder(ended.id) / "outputs"
    assert ended.state == "Completed", _log(jobs, ended)
    assert (kept / "own/copy").read_text() == "data"
    assert (tmp_path / "there/lr").read_text() == "0.1\n"
    assert (kept / "single/single").read_text() == "one\n"
    assert (kept / "sub/more").read_text() == "two\n"


def test_code_is_a_snapshot_without_what_is_ignored(submit: Submit, jobs: JobStore, tmp_path: Path) -> None:
    (tmp_path / "src/data").mkdir(parents=True)
    (tmp_path / "src/data/big").write_text("x")
    (tmp_path / "src/.git").mkdir()
    (tmp_path / "src/.git/HEAD").write_text("x")
    (tmp_path / "src/.amlignore").write_text("data/\n*.log\n")
    (tmp_path / "src/run.log").write_text("x")
    (tmp_path / "src/train.sh").write_text("ls -A; cat link\n")
    (tmp_path / "src/link").symlink_to("train.sh")
    (tmp_path / "outside").write_text("from outside")
    (tmp_path / "src/far").symlink_to(tmp_path / "outside")
    first = submit("sh train.sh && cat far", code=tmp_path / "src")
    listed = _log(jobs, first).split()
    assert {"train.sh", "link", "far", ".amlignore", "outputs"} <= set(listed)
    assert not {"data", ".git", "run.log"} & set(listed)
    assert _log(jobs, first).endswith("from outside")
    assert submit("ls", code=tmp_path / "src").code == first.code
    (tmp_path / "src/train.sh").write_text("ls\n")
    assert submit("ls", code=tmp_path / "src").code != first.code
    assert (jobs.folder(first.id) / "code/train.sh").read_text() == "ls -A; cat link\n"


def test_files_beside_the_code(submit: Submit, jobs: JobStore, tmp_path: Path) -> None:
    for name in ("src/train.sh", "common/deep/lib.sh", "one.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    includes = (tmp_path / "common", tmp_path / "one.txt")
    ended = submit("cat train.sh common/deep/lib.sh one.txt", code=tmp_path / "src", includes=includes)
    assert _log(jobs, ended).endswith("xxx")
    assert ended.code != submit("ls", code=tmp_path / "src").code


def test_a_store_within_the_code_is_not_copied(
    tiny: SampleWorld, environment: prebake.Environment, tmp_path: Path
) -> None:
    machine = tiny_machine(tiny, tmp_path / "store")
    (tmp_path / "train.sh").write_text("ls\n")
    ended = prebake.submit(Job("ls", environment, code=tmp_path), target=LOCAL, workspace=machine)
    assert _log(JobStore(tmp_path / "store"), ended).split()[-2:] == ["outputs", "train.sh"]


def test_a_job_without_wait_goes_on_by_itself(submit: Submit, jobs: JobStore) -> None:
    begun = submit("echo done", wait=False)
    assert begun.state == "Queued"
    ended = _until(jobs, begun, "Completed")
    assert ended.exit_code == 0
    assert ended.order == begun.order
    assert _log(jobs, ended).endswith("done\n")


def _running(submit: Submit, jobs: JobStore) -> Record:
    """A job that has begun its command and would go on for ever."""
    begun = submit("echo begun; trap 'exit 3' TERM; while :; do sleep 0.1; done", wait=False)
    _until(jobs, begun, "Running")
    deadline = time.monotonic() + DEADLINE
    while "begun" not in _log(jobs, begun):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return jobs.read(begun.id)


def _gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while (
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_cancel(submit: Submit, jobs: JobStore, machine: Workspace) -> None:
    running = _running(submit, jobs)
    ended = cancel(running.id, machine)
    assert (ended.state, jobs.read(running.id)) == ("Canceled", ended)
    assert ended.ended
    assert cancel(running.id, machine) == ended, "there is nothing left to stop"
    _gone(json.loads((jobs.folder(running.id) / "process.json").read_text())["pid"])


def test_cancel_at_once(submit: Submit, jobs: JobStore, machine: Workspace) -> None:
    begun = submit("sleep 1000", wait=False)
    assert cancel(begun.id, machine).state == "Canceled"
    assert jobs.read(begun.id).state == "Canceled"


def test_a_killed_process_leaves_a_record_that_is_true(
    submit: Submit, jobs: JobStore, machine: Workspace
) -> None:
    running = _running(submit, jobs)
    assert running.runner
    os.kill(running.runner.pid, signal.SIGKILL)
    lost = _until(jobs, running, "Failed")
    assert "the process that ran it is gone" in lost.error
    assert lost.exit_code is None
    cancel(running.id, machine)  # what it left behind
    _gone(json.loads((jobs.folder(running.id) / "process.json").read_text())["pid"])


def test_a_job_ends_at_its_limit(submit: Submit, jobs: JobStore) -> None:
    ended = submit("trap 'exit 0' TERM; while :; do sleep 0.1; done", timeout=1)
    assert (ended.state, ended.exit_code) == ("Failed", 0)
    assert ended.error == "it ran longer than its limit of 1 s"


def test_what_a_command_leaves_behind_ends_with_it(submit: Submit, jobs: JobStore) -> None:
    ended = submit("sleep 1000 & echo $!")
    _gone(int(_log(jobs, ended).split()[-1]))


def test_a_failure_before_the_command(
    tiny: SampleWorld, machine: Workspace, jobs: JobStore, tmp_path: Path
) -> None:
    unknown = tiny_environment(f"{tiny.registry}/debian:12", tmp_path, ["part-zz"])
    with pytest.raises(SolveError):
        prebake.submit(Job("ls", unknown), target=LOCAL, workspace=machine)
    failed = jobs.all()[-1]
    assert (failed.state, failed.exit_code) == ("Failed", None)
    assert "part-zz" in failed.error
    assert "error: " in _log(jobs, failed)


def test_ids_sort_by_time_and_tell_what_is_unknown(submit: Submit, jobs: JobStore) -> None:
    made = [submit("true").id for _ in range(3)]
    assert jobs.ids()[-3:] == made
    (jobs.root / "20990101-000000-000-abcd").mkdir()  # a submission that was killed half-way
    assert jobs.ids()[-3:] == made
    with pytest.raises(SettingsError, match="there is no job") as caught:
        jobs.read(f"{made[0][:-1]}?")
    assert made[0][:-5] in caught.value.hint


def test_nothing_is_left_of_what_is_refused(submit: Submit, jobs: JobStore, machine: Workspace) -> None:
    before = sorted(jobs.root.iterdir())
    with pytest.raises(DefinitionError, match="not on this machine"):
        submit("ls", inputs=(Input("x", "uri_folder", remote="azureml:iris:1"),))
    with pytest.raises(DefinitionError, match="the code folder does not exist"):
        submit("ls", code=Path("nowhere"))
    with pytest.raises(SettingsError, match="nobody"):
        prebake.submit(Job("ls", reference="nobody@latest"), target=LOCAL, workspace=machine)
    assert sorted(jobs.root.iterdir()) == before


def test_submitting_in_python_imports_little(tiny: SampleWorld, machine: Workspace) -> None:
    code = "import sys, prebake; from prebake import Environment, submit; "
    code += "print([name for name in ('pydantic', 'docker', 'sqlalchemy', 'prefect') if name in sys.modules])"
    environ = dict(machine.environ) | SETTINGS | {"PATH": os.environ["PATH"]}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"
