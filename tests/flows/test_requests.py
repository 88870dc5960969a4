"""The record of requests: one line per delivery, whichever way it was answered, and never in its way."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import prebake
from prebake.cache import journal
from prebake.flows.known import known, latest, recalled
from prebake.flows.progress import Silent
from prebake.flows.requests import read_requests
from prebake.flows.shortcut import recall_file, remember_file
from prebake.flows.wiring import ON_DEMAND, Request
from tiny import PARTS, build, tiny_environment, tiny_machine

if TYPE_CHECKING:
    from conftest import SampleWorld


def test_a_build_and_its_hits_are_noted(tiny: SampleWorld, tmp_path: Path) -> None:
    machine = tiny_machine(tiny, tmp_path / "store")
    environment = tiny_environment(tiny.base, tmp_path, PARTS[:2])
    to = f"{tiny.registry}/requests/one:v1"
    built, _ = build(environment, machine, to)
    build(environment, machine)
    first, second = read_requests(machine.local)
    assert (first.digest, first.to, first.lane) == (str(built.image.digest), to, ON_DEMAND)
    assert (first.layers, first.image) == ({"built": 3}, tiny.base)
    assert [title for title, *_ in first.made] == [layer.planned.title for layer in built.image.layers]
    assert first.sent == built.delivered.bytes_pushed > 0
    assert (second.layers, second.made, second.to, second.sent) == ({"hit-local": 3}, (), "", 0)
    assert (second.environment, second.trace) == (first.environment, first.trace)
    assert first.at <= second.at <= time.time() + 1


def test_a_hit_by_file_is_noted_with_its_identity(tiny: SampleWorld, tmp_path: Path) -> None:
    machine = tiny_machine(tiny, tmp_path / "store")
    file = tmp_path / "env.yml"
    lines = ["name: vision", "version: 3", "auto_rebuild: OnBaseImageUpdate", "smoke_test: 'true'"]
    file.write_text("\n".join([f"image: {tiny.base}", *lines]))
    environment = prebake.load(file)
    build(environment, machine)
    remember_file(environment, None, machine)
    assert recall_file(file, None, Request(), machine, Silent())
    first, second = read_requests(machine.local)
    assert (second.title, second.auto_rebuild) == ("vision:3", "OnBaseImageUpdate")
    assert second.smoke_test == "true"
    assert (second.environment, second.digest) == (first.environment, first.digest)


def test_an_environment_is_found_again_by_its_request(tiny: SampleWorld, tmp_path: Path) -> None:
    machine = tiny_machine(tiny, tmp_path / "store")
    environment = tiny_environment(tiny.base, tmp_path, PARTS[:3])
    built, _ = build(environment, machine)
    (asked,) = latest(read_requests(machine.local)).values()
    found = known(asked, machine)
    assert found
    again, _ = build(found.environment, machine)
    assert (again.image.digest, again.image.key) == (built.image.digest, built.image.key)
    image = recalled(found, machine, Silent())
    assert image and image.digest == built.image.digest
    assert len({asked.environment for asked in read_requests(machine.local)}) == 1


def test_a_store_that_only_reads_still_answers(tiny: SampleWorld, tmp_path: Path) -> None:
    machine = tiny_machine(tiny, tmp_path / "store")
    environment = tiny_environment(tiny.base, tmp_path, PARTS[:1])
    build(environment, machine)
    folder = machine.local.root / "requests"
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("a file where the record was")
    assert build(environment, machine)[0].image.layers


def test_days_go_and_broken_lines_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "2001-01-01.jsonl").write_text('{"at": 1}\n')
    journal.append(folder, {"at": 2})
    assert [path.name for path in folder.iterdir()] == [f"{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl"]
    with next(folder.iterdir()).open("a") as stream:
        stream.write('[1]\n{"at": 3, "cut sho\n{"at": 4}\n')
    assert [line["at"] for line in journal.read(folder)] == [2, 4]
    assert list(journal.read(folder, time.time() + 2 * 86_400)) == []


def test_lines_of_many_processes_stay_whole(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal.append(folder, {"who": -1})
    children = []
    for who in range(4):
        child = os.fork()
        if child == 0:
            for number in range(200):
                journal.append(folder, {"who": who, "number": number, "text": "x" * 700})
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    found = [(line["who"], line["number"]) for line in journal.read(folder) if line["who"] >= 0]
    assert sorted(found) == [(who, number) for who in range(4) for number in range(200)]
