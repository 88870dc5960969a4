"""`spark` of Azure ML's SDK v1: Maven coordinates of jars, and the repositories that have them.

Source: `SparkSection` and `SparkPackage` of azureml-core, whose JSON is YAML as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .definition import SparkSpec
from .fields import COORDINATE, SPARK, known, unknown
from .places import Line, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..errors import DefinitionError
    from .yaml_nodes import Value

_PART = r"[A-Za-z0-9_.+~-]+"
_COORDINATE = re.compile(rf"{_PART}:{_PART}:{_PART}")
_RANGE = re.compile(r"[\[\](),]|LATEST|RELEASE|.*-SNAPSHOT")
_SCHEMES = ("https://", "http://", "file:///")


@dataclass(frozen=True)
class SparkSection:
    """The section as read: its packages' lines by coordinate, what to warn of; no spec without packages."""

    spec: SparkSpec | None
    lines: dict[str, tuple[Path, int]]
    warnings: tuple[str, ...]


def spark_section(value: Value) -> SparkSection:
    """Read the section. Raises DefinitionError."""
    given = known(value, SPARK)
    entries = given["packages"].items() if "packages" in given else ()
    packages = tuple(_package(entry) for entry in entries)
    _check_single(packages)
    repositories = given["repositories"].items() if "repositories" in given else ()
    urls = tuple(dict.fromkeys(_repository(entry) for entry in repositories))
    precache = _truth(given["precachePackages"]) if "precachePackages" in given else True
    coordinates = tuple(dict.fromkeys(line.text for line in packages))
    return SparkSection(
        SparkSpec(coordinates, urls, precache) if packages else None,
        {line.text: (line.place.path, line.place.line) for line in packages},
        (*unknown(value, SPARK), *_warnings(entries)),
    )


def _package(entry: Value) -> Line:
    if entry.kind == "map":
        parts = known(entry, COORDINATE)
        text = ":".join(parts[key].word() for key in COORDINATE)
    else:
        text = entry.text()
    version = text.rpartition(":")[2]
    if _RANGE.match(version) or "," in version:
        raise _refused("a Spark package has no fixed version", entry, text, "name one version")
    if not _COORDINATE.fullmatch(text):
        hint = "for example `com.microsoft.azure:synapseml_2.12:1.0.4`"
        raise _refused("this is no Maven coordinate", entry, text, hint)
    return Line(text, entry.place)


def _refused(sentence: str, entry: Value, found: str, hint: str) -> DefinitionError:
    return refusal(sentence, entry.place, found=found, allowed="group:artifact:version", hint=hint)


def _check_single(packages: Iterable[Line]) -> None:
    """One artifact cannot be there in two versions."""
    seen: dict[str, Line] = {}
    for line in packages:
        artifact = line.text.rpartition(":")[0]
        first = seen.setdefault(artifact, line)
        if first.text != line.text:
            raise refusal(
                f"`{artifact}` is given in two versions",
                line.place,
                found=f"{first.text} in line {first.place.line}, {line.text} in line {line.place.line}",
                hint="keep one of them",
            )


def _repository(entry: Value) -> str:
    url = entry.text().rstrip("/")
    if not url.startswith(_SCHEMES):
        hint = "write the URL that the groups' folders are below"
        raise refusal(
            "a Maven repository is not a URL",
            entry.place,
            found=url,
            allowed=", ".join(_SCHEMES),
            hint=hint,
        )
    return url


def _truth(value: Value) -> bool:
    if value.kind != "bool":
        raise value.wrong("true or false")
    return value.word().lower() in {"true", "yes", "on"}


def _warnings(entries: Iterable[Value]) -> Iterator[str]:
    for entry in entries:
        if entry.kind == "map":
            yield from unknown(entry, COORDINATE)
