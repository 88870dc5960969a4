"""Hundreds of faults between builds and a workspace: a build ends right or says why; nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import xxhash

import prebake
from building import damaged_files
from conftest import SampleWorld
from prebake.builders.plan import PlannedLayer
from prebake.builders.results import LayerResult
from prebake.cache.bucket import Bucket
from prebake.cache.digest import Digest
from prebake.cache.request import Patience
from prebake.cache.s3 import S3Store
from prebake.cache.signed import make_key
from prebake.cache.store import Reason, Trace, layer_to_json
from prebake.cache.transport import Transport
from prebake.errors import PrebakeError
from prebake.flows.ensure import Built
from prebake.flows.wiring import Workspace
from tiny import PARTS, build, outcomes, tiny_environment, tiny_machine
from world import services
from world.faults import Fault, Proxy, Seen, proxy
from world.s3 import s3

SCENARIOS, FAULTS_EACH, TEAMS = 50, 6, 10
# As usual, in less time: attempts are what survives faults.
HASTY = Patience(connect=2, read=5, attempts=4, backoff=0.02)


@dataclass(frozen=True)
class Front:
    """A registry with a proxy before it, and the sample world whose images are there."""

    tiny: SampleWorld
    proxy: Proxy

    @property
    def base(self) -> str:
        return f"{self.proxy.host}/debian:12"

    def machine(self, store: Path, team: int, **settings: str) -> Workspace:
        place = {"PREBAKE_WORKSPACE": f"{self.proxy.host}/team-{team}/cache"}
        machine = tiny_machine(self.tiny, store, **place, **settings)
        vars(machine)["transport"] = Transport(lambda _: None, patience=HASTY)
        return machine


@pytest.fixture(scope="module")
def front(tiny: SampleWorld) -> Iterator[Front]:
    with proxy(tiny.registry) as made:
        yield Front(tiny, made)


def flipped(body: bytes, place: float) -> bytes:
    """The body with one bit of one byte turned."""
    if not body:
        return body
    at = int(place * len(body))
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def random_fault(dice: random.Random, front: Proxy) -> tuple[str, Fault]:
    """A fault that strikes the first fitting request after a random number of requests."""
    after, place = len(front.seen) + dice.randrange(50), dice.random()

    def due(*methods: str) -> Callable[[Seen], bool]:
        return lambda seen: len(front.seen) > after and (not methods or seen.method in methods)

    anything, upload = (
        due(),
        lambda seen: due("PUT", "PATCH")(seen) and seen.headers.get("content-length") != "0",
    )
    kinds = {
        "429": Fault(anything, 429, {"Retry-After": dice.choice("001")}),
        "500": Fault(anything, 500),
        "503": Fault(anything, 503, {"Retry-After": "0"}),
        "answer cut": Fault(due("GET"), cut=dice.choice((0, 1, 100, 2000))),
        "no answer": Fault(anything, deaf=0),
        "upload cut": Fault(upload, deaf=dice.choice((1, 100, 2000))),
        "slow": Fault(anything, delay=0.2),
        "bytes changed": Fault(due("GET"), altered=lambda body: flipped(body, place)),
    }
    kind = dice.choice(sorted(kinds))
    return kind, kinds[kind]


def test_no_history_of_faults_loses_anything(front: Front, tmp_path: Path) -> None:
    injected: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    clean = tiny_machine(front.tiny, tmp_path / "clean")
    for number in range(SCENARIOS):
        dice = random.Random(number)
        folder, team = tmp_path / str(number), number % TEAMS
        environment = tiny_environment(front.base, folder, dice.sample(PARTS, 3))
        expected = prebake.ensure(environment, workspace=clean).image.digest
        to = f"{front.proxy.host}/team-{team}/env:v{number}"
        faults = [random_fault(dice, front.proxy) for _ in range(FAULTS_EACH)]
        front.proxy.faults[:] = [fault for _, fault in faults]
        lazy = {"PREBAKE_FILL": dice.choice(("lazy", "eager"))}
        try:
            built = prebake.ensure(environment, to=to, workspace=front.machine(folder / "a", team, **lazy))
            assert built.image.digest == expected, number
            endings["right"] += 1
        except PrebakeError as error:
            endings[f"{type(error).__name__}: {error.sentence}"] += 1
        front.proxy.faults.clear()
        injected.update(kind for kind, fault in faults if not fault.times)
        other = front.machine(folder / "b", team, PREBAKE_FILL="eager")
        again, heard = build(environment, other, to)
        assert again.image.digest == expected, number
        assert heard.warnings() == [], number
        assert not other.local.missing(again.image.blobs), number
        assert damaged_files(other.local.root) + damaged_files(folder / "a") == [], number
        assert prebake.verify(again.reference, workspace=other).ok, number
    assert injected.total() >= 200
    assert len(injected) == 8
    assert endings["right"] > SCENARIOS // 2


@dataclass(frozen=True)
class Team:
    """Machines that share a workspace, and what can be done to its storage behind their back."""

    tiny: SampleWorld
    folder: Path
    place: str
    empty: Callable[[], object]
    spoil: Callable[[Digest], object]

    def machine(self, name: str, **settings: str) -> Workspace:
        machine = tiny_machine(self.tiny, self.folder / name, PREBAKE_WORKSPACE=self.place, **settings)
        vars(machine)["transport"] = Transport(lambda _: None, patience=HASTY)
        return machine

    def environment(self, *parts: str) -> prebake.Environment:
        return tiny_environment(self.tiny.base, self.folder, parts)


@pytest.fixture(params=["registry", "s3"])
def team(request: Any, tiny: SampleWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    if request.param == "registry":
        with services.registry(tmp_path / "registry") as own:
            storage = tmp_path / "registry" / "docker"
            blobs = storage / "registry/v2/blobs/sha256"

            def cut(digest: Digest) -> None:
                path = blobs / digest.hex[:2] / digest.hex / "data"
                os.truncate(path, path.stat().st_size // 2)

            yield Team(tiny, tmp_path, f"{own.host}/cache", partial(shutil.rmtree, storage), cut)
        return
    with s3() as server:
        server.sign_in(monkeypatch)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        bucket = server.make_bucket()
        store = S3Store(Bucket.parse(f"s3://{bucket}/cache"))

        def replace_bytes(digest: Digest) -> None:
            with store.open(digest) as stream:
                server.put(f"{bucket}/{store.name(digest)}", flipped(stream.read(), 0.5))

        def empty() -> None:
            traces, blobs = store.list_all()
            store.delete([*(trace.key for trace in traces), *(blob.digest for blob in blobs)])

        yield Team(tiny, tmp_path, f"s3://{bucket}/cache", empty, replace_bytes)


def test_a_workspace_emptied_between_two_machines(team: Team) -> None:
    environment = team.environment(*PARTS[:3])
    first = prebake.ensure(environment, workspace=team.machine("a"))
    team.empty()
    second = prebake.ensure(environment, workspace=team.machine("b"))
    assert (outcomes(second), second.image.digest) == ({"built"}, first.image.digest)
    third = prebake.ensure(environment, workspace=team.machine("c", PREBAKE_FILL="eager"))
    assert (outcomes(third), third.image.digest) == ({"hit-workspace"}, first.image.digest)


def test_a_workspace_emptied_between_two_builds_of_a_machine(team: Team) -> None:
    """It remembers that the workspace has layers which both environments share."""
    machine, environment = team.machine("a"), team.environment(*PARTS[1:4])
    prebake.ensure(team.environment(*PARTS[:3]), workspace=machine)
    team.empty()
    expected = prebake.ensure(environment, workspace=tiny_machine(team.tiny, team.folder / "clean"))
    built = prebake.ensure(environment, workspace=machine)
    assert built.image.digest == expected.image.digest
    other = prebake.ensure(environment, workspace=team.machine("b"))
    assert other.image.digest == expected.image.digest
    last, heard = build(environment, team.machine("c", PREBAKE_FILL="eager"))
    assert (outcomes(last), last.image.digest) == ({"hit-workspace"}, expected.image.digest)
    assert heard.warnings() == []


@pytest.mark.parametrize("fill", ["lazy", "eager"])
def test_a_layer_damaged_in_storage_is_reported_and_made_again(team: Team, fill: str) -> None:
    environment = team.environment(*PARTS[:3])
    first = prebake.ensure(environment, workspace=team.machine("a"))
    team.spoil(first.image.layers[0].layer.digest)
    machine, to = team.machine("b", PREBAKE_FILL=fill), f"{team.tiny.registry}/{team.folder.name}/env:v1"
    second, heard = build(environment, machine, to)
    assert second.image.digest == first.image.digest
    assert heard.warnings()
    assert damaged_files(machine.local.root) == []
    assert prebake.verify(second.reference, workspace=machine).ok
    third, heard = build(environment, team.machine("c", PREBAKE_FILL="eager"))
    assert third.image.digest == first.image.digest
    if team.place.startswith("s3:"):  # docker-registry keeps what it has until an administrator acts
        assert (outcomes(third), heard.warnings()) == ({"hit-workspace"}, [])


def tamper(machine: Workspace, layer: LayerResult, change: Callable[[Trace], Trace]) -> None:
    """Record another trace in the workspace under the layer's key."""
    assert isinstance(layer.planned, PlannedLayer)
    traces = machine.remote[0].traces
    found = traces.look(layer.planned.key, layer.planned.inputs)
    assert isinstance(found, Trace)
    traces.record(change(found))


