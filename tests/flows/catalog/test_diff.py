"""What moved between two resolutions: real solves of a channel and a base that move in between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import prebake
from conftest import SampleWorld
from prebake.errors import SettingsError
from prebake.flows.lock_diff import Moved, lock_difference, security_relevant
from prebake.flows.progress import Silent
from prebake.flows.version_diff import compare, compare_resolutions, recorded, resolutions, solved
from prebake.flows.wiring import Workspace
from tiny import tiny_machine, tiny_world
from world import services
from world.base_image import _image, _json, _layer, _tar
from world.channel import _write, _write_repodata
from world.conda_package import Entry, Package


@pytest.fixture
def own(world: SampleWorld, tmp_path: Path) -> Iterator[SampleWorld]:
    """A tiny world whose channel and base move."""
    with tiny_world(world, tmp_path / "own") as made:
        yield made


@pytest.fixture
def machine(own: SampleWorld, tmp_path: Path) -> Workspace:
    return tiny_machine(own, tmp_path / "store")


def release(folder: Path, **versions: str) -> None:
    """Make the channel of these packages; `openssl="3.1"` has other bytes than any other version."""
    packages = [
        Package(name, version, [Entry(f"share/{name}", f"{name} {version}".encode() * 50)])
        for name, version in versions.items()
    ]
    python = Package(
        "python", "3.11.2", [Entry("bin/python3.11", b"#!")], site_packages="lib/python3.11/site-packages"
    )
    channel = folder / "own/channel"
    repodata = channel / "linux-64/repodata.json"
    later = repodata.stat().st_mtime + 10  # the server tells releases of one second and size not apart
    _write_repodata(channel / "linux-64", [_write(package, channel) for package in (*packages, python)])
    for path in repodata.parent.glob("repodata.json*"):
        os.utime(path, (later, later))


def patch_base(own: SampleWorld, folder: Path) -> None:
    (folder / "patched/base/blobs/sha256").mkdir(parents=True)
    base = folder / "patched/base"
    files = {"lib64/libc.so.6": b"GNU C Library (Tiny) stable release version 2.36.\n", "etc/patched": b"1"}
    manifest = _image(base, "debian:12", [_layer(base, _tar(files))])
    (base / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [manifest]}))
    (base / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    services.push_base(folder / "patched", own.registry)


def register(own: SampleWorld, machine: Workspace, folder: Path, *packages: str) -> str:
    file = folder / "conda.yml"
    listed = ", ".join(["python=3.11", *packages])
    file.write_text(f"channels: [conda-forge]\ndependencies: [{listed}]\n")
    environment = replace(prebake.load(file, image=own.base), name="vision")
    return prebake.register(environment, workspace=machine).title


def test_what_moved_under_a_version(own: SampleWorld, machine: Workspace, tmp_path: Path) -> None:
    release(tmp_path, openssl="3.0", tool="1.0", tzdata="2025a")
    title = register(own, machine, tmp_path, "openssl", "tool", "tzdata")
    prebake.ensure(prebake.get(title, workspace=machine), workspace=machine)
    prebake.ensure(prebake.get(title, workspace=machine), workspace=machine)
    release(tmp_path, openssl="3.1", tool="1.0", tzdata="2026a")
    patch_base(own, tmp_path)
    prebake.ensure(prebake.get(title, workspace=machine), policy="always", workspace=machine)
    records = machine.catalog.records(machine.catalog.get(title))
    assert [record.policy for record in records] == ["locked", "always"]
    assert [record.at <= time.time() for record in records] == [True, True]
    found = compare_resolutions(title, (), machine, Silent())
    assert found.locks
    assert found.locks.packages == (
        Moved("conda", "openssl", "3.0", "3.1"),
        Moved("conda", "tzdata", "2025a", "2026a"),
    )
    assert found.locks.base[0] != found.locks.base[1]
    assert len(found.locks.layers) == 2
    told = found.to_json()["locks"]
    assert told["security_relevant"] == ["openssl"]
    assert told["base"]["was"].startswith(f"{own.base}@sha256:")
    shown = str(found)
    assert "packages  0 added, 0 removed, 2 moved\n  ~ openssl 3.0 -> 3.1 (conda)" in shown
    assert "defined" not in shown
    assert shown.endswith("(by a short list, not by known CVEs)\n  ~ openssl 3.0 -> 3.1 (conda)")


def test_resolutions_are_chosen_by_number(own: SampleWorld, machine: Workspace, tmp_path: Path) -> None:
    title = ""
    for version in ("1.0", "2.0", "3.0"):
        release(tmp_path, tool=version)
        title = title or register(own, machine, tmp_path, "tool")
        prebake.ensure(prebake.get(title, workspace=machine), policy="always", workspace=machine)
    for numbers, was, now in (((), "2.0", "3.0"), ((1, 3), "1.0", "3.0"), ((2, 1), "2.0", "1.0")):
        found = compare_resolutions(title, numbers, machine, Silent())
        assert found.locks
        assert found.locks.packages == (Moved("conda", "tool", was, now),)
    for wrong in ((1,), (0, 1), (1, 4), (1, 2, 3)):
        with pytest.raises(SettingsError, match="no two such"):
            compare_resolutions(title, wrong, machine, Silent())


def test_what_would_be_built_is_told_before(own: SampleWorld, machine: Workspace, tmp_path: Path) -> None:
    release(tmp_path, tool="1.0", extra="1.0")
    first = register(own, machine, tmp_path, "tool")
    prebake.ensure(prebake.get(first, workspace=machine), workspace=machine)
    second = register(own, machine, tmp_path, "tool", "extra")
    sides = [recorded(title, machine, Silent()) for title in (first, second)]
    unsolved = compare(sides[0], sides[1], machine, Silent())
    assert unsolved.locks is None
    assert f"`prebake build {second}` records one" in str(unsolved)
    sides = [solved(title, machine, Silent()) for title in (first, second)]
    found = compare(sides[0], sides[1], machine, Silent())
    assert found.locks
    assert [layer.outcome for layer in found.locks.layers] == ["miss"]
    assert "layers    1 differ, of which 1 would be built" in str(found)
    assert machine.catalog.records(sides[1].version) == (), "asking records nothing"


def test_the_same_version_of_other_bytes_has_moved(
    own: SampleWorld, machine: Workspace, tmp_path: Path
) -> None:
    release(tmp_path, tool="1.0")
    title = register(own, machine, tmp_path, "tool")
    prebake.ensure(prebake.get(title, workspace=machine), workspace=machine)
    (record,) = resolutions(machine.catalog.records(machine.catalog.get(title)))
    rebuilt = replace(record, lock=record.lock.replace("tool-1.0-h", "tool-1.0-hotfix"))
    store = machine.store(Silent().step)
    assert not lock_difference(record, rebuilt, machine.recipe, store).packages, "a digest decides, no name"
    digest = next(part for part in record.lock.split('"') if len(part) == 64 and part in record.lock)
    found = lock_difference(
        record, replace(rebuilt, lock=rebuilt.lock.replace(digest, "0" * 64)), machine.recipe, store
    )
    assert len(found.packages) == 1
    assert found.sizes[0] == found.sizes[1]


def test_the_list_is_what_it_says() -> None:
    assert {
        "openssl",
        "certifi",
        "ca-certificates",
        "cryptography",
        "requests",
        "urllib3",
    } <= security_relevant()
    assert Moved("pip", "Py_YAML", "1", "2").watched is False
    assert Moved("pip", "PyYAML", "1", "2").watched


def test_a_version_keeps_its_lock_on_machines_that_never_solved_it(
    own: SampleWorld, machine: Workspace, tmp_path: Path
) -> None:
    catalog = {"PREBAKE_CATALOG": f"sqlite:///{tmp_path}/store/catalog.db"}
    release(tmp_path, tool="1.0")
    title = register(own, machine, tmp_path, "tool")
    first = prebake.ensure(prebake.get(title, workspace=machine), workspace=machine)
    release(tmp_path, tool="2.0")
    other = tiny_machine(own, tmp_path / "other/store", **catalog)
    locked = prebake.lock(prebake.get(title, workspace=other), workspace=other)
    assert "tool-1.0" in locked
    again = prebake.ensure(prebake.get(title, workspace=other), workspace=other)
    assert again.image.digest == first.image.digest
    moved = prebake.ensure(prebake.get(title, workspace=other), policy="always", workspace=other)
    assert moved.image.digest != first.image.digest
    third = tiny_machine(own, tmp_path / "third/store", **catalog)
    assert (
        prebake.ensure(prebake.get(title, workspace=third), workspace=third).image.digest
        == moved.image.digest
    )


def test_versions_of_one_lock_differ_in_their_definition_alone(
    own: SampleWorld, machine: Workspace, tmp_path: Path
) -> None:
    release(tmp_path, tool="1.0")
    title = register(own, machine, tmp_path, "tool")
    environment = prebake.get(title, workspace=machine)
    prebake.ensure(environment, workspace=machine)
    coloured = replace(environment.definition, environment_variables=(("COLOUR", "red"),))
    second = prebake.register(replace(environment, definition=coloured, version=None), workspace=machine)
    found = prebake.diff(title, second.title, workspace=machine)
    assert [str(change) for change in found.changes] == ["environment_variables: + COLOUR=red"]
    assert "packages  0 added, 0 removed, 0 moved" in str(found)
    assert found.locks
    assert found.locks.layers == ()
