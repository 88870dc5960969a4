"""A POM as it stands in a repository, before parents and properties: the parts that resolving looks at.

Source: https://maven.apache.org/pom.html. POMs are foreign input: a document type, which could declare
entities, is refused, and names that would leave the repository's folders are.

    >>> pom = read_pom(b"<project><artifactId>a</artifactId><version>1</version></project>", "a.pom")
    >>> pom.artifact, pom.version
    ('a', '1')
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.parsers import expat

from ..errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Node = ElementTree.Element


@dataclass(frozen=True, order=True)
class Coordinate:
    """A published version of something."""

    group: str
    artifact: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True)
class Dependency:
    """A `<dependency>`; "" stands for what it leaves out, which a managed one may fill in.

    `exclusions` are (group, artifact), either may be `*`.
    """

    group: str
    artifact: str
    version: str = ""
    scope: str = ""
    kind: str = ""
    classifier: str = ""
    optional: str = ""
    exclusions: frozenset[tuple[str, str]] = frozenset()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two of them the same but for the version."""
        return (self.group, self.artifact, self.kind or "jar", self.classifier)


@dataclass(frozen=True)
class Pom:
    """The elements of a POM, texts as written; `relocation` is where the artifact went."""

    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    parent: Coordinate | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    managed: tuple[Dependency, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    relocation: Mapping[str, str] = field(default_factory=dict)


def read_pom(data: bytes, name: str) -> Pom:
    """Read a POM. Raises PackageError naming `name`."""
    try:
        root = _parse(data)
    except (expat.ExpatError, ValueError) as error:
        facts = {"POM": name, "reason": error}
        raise PackageError("a POM cannot be read", facts=facts, hint="ask its publisher") from error
    parent = root.find("parent")
    return Pom(
        *_coordinate(root),
        _text(root, "packaging") or "jar",
        None if parent is None else Coordinate(*_coordinate(parent)),
        {each.tag: (each.text or "").strip() for each in root.findall("properties/*")},
        tuple(map(_dependency, root.findall("dependencyManagement/dependencies/dependency"))),
        tuple(map(_dependency, root.findall("dependencies/dependency"))),
        {each.tag: (each.text or "").strip() for each in root.findall("distributionManagement/relocation/*")},
    )


def _dependency(node: Node) -> Dependency:
    excluded = node.findall("exclusions/exclusion")
    return Dependency(
        *_coordinate(node),
        scope=_text(node, "scope"),
        kind=_text(node, "type"),
        classifier=_text(node, "classifier"),
        optional=_text(node, "optional"),
        exclusions=frozenset((_text(each, "groupId"), _text(each, "artifactId") or "*") for each in excluded),
    )


def _coordinate(node: Node) -> tuple[str, str, str]:
    return _text(node, "groupId"), _text(node, "artifactId"), _text(node, "version")


def _text(node: Node, tag: str) -> str:
    return (node.findtext(tag) or "").strip()


def _parse(data: bytes) -> Node:
    """The document's tree without name spaces. ElementTree's own parser would expand entities."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = lambda tag, _: builder.start(tag.rpartition("}")[2], {})
    parser.EndElementHandler = lambda tag: builder.end(tag.rpartition("}")[2])
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.Parse(data, True)
    return builder.close()


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it declares a document type")
