"""The real `prebake` command in a folder of the test's own, with a store of its own, in the sample world."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "golden/errors"
PREBAKE = Path(sys.executable).with_name("prebake")
# What differs between machines, days and runs.
_VARYING = {
    r"127\.0\.0\.1:\d\d+": "HOST:PORT",
    r"sha256:[0-9a-f]{64}": "sha256:DIGEST",
    r"-h[0-9a-f]{7}_0": "-BUILD",
    r"python 3\.11\.\d+": "python 3.11.N",
    r"glibc 2\.\d+": "glibc 2.N",
    r"after (\d) retries in [\d.]+s": r"after \1 retries in N s",
    r"(noarch|linux-64)/repodata": "SUBDIR/repodata",
    r"subdir '(noarch|linux-64)'": "subdir 'SUBDIR'",
    r"/tmp/tmp\w+": "/tmp/NAME",
    r"allowed  store, .*": "allowed  store, ...",
    r"CliV2AnonymousEnvironment:[0-9a-f]{32}": "CliV2AnonymousEnvironment:VERSION",
}


@pytest.fixture(scope="session")
def command(world: Any) -> Callable[..., CompletedProcess[str]]:
    """`command(folder, "build", "env.yml", VARIABLE="value")`."""

    def run(folder: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")} | world.environ(folder / "store")
        return subprocess.run(
            [PREBAKE, *arguments],
            cwd=folder,
            env=own | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def prebake(command: Callable[..., CompletedProcess[str]], tmp_path: Path) -> Any:
    return functools.partial(command, tmp_path)


@pytest.fixture(scope="session")
def built(
    command: Callable[..., CompletedProcess[str]],
    definition: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A store in which `definition()` was built."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "env.yml").write_text(definition())
    assert command(folder, "build", "env.yml").returncode == 0
    return folder / "store"


@pytest.fixture
def warm(built: Path, tmp_path: Path) -> Path:
    """A copy of that store, where this test's command looks."""
    return Path(shutil.copytree(built, tmp_path / "store", ignore=shutil.ignore_patterns("pkgs")))


@pytest.fixture(scope="session")
def definition(world: Any) -> Callable[..., str]:
    """The text of an environment file with conda and pip packages."""

    def text(*conda: str, pip: tuple[str, ...] = (), image: str = "", **variables: str) -> str:
        lines = [
            f"image: {image or world.base}",
            "conda_file:",
            "  channels: [conda-forge]",
            "  dependencies:",
        ]
        lines += [f"    - {spec}" for spec in ("python=3.11", *conda)]
        lines += ["    - pip:", *(f"        - {line}" for line in pip)] if pip else []
        lines += ["environment_variables:", *(f"  {name}: '{value}'" for name, value in variables.items())]
        return "\n".join(lines if variables else lines[:-1]) + "\n"

    return text


@pytest.fixture
def golden(tmp_path: Path) -> Callable[..., None]:
    """Compare all that a failed command wrote with a file, and check that it left nothing behind."""

    def check(name: str, result: CompletedProcess[str], code: int, folder: Path = tmp_path) -> None:
        text = result.stderr.replace(str(folder), "FOLDER")
        for pattern, placeholder in _VARYING.items():
            text = re.sub(pattern, placeholder, text)
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("PREBAKE_UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()
        assert (result.returncode, result.stdout) == (code, "")
        assert "Traceback" not in text
        assert not [*folder.glob("store/tmp/*"), *folder.glob("out*")]

    return check
