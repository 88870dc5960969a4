"""Groups of conda packages become entries: prefixes replaced, nothing of this machine in them."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prebake.builders.conda import LinkedGroup, Linking, link, link_group, read_linked
from prebake.builders.entry import FIXED_MTIME, Entry, Symlink
from prebake.builders.lock import CondaPackage
from prebake.builders.prefix import Prefix
from prebake.builders.recipe import Recipe
from prebake.builders.sources import connect
from prebake.cache.digest import Digest
from prebake.cache.directory import DirectoryStore
from prebake.errors import PackageError, StoreError, Unreachable
from sample_locks import build_lock, build_plan, conda, lock_of, plan_of, tiny_python, written
from world import EPOCH
from world.conda_package import PLACEHOLDER, Package
from world.conda_package import Entry as Member

if TYPE_CHECKING:
    from conftest import SampleWorld

PREFIX = "/opt/prebake/env"
ENV = PREFIX.lstrip("/")


@dataclass(frozen=True)
class Bench:
    """Where groups are linked in these tests."""

    folder: Path
    linking: Linking

    def link(self, packages: Sequence[CondaPackage], stage: str = "stage") -> LinkedGroup:
        (self.folder / stage).mkdir()
        return link_group(packages, self.folder / stage, self.linking)


@pytest.fixture
def bench(world: SampleWorld, tmp_path: Path) -> Bench:
    cache = tmp_path / "cache"
    client = connect(world.sources, cache).client
    prefix = Prefix(PREFIX, "3.11", "lib/python3.11/site-packages")
    return Bench(tmp_path, Linking(prefix, "linux-64", world.sources, client, cache / "pkgs"))


def data_of(entry: Entry) -> bytes:
    content = entry.content
    if isinstance(content, Symlink):
        return content.target.encode()
    assert isinstance(content, bytes | Path)
    return content.read_bytes() if isinstance(content, Path) else content


def by_path(group: LinkedGroup) -> dict[str, Entry]:
    found = {entry.path.removeprefix(f"{ENV}/"): entry for entry in group.entries}
    assert len(found) == len(group.entries)
    return found


def test_the_prefix_is_in_programs_and_scripts(world: SampleWorld, bench: Bench) -> None:
    entries = by_path(bench.link(conda(world.root, "prefix-probe")))
    program = data_of(entries["bin/prefix-probe"])
    assert f"{PREFIX}/share/probe\0".encode() in program
    assert PLACEHOLDER.encode() not in program
    assert data_of(entries["bin/prefix-probe.sh"]) == f"#!/bin/sh\necho {PREFIX}/share/probe\n".encode()
    assert entries["bin/prefix-probe"].executable and not entries["share/probe/hard"].executable
    assert entries["share/probe/soft"].content == Symlink("hard")


def test_entry_points_start_the_python_of_the_prefix(world: SampleWorld, bench: Bench) -> None:
    entries = by_path(bench.link(conda(world.root, "small-demo-2.0")))
    script = entries["bin/small-demo"]
    assert script.executable and data_of(script).startswith(f"#!{PREFIX}/bin/python3.11\n".encode())
    assert "lib/python3.11/site-packages/small_demo.py" in entries


def test_the_stand_in_python_is_in_no_layer(world: SampleWorld, bench: Bench) -> None:
    paths = by_path(bench.link(conda(world.root, "small-demo-2.0", "six")))
    assert not [path for path in paths if "python-3" in path or path.startswith("bin/python")]
    assert [path for path in paths if path.startswith("conda-meta/")] == [
        f"conda-meta/{package.file_name.removesuffix('.conda')}.json"
        for package in conda(world.root, "small-demo-2.0", "six")
    ]


def test_noarch_packages_go_where_this_python_looks(tmp_path: Path, world: SampleWorld, bench: Bench) -> None:
    """A group with python and a group without one agree, also for a free-threaded python."""
    place = "lib/python3.13t/site-packages"
    python = tiny_python(tmp_path, "3.13.1", place)
    small = conda(world.root, "small-demo-2.0")
    threaded = replace(bench, linking=replace(bench.linking, prefix=Prefix(PREFIX, "3.13", place)))
    together = by_path(threaded.link([python, *small], "together"))
    alone = by_path(threaded.link(small, "alone"))
    assert f"{place}/small_demo.py" in alone
    assert set(alone) < set(together)


def test_old_archives_and_activation_scripts_are_linked(world: SampleWorld, bench: Bench) -> None:
    entries = by_path(bench.link(conda(world.root, "activate-demo", "legacy-bz2")))
    assert data_of(entries["share/legacy/x"]) == b"old format\n"
    assert b"DEMO_HOME" in data_of(entries["etc/conda/activate.d/demo.sh"])
    assert {entry.mtime for entry in entries.values()} == {EPOCH}


@pytest.mark.parametrize("file", ["share/generic/x", "conda-meta/generic-demo-1.0-*.json"])
def test_what_a_full_disk_cut_short_is_no_layer(world: SampleWorld, bench: Bench, file: str) -> None:
    """Rattler does not always hear that the disk is full: files are then shorter than their package says."""
    packages = conda(world.root, "generic-demo")
    (bench.folder / "stage").mkdir()
    root = link(packages, bench.folder / "stage", bench.linking)
    [linked] = root.glob(file)
    linked.unlink()  # it may be one with the cache's file
    linked.write_bytes(b"")
    with pytest.raises(StoreError) as raised:
        read_linked(packages, root, bench.linking)
    assert (raised.value.facts["file"], "space" in raised.value.hint) == (str(linked), True)


def test_no_path_of_this_machine_is_in_any_entry(world: SampleWorld, bench: Bench) -> None:
    names = ("prefix-probe", "small-demo-2.0", "activate-demo", "legacy-bz2", "clobber-a", "six")
    group = bench.link(conda(world.root, *names))
    hosts = [str(bench.folder), str(bench.linking.package_cache), str(world.root), world.static]
    leaks = [e.path for e in group.entries for host in hosts if host.encode() in data_of(e)]
    assert not leaks
    assert not [entry.path for entry in group.entries if not entry.path.startswith(f"{ENV}/")]


def test_conda_meta_is_what_conda_reads(world: SampleWorld, bench: Bench) -> None:
    [package] = conda(world.root, "clobber-a")
    entries = by_path(bench.link([package]))
    meta = json.loads(data_of(entries["conda-meta/clobber-a-1.0-h7672dda_0.json"]))
    named = {name: meta[name] for name in ("name", "version", "url", "channel", "sha256", "files")}
    assert named == {
        "name": "clobber-a",
        "version": "1.0",
        "url": package.url,
        "channel": package.channel,
        "sha256": package.sha256.hex,
        "files": ["share/clobber/file"],
    }


def test_link_scripts_are_reported_and_not_run(world: SampleWorld, bench: Bench) -> None:
    group = bench.link(conda(world.root, "postlink-demo"))
    assert group.warnings == ("postlink-demo 1.0: its post-link script was not run (denied by default)",)
    assert "share/postlink-demo.txt" not in by_path(group)


def test_packages_that_disagree_on_a_file_are_refused(world: SampleWorld, bench: Bench) -> None:
    with pytest.raises(PackageError, match="two packages write the same file") as caught:
        bench.link(conda(world.root, "clobber-a", "clobber-b"))
    assert caught.value.facts["file"] == "share/clobber/file"
    assert {"clobber-a", "clobber-b"} <= set(caught.value.facts["packages"].split(", "))


def test_packages_that_agree_on_a_file_share_it(world: SampleWorld, bench: Bench, tmp_path: Path) -> None:
    packages = conda(world.root, "clobber-a", "clobber-c")
    group = bench.link(packages)
    shared = [entry for entry in group.entries if entry.path == f"{ENV}/share/clobber/file"]
    assert {data_of(entry) for entry in shared} == {b"from a\n"}
    assert build_lock(lock_of(packages), DirectoryStore(tmp_path / "store"), world.sources)


def test_groups_that_disagree_on_a_file_are_refused(world: SampleWorld, tmp_path: Path) -> None:
    first, second, third = conda(world.root, "clobber-a", "clobber-b", "clobber-c")
    store = DirectoryStore(tmp_path / "store")
    agreeing, clobbering = (plan_of(lock_of([first, each]), Recipe()) for each in (third, second))
    assert len(build_plan(agreeing, store, world.sources).layers) == 2
    with pytest.raises(PackageError, match="two packages write the same file") as caught:
        build_plan(clobbering, store, world.sources)
    assert caught.value.facts == {
        "file": f"{ENV}/share/clobber/file",
        "packages": "clobber-a-1.0, clobber-b-1.0",
    }


def test_an_archive_that_is_not_the_locked_one_is_refused(world: SampleWorld, bench: Bench) -> None:
    [package] = conda(world.root, "clobber-a")
    with pytest.raises(PackageError, match="not the one that was locked"):
        bench.link([replace(package, sha256=Digest.of(b"other"))], "remote")
    path = world.root / "channel" / "noarch" / package.file_name
    local = replace(package, url=path.as_uri(), sha256=Digest.of(b"other"))
    with pytest.raises(PackageError, match="not the one that was locked"):
        bench.link([local], "local")


def test_a_channel_that_does_not_answer_is_worth_another_try(bench: Bench) -> None:
    local = written(Package("x", "1.0", [], noarch="generic"), bench.folder)
    sources = replace(bench.linking.sources, retries=0)
    client = connect(sources, bench.folder).client
    impatient = replace(bench, linking=replace(bench.linking, sources=sources, client=client))
    with pytest.raises(Unreachable):
        impatient.link([replace(local, url="http://127.0.0.1:9/noarch/x-1.0-0.conda")])


def timed(folder: Path) -> CondaPackage:
    """An old file in a new package, as conda-build keeps them, and a file that names the prefix."""
    script = Member("bin/new", f"#!{PLACEHOLDER}\n".encode(), executable=True, placeholder="text")
    locked = written(Package("timed", "1.0", [Member("share/old", b"x"), script], noarch="generic"), folder)
    path = folder / locked.file_name
    members = []
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            assert stream
            members.append((member, stream.read()))
    with tarfile.open(path, "w:bz2") as archive:
        for member, data in members:
            member.mtime = EPOCH - 1000 if member.name == "share/old" else member.mtime
            archive.addfile(member, io.BytesIO(data))
    return replace(locked, sha256=Digest.of(path.read_bytes()))


@pytest.fixture
def other_device(tmp_path: Path) -> Iterator[Path]:
    """A folder to which nothing can be hard-linked from `tmp_path`."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert Path(name).stat().st_dev != tmp_path.stat().st_dev
        yield Path(name)


