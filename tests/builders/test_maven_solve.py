"""The Maven solve over repositories in Maven's layout: what Maven would take, and clear errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maven import Maven, dependency, managed
from prebake.builders.maven_solve import solve_spark
from prebake.builders.sources import Sources
from prebake.builders.spark import CENTRAL
from prebake.cache.directory import DirectoryStore
from prebake.config.definition import SparkSpec
from prebake.errors import PackageError, PrebakeError, SolveError, Unreachable
from world import services

Solve = Callable[..., list[str]]
IMPORT = "<type>pom</type><scope>import</scope>"


@pytest.fixture
def maven(tmp_path: Path) -> Maven:
    (tmp_path / "maven").mkdir()
    return Maven(tmp_path / "maven")


@pytest.fixture
def solve(maven: Maven, tmp_path: Path) -> Iterator[Solve]:
    """The jars of packages, `artifact:version` each; Maven Central is the repository of the test."""
    with services.static(maven.root) as url:

        def run(*packages: str, repositories: tuple[str, ...] = ()) -> list[str]:
            spec, sources = SparkSpec(packages, repositories), Sources(((CENTRAL, url),), retries=1)
            lines = {package: (Path("env.yml"), 7) for package in packages}
            jars = solve_spark(spec, sources, DirectoryStore(tmp_path / "store"), lines)
            assert all(jar.url.startswith((CENTRAL, "file://")) for jar in jars)
            return [f"{jar.artifact}:{jar.version}" for jar in jars]

        yield run


def test_the_nearest_version_wins_and_the_loser_brings_nothing(maven: Maven, solve: Solve) -> None:
    maven.add("g:a:1", ["g:b:1", "g:c:1"])
    maven.add("g:b:1", ["g:c:2"])
    maven.add("g:c:1")
    maven.add("g:c:2", ["g:never:1"])
    assert solve("g:a:1") == ["a:1", "b:1", "c:1"]
    maven.add("g:first:1", ["g:c:3"])
    maven.add("g:c:3")
    maven.add("g:equals:1", ["g:first:1", "g:b:1"])
    assert solve("g:equals:1") == ["b:1", "c:3", "equals:1", "first:1"]
    maven.add("g:never:1")
    assert solve("g:never:1", "g:c:2", "g:a:1") == solve("g:a:1", "g:never:1", "g:c:2")


def test_scopes_optional_and_exclusions(maven: Maven, solve: Solve) -> None:
    for name in ("run", "lib", "deep", "inner"):
        maven.add(f"g:{name}:1", {"lib": ["g:deep:1", "x:deep:1"], "run": ["g:inner:1"]}.get(name, []))
    excluding = (
        "<exclusions><exclusion><groupId>*</groupId><artifactId>deep</artifactId></exclusion></exclusions>"
    )
    own = f"<dependencies>{dependency('g:lib:1', excluding)}</dependencies>"
    maven.add("g:a:1", ["g:run:1!runtime", "g:t:1!test", "g:p:1!provided", "g:o:1!optional"])
    pom = maven.root / "g/a/1/a-1.pom"
    pom.write_text(pom.read_text().replace("<dependencies>", own[: -len("</dependencies>")]))
    assert solve("g:a:1") == ["a:1", "inner:1", "lib:1", "run:1"]


def test_parents_properties_and_boms(maven: Maven, solve: Solve) -> None:
    maven.add("g:bom:1", extra=managed("g:b:1", "g:c:9"), jar=False)
    grand = (
        f"<properties><v>0</v><w>2</w></properties>{managed(dependency('g:bom:${bom}', IMPORT), 'g:c:${w}')}"
    )
    maven.add("g:grand:1", extra=grand, jar=False)
    parent = "<parent><groupId>g</groupId><artifactId>{}</artifactId><version>1</version></parent>"
    properties = "<properties><v>1</v><bom>${v}</bom></properties>"
    maven.add("g:parent:1", ["${project.groupId}:d:${project.version}"], parent.format("grand"), jar=False)
    maven.add("g:a:1", ["g:b", "g:c"], parent.format("parent") + properties)
    for name in ("b:1", "c:2", "d:1"):
        maven.add(f"g:{name}")
    assert solve("g:a:1") == ["a:1", "b:1", "c:2", "d:1"]


def test_what_every_spark_has_is_left_out(maven: Maven, solve: Solve) -> None:
    sparks = ["org.apache.spark:spark-sql_2.12:3.5.0", "org.scala-lang:scala-library:2.12.1"]
    maven.add("g:a:1", [*sparks, "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0"])
    maven.add("org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.0")
    assert solve("g:a:1") == ["a:1", "spark-sql-kafka-0-10_2.12:3.5.0"]


def test_an_artifact_that_moved_and_one_that_only_gathers(maven: Maven, solve: Solve) -> None:
    moved = "<distributionManagement><relocation><groupId>new</groupId></relocation></distributionManagement>"
    maven.add("old:a:1", extra=moved, jar=False)
    maven.add("new:a:1")
    maven.add("g:all:1", ["old:a:1"], jar=False)
    assert solve("g:all:1") == ["a:1"]


def test_the_first_repository_that_has_it_serves(maven: Maven, solve: Solve, tmp_path: Path) -> None:
    own = Maven(tmp_path / "own")
    own.add("g:a:1", ["g:b:1"])
    maven.add("g:a:1")
    maven.add("g:b:1")
    assert solve("g:a:1", repositories=(own.root.as_uri(),)) == ["a:1", "b:1"]


def refused(solve: Solve, kind: type[PrebakeError], package: str) -> PrebakeError:
    with pytest.raises(kind) as caught:
        solve(package)
    assert caught.value.facts["line"] == "7"
    return caught.value


def test_a_package_that_is_nowhere(maven: Maven, solve: Solve) -> None:
    maven.add("g:a:1", ["g:gone:3"])
    error = refused(solve, SolveError, "g:a:1")
    assert "`g:gone:3`" in error.sentence
    assert (error.facts["looked in"], error.facts["needed by"]) == (CENTRAL, "g:a:1")
    (maven.root / "g/a/1/a-1.jar").unlink()
    maven.add("g:gone:3")
    assert "jar of `g:a:1`" in refused(solve, SolveError, "g:a:1").sentence


@pytest.mark.parametrize("version", ["[1,2)", "(,3]", "LATEST", ""])
def test_a_version_that_is_not_fixed(maven: Maven, solve: Solve, version: str) -> None:
    maven.add("g:a:1", [f"g:b:{version}".rstrip(":")])
    error = refused(solve, SolveError, "g:a:1")
    assert error.sentence == "a dependency has no fixed version"
    assert error.facts["needed by"] == "g:a:1"


@pytest.mark.parametrize(
    "pom",
    [
        '<!DOCTYPE p [<!ENTITY a "aa">]><project><artifactId>&a;</artifactId></project>',
        "<project>",
        "nothing",
        "<project><dependencies><dependency><groupId>..</groupId><artifactId>../../x</artifactId>"
        "<version>1</version></dependency></dependencies></project>",
        "<project><parent><groupId>g</groupId><artifactId>a</artifactId><version>1</version></parent></project>",
        "<project><properties><p>${p}${p}</p></properties><dependencies><dependency><groupId>g</groupId>"
        "<artifactId>${p}</artifactId><version>1</version></dependency></dependencies></project>",
    ],
    ids=["doctype", "torn", "text", "path", "own-parent", "endless-property"],
)
def test_hostile_and_broken_poms(maven: Maven, solve: Solve, pom: str) -> None:
    maven.add("g:a:1").with_suffix(".pom").write_text(pom)
    refused(solve, PackageError, "g:a:1")


@pytest.mark.parametrize("suffix", [".sha256", ".sha1"])
def test_a_jar_that_is_not_its_checksum(maven: Maven, solve: Solve, suffix: str) -> None:
    jar = maven.add("g:a:1")
    jar.with_suffix(".jar.sha256").unlink()
    assert solve("g:a:1") == ["a:1"]
    jar.with_suffix(f".jar{suffix}").write_text("00  a-1.jar")
    assert "checksum" in refused(solve, PackageError, "g:a:1").sentence


def test_a_repository_that_does_not_answer(tmp_path: Path) -> None:
    spec, sources = SparkSpec(("g:a:1",)), Sources(((CENTRAL, "http://127.0.0.1:9"),), retries=0)
    with pytest.raises(Unreachable) as caught:
        solve_spark(spec, sources, DirectoryStore(tmp_path / "store"), {})
    assert caught.value.facts["file"].startswith(CENTRAL)
