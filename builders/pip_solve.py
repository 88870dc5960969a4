"""Solve a pip list for a target, with conda's packages as fixed facts: uv resolves, nothing is installed.

Each dist that conda provides becomes a metadata-only wheel `NAME VERSION+conda` and the constraint to use
it: PEP 440 lets requirements match it, no index has it, and a contradiction is an error that names it.
Wheels only, unless a package is in `allow_sdist`; such a one is built by uv for its metadata, if at all.

    wheels = solve_pip(PipRequest(("fastapi",), folder), conda_interface(...), target, sources, cache_dir)
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..cache.digest import Digest
from ..errors import PackageError
from .index_refusal import refusal
from .lock import Target, Wheel
from .pip_errors import explain, no_wheel, only_source, refuse_lost_extras
from .sources import Sources, canonical_url, mirrored, redact
from .uv import uv_environment, uv_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .dists import CondaInterface
# What has to be built or does not leave this machine: -e, VCS and file URLs, paths, archives of source.
_SOURCE = re.compile(
    r"(?:-e|--editable)\b|(?:.*@\s*)?(?:(?:git|hg|svn|bzr)\+|file:|[./~])|.*://.*\.(?:tar\.\w+|tgz|zip)\b"
)
_INDEX_OPTION = re.compile(r"(?:-i|--index-url)\b")
_INDEX_LINE = re.compile(r"(-i|--index-url|--extra-index-url)[\s=]*(\S+)")
_UV_GLIBC = (17, 28, *range(31, 41))  # uv's --python-platform knows these manylinux levels


@dataclass(frozen=True)
class Sdist:
    """One locked source distribution, to be built to a wheel first."""

    name: str
    version: str
    url: str
    sha256: Digest


@dataclass(frozen=True)
class PipRequest:
    """A pip list: requirement file lines; relative paths in them are meant from `folder`.

    `allow_sdist` holds normalised names of packages that may be built from source when no wheel will do.
    """

    lines: tuple[str, ...]
    folder: Path
    allow_sdist: frozenset[str] = frozenset()
    places: Mapping[str, tuple[Path, int]] = field(default_factory=dict)
    refresh: bool = False

    def where(self, line: str) -> str:
        """`in conda.yaml line 7`, or nothing when the caller gave no places."""
        place = self.places.get(line)
        return f" in {place[0].name} line {place[1]}" if place else ""


def solve_pip(
    request: PipRequest, conda: CondaInterface, target: Target, sources: Sources, cache_dir: Path
) -> tuple[Wheel | Sdist, ...]:
    """What pip has to add to conda's packages, sorted by name.

    Raises SolveError (unknown, contradicting, nothing for the target), PackageError (sdist not allowed,
    no sha256, a source requirement) and Unreachable (the index does not answer).
    """
    _refuse_sources(request)
    with TemporaryDirectory(prefix="prebake-pip-") as folder:
        lock = _compile(request, conda, target, sources, (Path(folder), cache_dir))
        names = {name for name, _ in conda.dists}
        found = [package for package in lock.get("packages", []) if package["name"] not in names]
        return tuple(_locked(package, request, conda, target, sources) for package in found)


def _refuse_sources(request: PipRequest) -> None:
    for line in request.lines:
        if _SOURCE.match(line.split(" #", 1)[0].strip()):
            raise PackageError(
                f"`{redact(line)}` is a source requirement",
                facts={"allowed": "packages of an index, URLs of wheels"},
                hint=f"build it to a wheel, publish that, and name it{request.where(line)} instead",
            )


def _compile(
    request: PipRequest, conda: CondaInterface, target: Target, sources: Sources, folders: tuple[Path, Path]
) -> dict[str, Any]:
    """uv's lock. A package may be taken from source only when no wheel led to a solution."""
    folder, cache_dir = folders
    command = _command(request, conda, target, folder)
    environment = uv_environment(sources, cache_dir, str(folder))
    from_source: frozenset[str] = frozenset()
    while True:
        allowed = [option for name in sorted(from_source) for option in ("--no-binary", name)]
        run = _uv([*command, *allowed], request, sources, environment)
        message = redact(run.stderr.replace(str(folder), ""))
        if run.returncode == 0:
            refuse_lost_extras(message)
            return tomllib.loads((folder / "pylock.toml").read_text())
        more = {name for name in request.allow_sdist if f"Wheels are required for `{name}`" in message}
        if more <= from_source:
            raise refusal(message, _indexes(request, sources), sources) or explain(
                message, request, conda, target
            )
        from_source |= more


def _command(request: PipRequest, conda: CondaInterface, target: Target, folder: Path) -> list[str]:
    pins = [_write_stub(folder, name, version) for name, version in conda.dists]
    (folder / "conda.txt").write_text("".join(f"{pin}\n" for pin in pins))
    minor = int(target.glibc.split(".")[1])
    level = max(known for known in _UV_GLIBC if known <= max(minor, _UV_GLIBC[0]))
    options = ["--refresh"] if request.refresh else []
    options += ["--prerelease", "allow"] if "--pre" in request.lines else []
    return [
        uv_program(), "pip", "compile", "-", "--constraints", str(folder / "conda.txt"),
        "--format", "pylock.toml", "--output-file", str(folder / "pylock.toml"), "--no-header", "--no-config",
        "--python", sys.executable, "--no-python-downloads", "--python-version", conda.python,
        "--python-platform", f"{target.architecture}-manylinux_2_{level}", "--color", "never",
        # pip looks at all indexes and takes the best; definitions are written for pip.
        "--index-strategy", "unsafe-best-match", "--only-binary", ":all:", *options,
    ]  # fmt: skip


