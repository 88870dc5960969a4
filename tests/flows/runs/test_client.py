"""Submissions and runs as callers see them, against a real server whose runs the tests bring into states."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from building import PREBAKE
from conftest import SampleWorld
from prebake.builders.context import unpack
from prebake.cache.reference import Reference
from prebake.config.load import load
from prebake.errors import DefinitionError, PrebakeError, SettingsError, SolveError, Unreachable
from prebake.flows.runs import submitting
from prebake.flows.runs.api import IMPATIENT, Api, connect
from prebake.flows.runs.client import cancel, find, queue_position, runs
from prebake.flows.runs.following import ended, follow, wait
from prebake.flows.runs.submission import Submission
from prebake.flows.runs.submitting import Submitted
from remote import Desk, deploy, failed, lines, put, succeeded
from tiny import Heard, build
from world.faults import Fault, proxy
from world.prefect import plain_environ, prefect
from world.s3 import s3
from world.services import free_port

SOLVE = failed(SolveError("no package satisfies `x`", facts={"channels": "conda-forge"}, hint="relax it"))
DOWN = failed(Unreachable("registry R did not answer"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prefect(tmp_path_factory.mktemp("prefect"), free_port()) as url:
        deploy(Api(url))
        yield url


@pytest.fixture
def api(url: str) -> Api:
    return Api(url)


@pytest.fixture
def desk(tiny: SampleWorld, url: str, tmp_path: Path) -> Desk:
    """A user who asks for what no other test asks for: no run of theirs is his."""
    return Desk(tiny, tmp_path, url, more=(("PREBAKE_PREFIX", f"/opt/{tmp_path.name}"),))


Submit = Callable[..., Submitted]


def run_of(submitted: Submitted) -> Any:
    assert submitted.run
    return submitted.run


def test_the_same_content_is_one_run(desk: Desk) -> None:
    file = desk.file("ab")
    first = desk.submit(file)
    file.write_text(file.read_text() + "# a comment\n")
    again = desk.submit(file, lane="warming", timeout=400)
    renamed = desk.submit(file.rename(file.with_name("other.yml")))
    assert run_of(first).id == run_of(again).id == run_of(renamed).id
    assert (first.note, again.note) == ("", "it was submitted before: this is its run")
    assert str(first.reference) == f"{desk.world.registry}/team/cache/images:{run_of(first).key}"


def test_another_content_place_or_policy_is_another_run(desk: Desk) -> None:
    place = f"{desk.world.registry}/mine/env"
    asked: list[dict[str, Any]] = [{}, {"to": f"{place}:v1"}, {"to": f"{place}:v2"}, {"policy": "max-age=1d"}]
    made = [desk.submit(desk.file("ab"), **each) for each in asked]
    made.append(desk.submit(desk.file("ac")))
    other = replace(desk, more=(*desk.more, ("PREBAKE_COMPRESSION", "zstd")))
    made.append(other.submit(desk.file("ab")))
    assert len({run_of(each).id for each in made}) == 6
    assert [str(each.reference) for each in made[1:3]] == [f"{place}:v1", f"{place}:v2"]


def test_processes_that_submit_at_the_same_instant_get_one_run(desk: Desk) -> None:
    file = desk.file("bc")
    command = [PREBAKE, "runs", "submit", str(file), "--json"]
    stores = [{"PREBAKE_STORE": str(desk.folder / f"store-{number}")} for number in range(3)]
    started = [
        subprocess.Popen(
            command, env=plain_environ() | desk.environ | store, stdout=subprocess.PIPE, text=True
        )
        for store in stores
    ]
    told = [json.loads(process.communicate()[0]) for process in started]
    assert len({each["run"] for each in told}) == 1
    assert len(runs_with(Api(desk.api), told[0]["key"])) == 1


def runs_with(api: Api, key: str) -> list[Any]:
    return [run for run in runs(api) if run.key == key]


def test_the_parameter_is_read_as_it_was_written(desk: Desk, api: Api) -> None:
    run = run_of(desk.submit(desk.file("cd"), lane="curated", timeout=300, step_timeout=60))
    parameter = api.get(f"/flow_runs/{run.id}")["parameters"]["submission"]
    submission = Submission.from_json(parameter)
    assert submission.to_json() == parameter
    assert (submission.terms.lane, submission.terms.timeout, submission.terms.step_timeout) == (
        "curated",
        300,
        60,
    )
    worker = Desk(desk.world, desk.folder / "other", desk.api).workspace
    assert submission.workspace_of(worker).recipe == desk.workspace.recipe != worker.recipe
    assert submission.workspace_of(worker).settings.store == worker.settings.store


def pack_of(desk: Desk, run: Any, folder: Path) -> Submission:
    """The run's submission, unpacked by a machine that has nothing but the workspace."""
    parameter = Api(desk.api).get(f"/flow_runs/{run.id}")["parameters"]["submission"]
    submission = Submission.from_json(parameter)
    store = replace(desk, folder=folder.with_name("elsewhere")).workspace.store(print)
    with store.open(submission.pack.digest) as stream:
        unpack(stream, folder)
    return submission