def test_a_trace_of_other_inputs_is_a_collision(team: Team) -> None:
    machine = team.machine("a")
    first = prebake.ensure(team.environment(*PARTS[:3]), workspace=machine)
    for layer in first.image.layers:
        tamper(machine, layer, lambda trace: replace(trace, inputs={**trace.inputs, "depends": ["other"]}))
    second, heard = build(team.environment(*PARTS[:2]), team.machine("b"))
    expected = prebake.ensure(
        team.environment(*PARTS[:2]), workspace=tiny_machine(team.tiny, team.folder / "clean")
    )
    assert (outcomes(second), second.image.digest) == ({"built"}, expected.image.digest)
    assert [message for message in heard.warnings() if Reason.COLLISION.value in message]


def test_what_a_stranger_recorded_is_not_believed(team: Team, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    public = make_key(key).public_text
    writer = {"PREBAKE_SIGNING_KEY": str(key), "PREBAKE_WORKSPACE_WRITERS": public}
    machine = team.machine("a", **writer)
    first = prebake.ensure(team.environment(*PARTS[:3]), workspace=machine)
    wrong = {"layer": layer_to_json(first.image.layers[0].layer)}
    last = first.image.layers[-1]
    tamper(team.machine("stranger"), last, lambda trace: replace(trace, outputs={**trace.outputs, **wrong}))
    second, heard = build(team.environment(*PARTS[:2]), team.machine("b", **writer))
    clean = tiny_machine(team.tiny, team.folder / "clean")
    expected = prebake.ensure(team.environment(*PARTS[:2]), workspace=clean)
    assert second.image.digest == expected.image.digest
    key_of_last = str(last.planned.key)
    told = [message for message in heard.warnings() if Reason.UNTRUSTED.value in message]
    assert bool(told) == (key_of_last in [str(layer.planned.key) for layer in second.image.layers])


@dataclass(frozen=True)
class Weak:
    """xxhash with few keys for what has `text` in it, so that they collide."""

    text: bytes
    keys: int

    def __getattr__(self, name: str) -> Any:
        return getattr(xxhash, name)

    def xxh3_128_hexdigest(self, data: bytes) -> str:
        if self.text not in data:
            return xxhash.xxh3_128_hexdigest(data)
        return f"{xxhash.xxh3_64_intdigest(data) % self.keys:032x}"


@pytest.mark.parametrize("weak", [Weak(b"", 1), Weak(b"", 16), Weak(b'"recipe":"conda/1"', 1)])
def test_colliding_keys_make_no_wrong_image(
    tiny: SampleWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weak: Weak
) -> None:
    dice = random.Random(16)
    environments = [tiny_environment(tiny.base, tmp_path, dice.sample(PARTS, 4)) for _ in range(8)]
    alone = tiny_machine(tiny, tmp_path / "alone")
    expected = [diff_ids(prebake.ensure(each, workspace=alone)) for each in environments]
    monkeypatch.setattr("prebake.cache.digest.xxhash", weak)
    machine = tiny_machine(tiny, tmp_path / "weak")
    built = [build(each, machine) for each in environments]
    assert [diff_ids(each) for each, _ in built] == expected
    assert [said for _, heard in built for said in heard.warnings() if Reason.COLLISION.value in said]


def diff_ids(built: Built) -> list[str]:
    return [str(layer.layer.diff_id) for layer in built.image.layers]
