"""Locks as conda-lock.yml: read back, rendered by conda-lock, and equal to what conda-lock locks itself."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from prebake.builders.conda_solve import solve_conda
from prebake.builders.condalock import from_conda_lock, to_conda_lock
from prebake.builders.lock import Lock, Target, Wheel
from prebake.builders.sources import Sources
from prebake.cache.digest import Digest
from prebake.config.definition import CondaSpec
from prebake.errors import DefinitionError, PackageError

DEBIAN_12 = Target("linux-64", "2.36")
SHARED = Path(__file__).parents[3] / "shared"
SPECS = ("python=3.11", "pandas", "requests")
WHEEL = Wheel("fastapi", "0.1", "https://pypi.org/files/fastapi-0.1-py3-none-any.whl", Digest.of(b"wheel"))


@pytest.fixture(scope="module")
def channel() -> str:
    folder = SHARED / "data" / "conda-forge-subset"
    assert folder.is_dir(), f"the real conda-forge records are expected beside the clone: {folder}"
    return folder.as_uri()


@pytest.fixture(scope="module")
def lock(channel: str, tmp_path_factory: pytest.TempPathFactory) -> Lock:
    cache = tmp_path_factory.mktemp("cache")
    packages = solve_conda(CondaSpec((channel,), SPECS), DEBIAN_12, Sources(retries=0), cache)
    return Lock(DEBIAN_12, (channel,), packages, (WHEEL,))


@pytest.fixture
def written(lock: Lock, tmp_path: Path) -> Path:
    path = tmp_path / "conda-lock.yml"
    path.write_text(to_conda_lock(lock, "environment.yml"))
    return path


def conda_lock(*arguments: str, folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("conda-lock")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_lock_survives_the_file(lock: Lock, written: Path) -> None:
    back = from_conda_lock(written, DEBIAN_12)
    assert (back.target, back.channels, back.pip) == (lock.target, lock.channels, lock.pip)
    kept = ("name", "version", "build", "build_number", "subdir", "url", "channel", "sha256", "md5", "noarch")
    for field in (*kept, "site_packages"):
        assert [getattr(p, field) for p in back.conda] == [getattr(p, field) for p in lock.conda], field


def test_equal_locks_are_equal_files(lock: Lock, written: Path) -> None:
    assert to_conda_lock(lock, "environment.yml") == written.read_text()


def test_conda_lock_renders_it(lock: Lock, written: Path, tmp_path: Path) -> None:
    conda_lock("render", "-k", "explicit", "-p", "linux-64", written.name, folder=tmp_path)
    rendered = (tmp_path / "conda-linux-64.lock").read_text()
    assert "@EXPLICIT" in rendered
    for package in lock.conda:
        assert f"{package.url}#{package.md5}" in rendered
    assert f"# pip fastapi @ {WHEEL.url}#sha256={WHEEL.sha256.hex}" in rendered


def test_conda_lock_locks_the_same_packages(channel: str, lock: Lock, written: Path, tmp_path: Path) -> None:
    shim = tmp_path / "conda"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("conda_shim.py")} "$@"\n')
    shim.chmod(0o755)
    environment = {"channels": [channel], "dependencies": list(SPECS), "platforms": ["linux-64"]}
    (tmp_path / "environment.yml").write_text(yaml.safe_dump(environment))
    offers = {"__unix": "0", "__linux": "5.10", "__glibc": "2.36", "__archspec": "1 x86_64"}
    (tmp_path / "virtual.yml").write_text(yaml.safe_dump({"subdirs": {"linux-64": {"packages": offers}}}))
    options = ["--conda", str(shim), "--virtual-package-spec", "virtual.yml", "--lockfile", "theirs.yml"]
    conda_lock("lock", *options, "-f", "environment.yml", "-p", "linux-64", folder=tmp_path)
    theirs = yaml.safe_load((tmp_path / "theirs.yml").read_text())["package"]
    ours = yaml.safe_load(written.read_text())["package"]
    assert [entry for entry in ours if entry["manager"] == "conda"] == theirs
    read = from_conda_lock(tmp_path / "theirs.yml", DEBIAN_12)
    assert {package.sha256 for package in read.conda} == {package.sha256 for package in lock.conda}


def test_the_environment_stays_as_it_was(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys; from pathlib import Path; from prebake.errors import DefinitionError\n"
        "from prebake.builders.condalock import from_conda_lock; from prebake.builders.lock import Target\n"
        "before = dict(os.environ)\n"
        "try: from_conda_lock(Path('absent.yml'), Target())\n"
        "except DefinitionError: pass\n"
        "assert 'conda_lock' in sys.modules and dict(os.environ) == before"
    )
    for value in ({}, {"CONDA_ROOT": "/mine"}):
        environment = {name: text for name, text in os.environ.items() if name != "CONDA_ROOT"} | value
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=Path(__file__).parent)


def test_real_lock_files_are_read() -> None:
    folder = SHARED / "data" / "lockfiles"
    assert folder.is_dir(), f"real lock files are expected beside the clone: {folder}"
    outcomes = {}
    for path in sorted(folder.glob("*.y*ml")):
        try:
            outcomes[path.name] = len(from_conda_lock(path, Target("linux-64", "2.36")).conda) > 10
        except DefinitionError as error:
            outcomes[path.name] = "file" in error.facts
    assert outcomes
    assert all(outcomes.values()), outcomes


def test_a_file_for_other_platforms(written: Path) -> None:
    with pytest.raises(DefinitionError, match="no packages for linux-aarch64"):
        from_conda_lock(written, Target("linux-aarch64", "2.36"))


@pytest.mark.parametrize("text", ["", "[]", "version: 1\n", "version: 9\n", "{", "package: 3\nversion: 1\n"])
def test_what_is_no_lock_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "conda-lock.yml"
    path.write_text(text)
    with pytest.raises(DefinitionError, match="not a conda-lock file"):
        from_conda_lock(path, DEBIAN_12)


def test_what_cannot_be_verified_is_refused(lock: Lock, written: Path) -> None:
    content = yaml.safe_load(written.read_text())
    del content["package"][0]["hash"]["sha256"]
    written.write_text(yaml.safe_dump(content))
    with pytest.raises(PackageError, match="no sha256"):
        from_conda_lock(written, DEBIAN_12)
    with pytest.raises(PackageError, match="no md5"):
        to_conda_lock(replace(lock, conda=(replace(lock.conda[0], md5=None),)), "environment.yml")


def test_credentials_do_not_enter(lock: Lock) -> None:
    private = replace(lock, channels=("https://u:secret@h.example/t/token/private",))
    text = to_conda_lock(private, "environment.yml")
    assert "secret" not in text
    assert "https://h.example/private" in text
