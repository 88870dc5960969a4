"""The Maven solve: coordinates in, the jars of their transitive closure out.

As Maven does it (https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html):
breadth first, the version nearest to the root wins, among equals the first; compile and runtime scope;
optional and excluded dependencies are left out. So are Spark's own parts and Scala's library, which every
Spark has and which `spark-submit --packages` leaves out too (`MavenUtils.IVY_DEFAULT_EXCLUDES`). The
packages asked for are a set: they are taken in the order of their names.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PrebakeError
from .maven_model import Model, checked, not_there, read_model
from .maven_repository import Repositories
from .pom import Coordinate
from .spark import repositories_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..cache.directory import DirectoryStore
    from ..config.definition import SparkSpec
    from .lock import Jar
    from .pom import Dependency
    from .sources import Sources

_PARALLEL = 8
_SCOPES = {"", "compile", "runtime"}
_JARS = {"", "jar", "bundle", "test-jar", "ejb"}
_SPARKS_OWN = re.compile(
    r"org\.apache\.spark:spark-(catalyst|core|graphx|kvstore|launcher|mllib|mllib-local|network-common"
    r"|network-shuffle|repl|sketch|sql|streaming|tags|unsafe)_.*|[^:]*:scala-library"
)
Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Node:
    """A place in the tree: what is asked, by way of what from the root on, and what is excluded below."""

    asked: Coordinate
    path: tuple[Coordinate, ...] = ()
    kind: str = ""
    classifier: str = ""
    exclusions: frozenset[tuple[str, str]] = frozenset()

    @property
    def key(self) -> Key:
        return (self.asked.group, self.asked.artifact, self.classifier)

    @property
    def root(self) -> Coordinate:
        return self.path[0] if self.path else self.asked


@dataclass(frozen=True, eq=False, repr=False)
class _Job:
    """A solve under way; `lines` are where the definition names its packages."""

    repositories: Repositories
    store: DirectoryStore
    lines: Mapping[str, tuple[Path, int]]

    def model(self, node: _Node) -> Model:
        with self._blaming(node):
            return read_model(node.asked, self.repositories)

    def below(self, node: _Node, model: Model) -> list[_Node]:
        with self._blaming(node):
            return list(_below(node, model))

    def jar(self, node: _Node, model: Model) -> Jar | None:
        if node.kind == "pom" or not (model.has_jar or node.classifier):
            return None
        with self._blaming(node):
            found = self.repositories.jar(node.asked, node.classifier, self.store)
            if found is None:
                raise not_there(node.asked, self.repositories, "jar")
            return found

    @contextmanager
    def _blaming(self, node: _Node) -> Iterator[None]:
        """What goes wrong with a package is told with the line that it comes by."""
        try:
            yield
        except PrebakeError as error:
            place = self.lines.get(str(node.root))
            where = {"file": str(place[0]), "line": str(place[1])} if place else {}
            needed = {"needed by": " -> ".join(map(str, node.path))} if node.path else {}
            error.facts = where | needed | error.facts
            raise


def solve_spark(
    spec: SparkSpec, sources: Sources, store: DirectoryStore, lines: Mapping[str, tuple[Path, int]]
) -> tuple[Jar, ...]:
    """The jars, sorted by name, all of them in `store`. Raises SolveError, PackageError, Unreachable."""
    import urllib3

    with urllib3.PoolManager(maxsize=_PARALLEL) as pool, ThreadPoolExecutor(_PARALLEL) as workers:
        job = _Job(Repositories(repositories_of(spec), sources, pool), store, lines)
        tree = _walk([_root(text) for text in sorted(spec.packages)], job, workers)
        jars = workers.map(lambda each: job.jar(*each), tree)
        return tuple(sorted(filter(None, jars), key=lambda jar: jar.name))


def _walk(roots: list[_Node], job: _Job, workers: ThreadPoolExecutor) -> list[tuple[_Node, Model]]:
    """The nodes that win, level by level; what loses brings nothing."""
    seen: set[Key] = set()
    tree: list[tuple[_Node, Model]] = []
    level = roots
    while level:
        nearest = _first(level, seen)
        found = list(zip(nearest, workers.map(job.model, nearest), strict=True))
        tree += found
        level = [below for node, model in found for below in job.below(node, model)]
    return tree


def _first(level: Iterable[_Node], seen: set[Key]) -> list[_Node]:
    """The nodes that nothing nearer to the root, or before them, decides; `seen` grows."""
    found = []
    for node in level:
        if node.key not in seen:
            seen.add(node.key)
            found.append(node)
    return found


def _root(text: str) -> _Node:
    return _Node(Coordinate(*text.split(":")))


def _below(node: _Node, model: Model) -> Iterator[_Node]:
    for each in model.dependencies:
        wanted = each.scope in _SCOPES and each.optional != "true" and each.kind in {*_JARS, "pom"}
        if wanted and not _excluded(each, node.exclusions):
            classifier = each.classifier or ("tests" if each.kind == "test-jar" else "")
            asked = checked(Coordinate(each.group, each.artifact, each.version), str(node.asked), classifier)
            exclusions = node.exclusions | each.exclusions
            yield _Node(asked, (*node.path, node.asked), each.kind, classifier, exclusions)


def _excluded(each: Dependency, exclusions: frozenset[tuple[str, str]]) -> bool:
    if _SPARKS_OWN.fullmatch(f"{each.group}:{each.artifact}"):
        return True
    return any(group in ("*", each.group) and name in ("*", each.artifact) for group, name in exclusions)
