"""What the world does to a build: silent hosts, refusals, full disks, hostile and changed wheels."""

import base64
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from world import services
from world.digests import sha256

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]
Golden = Callable[..., None]
CLOSED = "127.0.0.1:1"
FORGE = "https://conda.anaconda.org/conda-forge"
USER, PASSWORD = "alice", "hunter2"
SILENT = {
    "silent-base": {},
    "silent-destination": {},
    "silent-channel": {"PREBAKE_MIRRORS": f"{FORGE}=http://{CLOSED}/channel"},
    "silent-index": {"PREBAKE_PIP_INDEX": f"http://{USER}:{PASSWORD}@{CLOSED}/simple"},
}


@pytest.fixture(scope="module", autouse=True)
def silent(
    command: Callable[..., CompletedProcess[str]],
    definition: Definition,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[tuple[Path, CompletedProcess[str]]]]]:
    """Started first and looked at last, because each retries for seconds before it gives up."""

    def build(name: str) -> tuple[Path, CompletedProcess[str]]:
        folder = tmp_path_factory.mktemp(name)
        image = f"{CLOSED}/debian:12" if name == "silent-base" else ""
        (folder / "env.yml").write_text(definition(pip=("tabulate",), image=image))
        to = ("--to", f"{CLOSED}/team/x:v1") if name == "silent-destination" else ()
        return folder, command(folder, "build", "env.yml", "-q", *to, **SILENT[name])

    with ThreadPoolExecutor(len(SILENT)) as pool:
        yield {name: pool.submit(build, name) for name in SILENT}


def test_channel_that_does_not_exist(
    prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path, world: Any
) -> None:
    (tmp_path / "env.yml").write_text(definition())
    mirrors = f"{FORGE}={world.static}/chanel"
    golden("channel-missing", prebake("build", "env.yml", "-q", PREBAKE_MIRRORS=mirrors), 3)