def test_the_pack_holds_all_that_is_read(desk: Desk, tmp_path: Path) -> None:
    files = {
        "project/env/env.yml": f"image: {desk.world.base}\nconda_file: ../conda/conda.yml\n",
        "project/conda/conda.yml": "dependencies: [python=3.11, {pip: [-r pip/more.txt]}]\n",
        "project/conda/pip/more.txt": "tabulate\n",
        "project/unread.txt": "x",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "project/env/env.yml"
    submission = pack_of(desk, run_of(desk.submit(file)), tmp_path / "unpacked")
    assert load(tmp_path / "unpacked" / submission.file).definition == load(file).definition
    found = {str(path.relative_to(tmp_path / "unpacked")) for path in (tmp_path / "unpacked").rglob("*.*")}
    assert found == {"env/env.yml", "conda/conda.yml", "conda/pip/more.txt"}


def test_the_pack_is_sent_once(desk: Desk) -> None:
    with proxy(desk.world.registry) as front:
        behind = replace(desk, registry=front.host)
        for tag in ("v1", "v2"):
            behind.submit(desk.file("ae"), f"{desk.world.registry}/mine/env:{tag}")
        seen = [each for each in front.seen if each.method == "PUT" and "/blobs/uploads/" in each.path]
    packs = {str(each.digest) for each in packs_of(desk)}
    assert len(packs) == 1
    assert sum(any(pack.partition(":")[2] in each.path for pack in packs) for each in seen) == 1


def packs_of(desk: Desk) -> list[Any]:
    submissions = (api_run["parameters"]["submission"] for api_run in raw_runs(desk))
    return [Submission.from_json(each).pack for each in submissions if desk.folder.name in str(each)]


def raw_runs(desk: Desk) -> list[Any]:
    found: list[Any] = Api(desk.api).pages("/flow_runs/filter", {}, 1000)
    return found


def test_a_pack_may_lie_in_a_bucket(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with s3() as server:
        server.sign_in(monkeypatch)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        team = ("PREBAKE_WORKSPACE", f"s3://{server.make_bucket()}/prebake")
        run = run_of(
            replace(desk, more=(*desk.more, team)).submit(desk.file("aj"), f"{desk.world.registry}/x:1")
        )
        (tmp_path / "elsewhere").mkdir()
        submission = pack_of(replace(desk, more=(team,)), run, tmp_path / "unpacked")
        assert (tmp_path / "unpacked" / submission.file).read_text() == desk.file("aj").read_text()


def docker_file(folder: Path) -> Path:
    (folder / "docker").mkdir()
    (folder / "docker/Dockerfile").write_text("FROM debian:12\nCOPY data /data\n")
    (folder / "docker/.dockerignore").write_text("*.log\n")
    (folder / "docker/data").write_text("1")
    (folder / "docker/noise.log").write_text("1")
    (folder / "env.yml").write_text("build: {path: docker}\n")
    return folder / "env.yml"


def test_a_build_context_is_packed_and_counts_by_content(desk: Desk, tmp_path: Path) -> None:
    file = docker_file(tmp_path)
    first = desk.submit(file)
    (tmp_path / "docker/noise.log").write_text("2")
    assert run_of(desk.submit(file)).id == run_of(first).id
    (tmp_path / "docker/data").write_text("2")
    assert run_of(desk.submit(file)).id != run_of(first).id
    (tmp_path / "elsewhere").mkdir()
    submission = pack_of(desk, run_of(first), tmp_path / "unpacked")
    build = load(tmp_path / "unpacked" / submission.file).definition.build
    assert build
    assert (build.path / "data").read_text() == "1"
    assert not (build.path / "noise.log").exists()


def test_what_cannot_travel_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(
        "image: x\nconda_file: {dependencies: [python, {pip: [./wheels/x.whl]}]}\n"
    )
    with pytest.raises(DefinitionError, match="a file of this machine"):
        desk.submit(tmp_path / "env.yml")
    with pytest.raises(SettingsError, match="delivers to a registry"):
        desk.submit(desk.file("a"), "docker:x")
    bucket = replace(desk, more=(("PREBAKE_WORKSPACE", "s3://bucket/x"),))
    with pytest.raises(SettingsError, match="nothing says where the image goes"):
        bucket.submit(desk.file("a"))
    own = replace(desk, more=(*desk.more, ("PREBAKE_IMAGES", f"{desk.world.registry}/all")))
    submitted = own.submit(desk.file("a"))
    assert str(submitted.reference) == f"{desk.world.registry}/all:{run_of(submitted).key}"


def test_a_credential_in_use_does_not_travel(desk: Desk) -> None:
    index = desk.world.index_url.replace("http://", "http://alice:hunter2-long@")
    behind = replace(desk, more=(*desk.more, ("PREBAKE_PIP_INDEX", index)))
    file = desk.file("ag")
    file.write_text(file.read_text() + "# try hunter2-long\n")
    with pytest.raises(PrebakeError, match="credential") as raised:
        behind.submit(file)
    assert "hunter2" not in str(raised.value)


def test_a_hit_is_delivered_without_a_run(desk: Desk) -> None:
    file = desk.file("bd")
    made, _ = build(load(file), desk.workspace)
    elsewhere = replace(desk, folder=desk.folder / "other", api="http://127.0.0.1:1/api")
    elsewhere.folder.mkdir()
    submitted = elsewhere.submit(file)
    assert (submitted.run, submitted.note) == (None, "it was built before: no run is needed")
    assert submitted.built
    assert submitted.built.image.digest == made.image.digest
    head = desk.workspace.registries.head(submitted.reference)
    assert head == made.image.digest
    assert wait(submitted.reference, desk.workspace, None, 5) == head


@pytest.mark.parametrize("state", ["Started", "Running"])
def test_a_run_that_goes_on_is_joined(desk: Desk, api: Api, state: str) -> None:
    first = run_of(desk.submit(desk.file("ab")))
    put(api, first, state)
    assert run_of(desk.submit(desk.file("ab"))).id == first.id


def test_a_run_that_waits_in_a_later_lane_does_not_hold_a_caller_up(desk: Desk, api: Api) -> None:
    bulk = run_of(desk.submit(desk.file("ab"), lane="warming"))
    urgent = run_of(desk.submit(desk.file("ab")))
    assert urgent.id != bulk.id
    assert run_of(desk.submit(desk.file("ab"), lane="curated")).id == urgent.id
    put(api, bulk, "Running")
    put(api, urgent, "Canceled")
    third = run_of(desk.submit(desk.file("ab"), lane="warming"))
    put(api, third, "Running")
    assert run_of(desk.submit(desk.file("ab"))).id == third.id


@pytest.mark.parametrize("state", ["Canceled", "Error", "Timeout", "Failed", "Succeeded"])
def test_a_run_that_gave_nothing_is_followed_by_another(desk: Desk, api: Api, state: str) -> None:
    """Also one that failed for a reason that may pass, and one whose image is gone."""
    ids = []
    for _ in range(3):
        run = run_of(desk.submit(desk.file("ab")))
        put(api, run, state, DOWN if state == "Failed" else None)
        ids.append(run.id)
    assert len(set(ids)) == 3


def test_a_users_error_stands_for_a_while(desk: Desk, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_of(desk.submit(desk.file("ab")))
    put(api, first, "Failed", SOLVE)
    monkeypatch.setattr(submitting, "NEGATIVE_SECONDS", 3600)
    again = desk.submit(desk.file("ab"))
    assert run_of(again).id == first.id
    assert again.note.startswith("it failed ")
    monkeypatch.setattr(submitting, "NEGATIVE_SECONDS", 0)
    assert run_of(desk.submit(desk.file("ab"))).id != first.id


def test_an_image_serves_until_its_base_moves_or_its_tag_does(desk: Desk, api: Api) -> None:
    base = f"{desk.world.registry}/debian:12"
    base_digest = str(desk.workspace.registries.head(Reference.parse(base)))
    to = f"{desk.world.registry}/debian:12"  # some image that is there
    first = run_of(desk.submit(desk.file("ab"), to))
    put(api, first, "Succeeded", succeeded(to, base_digest, base, base_digest))
    again = desk.submit(desk.file("ab"), to)
    assert (run_of(again).id, again.note) == (first.id, "it was built before: this is its run")
    assert run_of(desk.submit(desk.file("ab"), to, policy="always")).id != first.id
    patched = succeeded(to, base_digest, base, f"sha256:{'0' * 64}")
    put(api, first, "Succeeded", patched)
    second = run_of(desk.submit(desk.file("ab"), to))
    assert second.id != first.id
    put(api, second, "Succeeded", succeeded(to, f"sha256:{'0' * 64}"))
    assert run_of(desk.submit(desk.file("ab"), to)).id != second.id


def test_runs_are_found_by_the_start_of_their_ids(desk: Desk, api: Api) -> None:
    asked = [*(f"a{letter}" for letter in "bcdefghijklmnop"), "bc", "bd"]
    made = [run_of(desk.submit(desk.file(parts))) for parts in asked]
    assert find(api, made[0].id[:18].upper()).id == find(api, made[0].id).id == made[0].id
    for unknown in ("zzz", "", "0" * 8 + "-0000-0000-0000-" + "0" * 12):
        with pytest.raises(SettingsError, match=f"there is no run `{unknown}`"):
            find(api, unknown)
    heads = [run.id[0] for run in made]
    twice = next(head for head in heads if heads.count(head) > 1)  # 17 ids begin with one of 16 digits
    with pytest.raises(SettingsError, match=f"`{twice}` is the start of"):
        find(api, twice)


def test_runs_are_listed_newest_first(desk: Desk, api: Api) -> None:
    first, second = (run_of(desk.submit(desk.file(parts))) for parts in ("ab", "ac"))
    put(api, first, "Running")
    assert [run.id for run in runs(api, 1)] == [second.id]
    late = put(api, run_of(desk.submit(desk.file("ad"))), "Timeout")
    assert late.id in {run.id for run in runs(api, state="Timeout")}
    assert late.id not in {run.id for run in runs(api, state="Failed")}
    running = [run.id for run in runs(api, state="Running")]
    assert first.id in running
    assert second.id not in running


def test_a_queue_is_served_lane_by_lane(desk: Desk, api: Api) -> None:
    for run in runs(api, state="Queued"):
        cancel(api, run)
    asked = (("ab", "warming"), ("ac", "curated"), ("ad", "on-demand"), ("ae", "on-demand"))
    made = [run_of(desk.submit(desk.file(parts), lane=lane)) for parts, lane in asked]
    assert [queue_position(api, run) for run in made] == [3, 2, 0, 1]


def test_cancel(desk: Desk, api: Api) -> None:
    queued, running, done = (run_of(desk.submit(desk.file(parts))) for parts in ("ab", "ac", "ad"))
    put(api, running, "Running")
    put(api, done, "Succeeded")
    assert cancel(api, queued).state == "Canceled"
    assert cancel(api, done).state == "Succeeded"
    asked = cancel(api, running, patience=0.1)  # nobody runs it, so nobody ends it
    assert (asked.state, asked.canceling) == ("Running", True)
    assert run_of(desk.submit(desk.file("ac"))).id != running.id


def test_follow_says_each_line_once_also_the_late_ones(desk: Desk, api: Api) -> None:
    run = run_of(desk.submit(desk.file("ab")))
    heard, first = [], threading.Event()

    def say(line: str) -> None:
        heard.append(line)
        first.set()

    follower = threading.Thread(target=follow, args=(api, run, say))
    follower.start()
    assert first.wait(60)
    put(api, run, "Running")
    lines(api, run, ("2026-01-01T10:00:02Z", "two"), ("2026-01-01T10:00:03Z", "three"))
    while "three" not in heard and follower.is_alive():
        first.clear()
        first.wait(60)
    lines(api, run, ("2026-01-01T10:00:01Z", "one, sent later"))
    put(api, run, "Failed", SOLVE)
    lines(api, run, ("2026-01-01T10:00:04Z", "after the end"))
    follower.join(60)
    assert not follower.is_alive()
    assert heard[-1].startswith("Failed after ")
    said = [line for line in heard[:-1] if not line.startswith("Queued")]
    assert sorted(said) == ["Running", "after the end", "one, sent later", "three", "two"]
    assert said.index("two") < said.index("three") < said.index("after the end")


@pytest.mark.parametrize(
    ("state", "code", "sentence"),
    [
        ("Failed", 3, "no package satisfies `x`"),
        ("Canceled", 1, "the run was canceled"),
        ("Error", 7, "the run broke"),
        ("Timeout", 7, "the step took too long"),
    ],
)
def test_a_run_ends_with_its_own_error(desk: Desk, api: Api, state: str, code: int, sentence: str) -> None:
    late = failed(PrebakeError("the step took too long", facts={"allowed": "600 s"}))
    record = {"Failed": SOLVE, "Timeout": late}.get(state)
    run = put(api, run_of(desk.submit(desk.file("ab"))), state, record)
    with pytest.raises(PrebakeError, match=sentence) as raised:
        ended(api, run)
    assert (raised.value.exit_code, raised.value.retryable) == (code, code == 7)
    assert raised.value.facts["run"] == run.id
    with pytest.raises(PrebakeError, match=sentence):
        wait(Reference.parse(run.to), desk.workspace, api, 5)


def test_wait_until_the_image_is_there(desk: Desk, api: Api) -> None:
    to = Reference.parse(f"{desk.world.registry}/mine/{desk.folder.name.replace('_', '-')}:v1")
    run = put(api, run_of(desk.submit(desk.file("ab"), str(to))), "Running")
    with pytest.raises(PrebakeError, match="not there yet") as raised:
        wait(to, desk.workspace, api, 0.1)
    assert raised.value.exit_code == 7
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(wait(to, desk.workspace, api, 60)))
    waiting.start()
    made, _ = build(load(desk.file("ab")), desk.workspace, str(to))
    assert not found, "the run goes on, and may put another image there"
    put(api, run, "Succeeded", succeeded(str(to), str(made.image.digest)))
    waiting.join(60)
    assert found == [made.image.digest]


def test_runs_and_logs_are_kept_for_30_days(api: Api) -> None:
    vacuum = api.get("/admin/settings")["server"]["services"]["db_vacuum"]
    assert "flow_runs" in vacuum["enabled"]
    assert vacuum["retention_period"] in ("P30D", 2_592_000.0), vacuum["retention_period"]


def test_a_server_that_restarts_is_survived(desk: Desk) -> None:
    with proxy(desk.api.removeprefix("http://").removesuffix("/api")) as front:
        front.faults.append(Fault(lambda seen: True, status=503, times=3))
        assert runs(Api(f"http://{front.host}/api"), 1) is not None
        front.faults.append(Fault(lambda seen: True, status=503, times=IMPATIENT))
        with pytest.raises(Unreachable, match="did not answer"):
            runs(Api(f"http://{front.host}/api"), 1)


def test_a_login_goes_with_each_request_and_into_no_error(desk: Desk) -> None:
    with proxy(desk.api.removeprefix("http://").removesuffix("/api")) as front:
        api = f"http://user:hunter2@{front.host}/api"
        behind = replace(desk, api=api, more=(("PREFECT_API_AUTH_STRING", "alice:wonder"),))
        front.faults.append(Fault(lambda seen: True, status=401, body=b"{}"))
        with pytest.raises(SettingsError, match="refused a request") as raised:
            runs(connect(behind.workspace), 1)
        assert front.seen[0].headers["authorization"] == "Basic YWxpY2U6d29uZGVy"
    assert "PREFECT_API_AUTH_STRING" in raised.value.hint
    assert "hunter2" not in str(raised.value)


def test_a_server_without_workers_is_told(desk: Desk) -> None:
    heard = Heard()
    with proxy(desk.api.removeprefix("http://").removesuffix("/api")) as front:
        unknown = Fault(lambda seen: "/deployments/name/" in seen.path, status=404, body=b"{}")
        front.faults.append(unknown)
        behind = replace(desk, api=f"http://{front.host}/api")
        with pytest.raises(SettingsError, match="knows no build flow"):
            behind.submit(desk.file("ai"), progress=heard)
    assert not heard.messages, "nothing was sent"


def test_another_server_is_not_taken_for_prefect(desk: Desk) -> None:
    with pytest.raises(SettingsError, match="not Prefect's API"):
        runs(Api(f"{desk.world.static}/"), 1)


def test_prefect_is_not_imported(desk: Desk) -> None:
    run = run_of(desk.submit(desk.file("ab")))
    commands = (
        ("runs", "submit", str(desk.file("ah"))),
        ("runs", "list"),
        ("runs", "show", run.id),
        ("runs", "logs", run.id),
        ("runs", "cancel", run.id),
    )
    for command in commands:
        asked = [sys.executable, "-X", "importtime", PREBAKE, *command]
        done = subprocess.run(
            asked, env=plain_environ() | desk.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "prebake.flows.runs.api" in imported
        assert imported.isdisjoint({"prefect", "boto3", "docker", "rattler", "sqlalchemy"})