def _uv(
    command: list[str], request: PipRequest, sources: Sources, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    if any(_INDEX_OPTION.match(line) for line in request.lines):
        environment = {name: value for name, value in environment.items() if name != "UV_DEFAULT_INDEX"}
    lines = "".join(f"{_mirrored_index(line, sources)}\n" for line in request.lines)
    return subprocess.run(
        command, input=lines, cwd=request.folder, env=environment, capture_output=True, text=True, check=False
    )


def _mirrored_index(line: str, sources: Sources) -> str:
    """The line; an index that it names, where a mirror serves it."""
    found = _INDEX_LINE.match(line.strip())
    return f"{found[1]} {mirrored(found[2], sources)}" if found else line


def _indexes(request: PipRequest, sources: Sources) -> list[str]:
    """What uv asked, as far as the settings and the list itself tell."""
    named = [match[2] for line in request.lines if (match := _INDEX_LINE.match(line.strip()))]
    own = [] if any(_INDEX_OPTION.match(line) for line in request.lines) else [sources.pip_index]
    return [*own, *named]


def _write_stub(folder: Path, name: str, version: str) -> str:
    """A wheel of metadata alone; returns the pin that only it satisfies."""
    from packaging.version import InvalidVersion, Version

    try:
        public = str(Version(version))
    except InvalidVersion:  # a dist without a real version still must not be installed twice
        public = "0"
    local = f"{public}{'.' if '+' in public else '+'}conda"
    file_name = name.replace("-", "_")
    info = f"{file_name}-{local}.dist-info"
    with zipfile.ZipFile(folder / f"{file_name}-{local}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {local}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name}=={local}"


def _locked(
    package: Mapping[str, Any], request: PipRequest, conda: CondaInterface, target: Target, sources: Sources
) -> Wheel | Sdist:
    name, version = str(package["name"]), str(package.get("version", ""))
    wheels = [*package.get("wheels", []), *filter(None, [package.get("archive")])]
    archive = best_wheel(wheels, conda.python, target)
    if archive is not None:
        url = canonical_url(_url(archive), sources)
        version = version or url.rsplit("/", 1)[-1].split("-")[1]
        # No size: uv gives it or not, depending on its cache, and a lock must not.
        return Wheel(name, version, url, _sha256(archive, name))
    sdist = package.get("sdist")
    if sdist is None or wheels:
        raise no_wheel(name, version, conda, target)
    if name not in request.allow_sdist:
        raise only_source(name, version)
    return Sdist(name, version, canonical_url(_url(sdist), sources), _sha256(sdist, name))


def best_wheel(wheels: Iterable[Mapping[str, Any]], python: str, target: Target) -> Mapping[str, Any] | None:
    """The wheel that pip would take on the target; None if none fits."""
    from packaging.utils import parse_wheel_filename

    order = _order(python, target)
    ranked = []
    for wheel in wheels:
        tags = parse_wheel_filename(unquote(_url(wheel).rsplit("/", 1)[-1]))[3]
        ranked += [(place, wheel) for tag in tags if (place := order.get(tag)) is not None]
    return min(ranked, key=lambda entry: entry[0], default=(0, None))[1]


@cache
def _order(python: str, target: Target) -> Mapping[Any, int]:
    """The place of each tag, the best first: 900 of them, for all wheels of a lock."""
    return {tag: place for place, tag in enumerate(_tags(python, target))}


def _tags(python: str, target: Target) -> Iterator[Any]:
    from packaging.tags import compatible_tags, cpython_tags

    major, minor = (int(part) for part in python.split(".")[:2])
    machine, glibc = target.architecture, int(target.glibc.split(".")[1])
    legacy = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    platforms = []
    for level in range(glibc, 4, -1):
        platforms.append(f"manylinux_2_{level}_{machine}")
        platforms += [f"{legacy[level]}_{machine}"] if level in legacy else []
    platforms.append(f"linux_{machine}")
    abi = f"cp{major}{minor}" + ("m" if (major, minor) < (3, 8) else "")
    yield from cpython_tags((major, minor), [abi], platforms)
    yield from compatible_tags((major, minor), f"cp{major}{minor}", platforms)


def _url(archive: Mapping[str, Any]) -> str:
    """uv gives a path for what it found in a folder."""
    return str(archive["url"]) if "url" in archive else Path(archive["path"]).absolute().as_uri()


def _sha256(archive: Mapping[str, Any], name: str) -> Digest:
    digest = archive.get("hashes", {}).get("sha256")
    if digest is None:
        raise PackageError(
            f"the index gives no sha256 for `{name}`",
            facts={"archive": redact(_url(archive))},
            hint="use an index that gives sha256: what cannot be verified is not used",
        )
    return Digest(digest)
