"""The effective model of a POM: parents, properties, managed versions and imported BOMs applied.

As Maven does it (https://maven.apache.org/ref/current/maven-model-builder/): the child's entries win over its
parents', own managed ones over imported ones, the first import over later ones. Profiles are not applied:
they would ask what machine and what Java this is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from ..errors import PackageError, SolveError
from .pom import Coordinate, Dependency, Pom, read_pom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .maven_repository import Repositories

_PROPERTY = re.compile(r"\$\{([^{}]+)\}")
_NAME = re.compile(r"[A-Za-z0-9_.+~-]+")
_DEEPEST = 50  # of properties within properties, parents of parents, BOMs of BOMs


@dataclass(frozen=True)
class Model:
    """What resolving takes of a POM. What moved to another coordinate depends on that and has no jar."""

    has_jar: bool
    dependencies: tuple[Dependency, ...]
    managed: Mapping[tuple[str, str, str, str], Dependency]


def read_model(asked: Coordinate, repositories: Repositories, depth: int = 0) -> Model:
    """The effective model. Raises SolveError if there is no such POM, PackageError, Unreachable."""
    line = _lineage(asked, repositories, depth)
    properties = _properties(line)
    managed = _first(_filled(each, properties) for pom in line for each in pom.managed)
    own = {key: each for key, each in managed.items() if each.scope != "import"}
    for bom in (each for each in managed.values() if each.scope == "import"):
        imported = checked(Coordinate(bom.group, bom.artifact, bom.version), f"a BOM of {asked}")
        own = {**read_model(imported, repositories, depth + 1).managed, **own}
    named = _first(_filled(each, properties) for pom in line for each in pom.dependencies)
    dependencies = tuple(_managed(each, own.get(each.key)) for each in named.values())
    if line[0].relocation:
        return Model(has_jar=False, dependencies=(_moved(asked, line[0], properties),), managed=own)
    return Model(line[0].packaging != "pom", dependencies, own)


def checked(asked: Coordinate, needed_by: str, classifier: str = "") -> Coordinate:
    """The coordinate, if it names one file. Raises SolveError for ranges, PackageError for other texts."""
    facts = {"package": asked, "needed by": needed_by}
    if not asked.version or re.match(r"[\[(]|.*,", asked.version) or asked.version in ("LATEST", "RELEASE"):
        hint = "name the package with the version wanted under `packages:`"
        raise SolveError("a dependency has no fixed version", facts=facts, hint=hint)
    for part in filter(None, (asked.group, asked.artifact, asked.version, classifier)):
        if not _NAME.fullmatch(part) or part.strip(".") == "":
            raise PackageError("a POM names an impossible package", facts=facts, hint="ask its publisher")
    return asked


def _lineage(asked: Coordinate, repositories: Repositories, depth: int) -> tuple[Pom, ...]:
    """The POM and its parents, nearest first."""
    line = [_read(asked, repositories)]
    while line[-1].parent:
        if depth + len(line) > _DEEPEST:
            facts = {"package": asked, "allowed": f"{_DEEPEST} parents and BOMs"}
            raise PackageError("a POM's parents or BOMs never end", facts=facts, hint="ask its publisher")
        line.append(_read(checked(line[-1].parent, f"a parent of {asked}"), repositories))
    return tuple(line)


def _read(asked: Coordinate, repositories: Repositories) -> Pom:
    data = repositories.pom(asked)
    if data is None:
        raise not_there(asked, repositories)
    return read_pom(data, str(asked))


def not_there(asked: Coordinate, repositories: Repositories, what: str = "POM") -> SolveError:
    """The error about a file that no repository has."""
    return SolveError(
        f"no repository has the {what} of `{asked}`",
        facts={"looked in": "\n".join(repositories.urls)},
        hint="correct the coordinate, or add the repository that has it under `repositories:`",
    )


def _properties(line: tuple[Pom, ...]) -> dict[str, str]:
    """The child's win; then what a POM says of itself."""
    own = line[0]
    properties = {name: value for pom in reversed(line) for name, value in pom.properties.items()}
    values = {
        "groupId": next((pom.group for pom in line if pom.group), ""),
        "artifactId": own.artifact,
        "version": next((pom.version for pom in line if pom.version), ""),
        "packaging": own.packaging,
    }
    if own.parent:
        values |= {"parent.groupId": own.parent.group, "parent.version": own.parent.version}
    prefixes = ("project.", "pom.", "")
    return properties | {f"{prefix}{name}": value for prefix in prefixes for name, value in values.items()}


def _fill(text: str, properties: Mapping[str, str]) -> str:
    """The text with its properties; one that nothing defines stays."""
    for _ in range(_DEEPEST):
        filled = _PROPERTY.sub(lambda match: properties.get(match[1], match[0]), text)
        if filled == text or len(filled) > 1000:  # a coordinate is never so long, and properties may double
            break
        text = filled
    return text


def _filled(each: Dependency, properties: Mapping[str, str]) -> Dependency:
    texts = {field.name: getattr(each, field.name) for field in fields(each)}
    found = {name: _fill(text, properties) for name, text in texts.items() if isinstance(text, str)}
    excluded = frozenset((_fill(one, properties), _fill(two, properties)) for one, two in each.exclusions)
    return replace(each, **found, exclusions=excluded)


def _first(dependencies: Iterable[Dependency]) -> dict[tuple[str, str, str, str], Dependency]:
    """By key, in order, the first of each."""
    found: dict[tuple[str, str, str, str], Dependency] = {}
    for each in dependencies:
        found.setdefault(each.key, each)
    return found


def _managed(each: Dependency, by: Dependency | None) -> Dependency:
    """What a dependency leaves out, the managed entry says."""
    if by is None:
        return each
    return replace(
        each,
        version=each.version or by.version,
        scope=each.scope or by.scope,
        optional=each.optional or by.optional,
        exclusions=each.exclusions or by.exclusions,
    )


def _moved(asked: Coordinate, pom: Pom, properties: Mapping[str, str]) -> Dependency:
    to = {name: _fill(text, properties) for name, text in pom.relocation.items() if text}
    group, artifact = to.get("groupId", asked.group), to.get("artifactId", asked.artifact)
    return Dependency(group, artifact, to.get("version", asked.version))