@pytest.fixture(scope="module")
def guarded(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants a password."""
    with services.registry(tmp_path_factory.mktemp("guarded"), (USER, PASSWORD)) as made:
        services.push_base(world.root, made.host, (USER, PASSWORD))
        yield made.host


def login(folder: Path, host: str, password: str) -> None:
    (folder / "home/.docker").mkdir(parents=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / "home/.docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("password", [None, "wrong"])
def test_registry_refuses(
    password: str | None,
    prebake: Prebake,
    definition: Definition,
    golden: Golden,
    tmp_path: Path,
    guarded: str,
) -> None:
    if password:
        login(tmp_path, guarded, password)
    (tmp_path / "base.yml").write_text(definition(image=f"{guarded}/debian:12"))
    (tmp_path / "env.yml").write_text(definition())
    golden("refused-base", prebake("build", "base.yml", "-q"), 6)
    golden("refused-push", prebake("build", "env.yml", "-q", "--to", f"{guarded}/x:v1"), 6)


def test_password_is_used_and_kept_nowhere(
    prebake: Prebake, definition: Definition, tmp_path: Path, guarded: str
) -> None:
    login(tmp_path, guarded, PASSWORD)
    (tmp_path / "env.yml").write_text(definition(image=f"{guarded}/debian:12"))
    result = prebake("build", "env.yml", "--json", "--to", f"{guarded}/x:v1")
    assert result.returncode == 0
    assert PASSWORD not in result.stdout + result.stderr
    assert not holding(PASSWORD, tmp_path / "store")


def holding(secret: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small file system at the store's place, mounted with the options that are asked for."""
    store = tmp_path / "store"

    def mount(options: str) -> Path:
        store.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", store], check=True)
        return store

    try:
        yield mount
    finally:
        while store.is_mount():
            subprocess.run(["umount", store], check=True)


def test_no_space(
    prebake: Prebake,
    definition: Definition,
    golden: Golden,
    tmp_path: Path,
    built: Path,
    mounted: Callable[[str], Path],
) -> None:
    there = subprocess.run(["du", "-sk", "--exclude=pkgs", built], capture_output=True, text=True, check=True)
    store = mounted(f"size={int(there.stdout.split()[0]) + 8000}k")
    shutil.copytree(built, store, ignore=shutil.ignore_patterns("pkgs"), dirs_exist_ok=True)
    blobs = set(store.glob("blobs/sha256/*"))
    (tmp_path / "env.yml").write_text(definition(pip=("numpy",)))  # a wheel of 17 MB
    golden("no-space", prebake("build", "env.yml", "-q", "--to", "oci:out"), 5)
    assert {path.stat().st_size < 1_000_000 for path in set(store.glob("blobs/sha256/*")) - blobs} == {True}


def test_read_only_store(
    prebake: Prebake,
    definition: Definition,
    golden: Golden,
    tmp_path: Path,
    built: Path,
    mounted: Callable[[str], Path],
) -> None:
    store = mounted("size=200m")
    shutil.copytree(built, store, ignore=shutil.ignore_patterns("pkgs"), dirs_exist_ok=True)
    (tmp_path / "env.yml").write_text(definition())
    (tmp_path / "other.yml").write_text(definition("six"))
    subprocess.run(["mount", "-o", "remount,ro", store], check=True)
    assert prebake("build", "env.yml").returncode == 0, "a hit writes nothing"
    golden("read-only-store", prebake("build", "other.yml", "-q"), 5)


def test_new_store_in_a_read_only_place(
    prebake: Prebake,
    definition: Definition,
    golden: Golden,
    tmp_path: Path,
    mounted: Callable[[str], Path],
) -> None:
    mounted("size=1m,ro")
    (tmp_path / "env.yml").write_text(definition())
    golden("read-only-place", prebake("build", "env.yml", "-q"), 5)


def test_store_is_a_file(prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    (tmp_path / "env.yml").write_text(definition())
    golden("store-is-a-file", prebake("build", "env.yml", "-q"), 5)


def publish(index: Path, name: str, member: zipfile.ZipInfo, content: str = "") -> None:
    """A wheel `name 1.0` with one odd member, and its page."""
    file_name = f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    for folder in (index / "files", index / "simple" / name):
        folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(index / "files" / file_name, "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    digest = sha256((index / "files" / file_name).read_bytes())
    page = f'<!DOCTYPE html>\n<a href="../../files/{file_name}#sha256={digest}">{file_name}</a>\n'
    path = index / "simple" / name / "index.html"
    later = path.stat().st_mtime + 2 if path.exists() else None
    path.write_text(page)
    if later:  # nginx tells versions of a file apart by its size and the second of its time
        os.utime(path, (later, later))


def member(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


HOSTILE = {
    "dots": member("../evil.py"),
    "absolute": member("/etc/evil.py"),
    "link": member("evil", 0o120777),
    "scripts": member("scripts-1.0.data/scripts/../../../evil"),
}


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_wheel(
    name: str, prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path
) -> None:
    publish(tmp_path / "index", name, HOSTILE[name], "/etc/passwd")
    (tmp_path / "env.yml").write_text(definition(pip=(name,)))
    with services.static(tmp_path / "index") as url:
        result = prebake("build", "env.yml", "-q", "--to", "oci:out", PREBAKE_PIP_INDEX=f"{url}/simple")
    golden(f"hostile-{name}", result, 3)
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.usefixtures("warm")
def test_wheel_replaced_behind_the_lock(
    prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    publish(index, "moving", member("moving.py"), "1")
    (tmp_path / "env.yml").write_text(definition(pip=("moving",)))
    with services.static(index) as url:
        settings = {"PREBAKE_PIP_INDEX": f"{url}/simple"}
        assert prebake("lock", "env.yml", **settings).returncode == 0
        publish(index, "moving", member("moving.py"), "2")
        golden("wheel-replaced", prebake("build", "env.yml", "-q", **settings), 3)
        assert prebake("build", "env.yml", "-q", "--refresh", **settings).returncode == 0


@pytest.mark.usefixtures("warm")
def test_wheel_withdrawn_behind_the_lock(
    prebake: Prebake, definition: Definition, golden: Golden, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    publish(index, "moving", member("moving.py"))
    (tmp_path / "env.yml").write_text(definition(pip=("moving",)))
    with services.static(index) as url:
        settings = {"PREBAKE_PIP_INDEX": f"{url}/simple"}
        assert prebake("lock", "env.yml", **settings).returncode == 0
        next(index.glob("files/*")).unlink()
        golden("wheel-withdrawn", prebake("build", "env.yml", "-q", **settings), 3)


@pytest.mark.parametrize("name", SILENT)
def test_nobody_answers(name: str, silent: dict[str, Future[Any]], golden: Golden) -> None:
    folder, result = silent[name].result()
    golden(name, result, 7, folder)