def test_times_are_the_packages_own_however_files_are_linked(bench: Bench, other_device: Path) -> None:
    package = timed(bench.folder)
    linked = by_path(bench.link([package], "linked"))
    elsewhere = replace(bench, linking=replace(bench.linking, package_cache=other_device / "pkgs"))
    copied = by_path(elsewhere.link([package], "copied"))
    times = {path: entry.mtime for path, entry in linked.items()}
    assert (times["share/old"], times["bin/new"]) == (EPOCH - 1000, EPOCH)
    assert {path: entry.mtime for path, entry in copied.items()} == times


def test_a_package_without_a_time_gets_the_fixed_one(tmp_path: Path, bench: Bench) -> None:
    package = Package("x", "1.0", [Member("share/x", b"1")], noarch="generic")
    data = tmp_path / "x-1.0-0.tar.bz2"
    index = {"name": "x", "version": "1.0", "build": "0", "build_number": 0, "depends": []}
    with tarfile.open(data, "w:bz2") as archive:
        documents = {"index": index | {"subdir": "noarch"}, "paths": {"paths": [], "paths_version": 1}}
        for name, text in ((f"info/{name}.json", json.dumps(text)) for name, text in documents.items()):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    digest = Digest.of(data.read_bytes())
    locked = replace(written(package, tmp_path), build="0", url=data.as_uri(), sha256=digest)
    assert {entry.mtime for entry in bench.link([locked]).entries} == {FIXED_MTIME}
