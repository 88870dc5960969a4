"""What is installed in a prefix, as a definition: its packages by version, for a base image named beside it.

Read from the prefix's own records (conda-meta/*.json, *.dist-info), so neither conda nor pip has to be
there. Nothing tells which of the packages somebody asked for, so all are named, as
`conda env export --no-builds` and `pip freeze` do.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from .definition import CondaSpec, Definition, Environment
from .pip_line import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TOOLS = {"pip", "setuptools", "wheel", "distribute"}  # what `pip freeze` leaves out


def conda_prefix(prefix: Path, image: str) -> Environment:
    """The conda environment at `prefix`, with what pip added to it. Raises DefinitionError."""
    records = [_record(path) for path in sorted(prefix.glob("conda-meta/*.json"))]
    if not records:
        hint = "activate it, or name its folder"
        raise DefinitionError("this is no conda environment", facts={"folder": prefix}, hint=hint)
    specs = tuple(f"{record['name']}={record['version']}" for record in records)
    known = {normal_name(record["name"]) for record in records}
    added = [dist for dist in _distributions(prefix) if _installer(dist) != "conda"]
    lines, warnings = _pip_lines(dist for dist in added if normal_name(dist.name) not in known)
    spec = CondaSpec(_channels(records), specs, lines)
    return Environment(Definition(image=image, conda=spec), warnings=warnings)


def venv(prefix: Path, image: str) -> Environment:
    """The virtual environment at `prefix`, its python from conda. Raises DefinitionError."""
    try:
        text = (prefix / "pyvenv.cfg").read_text()
    except OSError as error:
        hint = "activate it, or name its folder"
        raise DefinitionError(
            "this is no virtual environment", facts={"folder": prefix}, hint=hint
        ) from error
    version = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", text, re.MULTILINE)
    if version is None:
        facts = {"file": prefix / "pyvenv.cfg"}
        raise DefinitionError("it does not tell its python's version", facts=facts, hint="make it again")
    lines, warnings = _pip_lines(
        dist for dist in _distributions(prefix) if normal_name(dist.name) not in _TOOLS
    )
    spec = CondaSpec((), (f"python={version[1]}",), lines)
    return Environment(Definition(image=image, conda=spec), warnings=warnings)


def _record(path: Path) -> Any:
    try:
        record = json.loads(path.read_bytes())
        return {field: str(record[field]) for field in ("name", "version", "channel")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "repair it with `conda install --revision`, or make it again"
        raise DefinitionError("a conda record cannot be read", facts={"file": path}, hint=hint) from error


def _channels(records: Iterable[Any]) -> tuple[str, ...]:
    """The one that most packages come from first; anaconda.org's by their short names."""
    counted = Counter(_channel(record["channel"]) for record in records)
    return tuple(name for name, _ in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def _channel(url: str) -> str:
    place = re.sub(r"/(?:noarch|linux-\w+|osx-\w+|win-\w+)/?$", "", url)
    found = re.fullmatch(r"https?://conda\.anaconda\.org/([^/]+)/?", place)
    return "defaults" if "repo.anaconda.com" in place else found[1] if found else place


def _distributions(prefix: Path) -> list[Distribution]:
    folders = [str(folder) for folder in sorted(prefix.glob("lib/python3*/site-packages"))]
    return sorted(distributions(path=folders), key=lambda dist: normal_name(dist.name))


def _installer(dist: Distribution) -> str:
    return (dist.read_text("INSTALLER") or "").strip()


def _pip_lines(dists: Iterable[Distribution]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A line for each, and a warning for each that only this machine has."""
    lines, warnings = [], []
    for dist in dists:
        origin = json.loads(dist.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
        if url.startswith("file:"):
            warnings.append(
                f"{dist.name} was installed from {url}, which other machines lack: it is left out"
            )
        elif url:
            lines.append(f"{dist.name} @ {_direct(url, origin)}")
        else:
            lines.append(f"{dist.name}=={dist.version}")
    return tuple(lines), tuple(warnings)


def _direct(url: str, origin: dict[str, Any]) -> str:
    """PEP 610: a version control system's url with its commit, an archive's as it is."""
    vcs = origin.get("vcs_info")
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
