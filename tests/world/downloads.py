"""Files from Debian and PyPI, kept in one folder so that a rebuild needs no network.

Invariant: a PyPI file is used only if its sha256 is the one in the committed list, so the lists fix the
bytes. Debian packages are what the machine's apt offers: they change with point and security releases.

>>> parse_pin("six==1.17.0 --hash=sha256:4721").version
'1.17.0'
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from world.digests import sha256_file
from world.tools import ToolFailed, run, run_command

# pip expands none of these itself; 5 is manylinux1's glibc, 36 Debian 12's
_PLATFORMS = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)] + [
    f"--platform=manylinux{year}_x86_64" for year in ("2014", "2010", "1")
]
_WHEELS_ONLY = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *_PLATFORMS]


@dataclass(frozen=True, slots=True)
class Pin:
    """One committed line: exactly one file of the index."""

    name: str
    version: str
    sha256: str

    def line(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def parse_pin(line: str) -> Pin:
    found = re.fullmatch(r"(\S+)==(\S+) --hash=sha256:(\w+)", line.strip())
    if found is None:
        raise ValueError(f"not a pin: {line!r}")
    return Pin(*found.groups())


def read_pins(path: Path) -> list[Pin]:
    lines = path.read_text().splitlines()
    return [parse_pin(line) for line in lines if line.strip() and not line.startswith("#")]


def wheels(pins: list[Pin], folder: Path) -> list[Path]:
    return _fetch(pins, folder, _WHEELS_ONLY)


def sdists(pins: list[Pin], folder: Path) -> list[Path]:
    # by name, because `:all:` would also build the build backend from source
    return _fetch(pins, folder, [f"--no-binary={','.join(pin.name for pin in pins)}"])


def debs(names: Iterable[str], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sorted(set(names))
    missing = [name for name in wanted if not _deb(name, folder)]
    if missing:
        with _moved_into(folder) as scratch:
            run("apt-get", "download", "-q", *missing, cwd=scratch)
    return {name: _deb(name, folder)[0] for name in wanted}


def _deb(name: str, folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{name}_*.deb"))


def _fetch(pins: list[Pin], folder: Path, options: list[str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in pins if (pin.name, pin.version) not in _present(folder)]
    for batch in _one_version_each(missing):
        with _moved_into(folder) as scratch:
            _pip_download(batch, scratch, options)
    present = _present(folder)
    return [_verified(pin, present[pin.name, pin.version]) for pin in pins]


def _present(folder: Path) -> dict[tuple[str, str], Path]:
    return {_identity(path): path for path in folder.iterdir() if path.is_file()}


def _identity(path: Path) -> tuple[str, str]:
    if path.suffix == ".whl":
        name, version, _, _ = parse_wheel_filename(path.name)
    else:
        name, version = parse_sdist_filename(path.name)
    return name, str(version)


def _one_version_each(pins: list[Pin]) -> list[list[Pin]]:
    """pip refuses two versions of one project in one call."""
    batches: list[dict[str, Pin]] = []
    for pin in pins:
        batch = next((b for b in batches if pin.name not in b), None)
        if batch is None:
            batches.append(batch := {})
        batch[pin.name] = pin
    return [list(batch.values()) for batch in batches]


def _pip_download(pins: list[Pin], folder: Path, options: list[str]) -> None:
    listed = folder / "requirements.txt"
    listed.write_text("".join(pin.line() for pin in pins))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    run_command([*pip, *options, "--dest", str(folder), "--requirement", str(listed)])
    listed.unlink()


def _verified(pin: Pin, path: Path) -> Path:
    if sha256_file(path) != pin.sha256:
        raise ToolFailed(f"{path} is not the file pinned as {pin.line()}hint: delete it and run again")
    return path


@contextmanager
def _moved_into(folder: Path) -> Iterator[Path]:
    """A scratch folder whose files arrive in `folder` only after everything in it went well."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as name:
        yield Path(name)
        for path in Path(name).iterdir():
            path.replace(folder / path.name)
