"""Many processes at one catalog: none loses what it registered, no number is given twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prebake.config.catalog import ANONYMOUS, open_catalog
from prebake.config.definition import Environment
from world.leasing import at_once

# What each process sees beside what `at_once` gives it.
LINES = """
import prebake.config.catalog.catalog, prebake.config.catalog.database, alembic.command
from prebake.config.catalog import Record, open_catalog
from prebake.config.definition import Definition, Environment
def vision(text, **identity):
    variables = (("WHO", str(text)),)
    return Environment(Definition(image="debian:12", environment_variables=variables), "vision", **identity)
catalog = open_catalog(url)
"""


def test_all_open_an_empty_database_at_once(url: str, tmp_path: Path) -> None:
    at_once(12, LINES + "catalog.register(vision('same'), asked_by=str(number))", url, tmp_path)
    assert [version.title for version in open_catalog(url).all()] == ["vision:1"]


def test_each_gets_versions_of_its_own(url: str, tmp_path: Path) -> None:
    lines = """
for each in range(5):
    version = catalog.register(vision((number, each)), asked_by=str(number))
    (folder / version.version).write_text(f"({number}, {each})")
"""
    at_once(8, LINES + lines, url, tmp_path)
    versions = open_catalog(url).versions("vision")
    assert [version.version for version in versions] == [str(number) for number in range(1, 41)]
    for version in versions:
        told = (tmp_path / version.version).read_text()
        assert version.environment.definition.environment_variables == (("WHO", told),)


def test_one_of_many_definitions_wins_a_version(url: str, tmp_path: Path) -> None:
    lines = """
from prebake.errors import ConflictError
try:
    catalog.register(vision(number, version="1.0"), asked_by=str(number))
    (folder / "won").open("x").write(str(number))
except ConflictError as error:
    assert error.facts["environment_variables"].endswith(f"-> WHO={number}")
    (folder / f"lost-{number}").touch()
"""
    at_once(8, LINES + lines, url, tmp_path)
    assert len([*tmp_path.glob("lost-*")]) == 7
    version = open_catalog(url).get("vision:1.0")
    assert version.asked_by == (tmp_path / "won").read_text()


def test_content_is_registered_once_and_every_outcome_kept(url: str, tmp_path: Path) -> None:
    lines = """
version = catalog.register(vision("same"), asked_by=str(number), anonymous=True)
(folder / version.version).touch()
for image in ("same", str(number)):
    catalog.record(version, Record("{}", "base", image, "registry", "locked", str(number)))
catalog.register(vision(number % 3), asked_by=str(number))
catalog.label("vision", "prod")
"""
    at_once(8, LINES + lines, url, tmp_path)
    catalog = open_catalog(url)
    (version,) = catalog.versions(ANONYMOUS)
    assert (tmp_path / version.version).exists()
    images = [record.image for record in catalog.records(version)]
    assert sorted(images) == sorted(["same", *map(str, range(8))])
    assert "prod" in {label for each in catalog.all() for label in each.labels}


def test_a_deleted_version_is_not_given_again_meanwhile(
    url: str, tmp_path: Path, vision: Callable[..., Environment]
) -> None:
    lines = """
for each in range(4):
    version = catalog.register(vision((number, each)), asked_by=str(number))
    (folder / version.version).open("x").close()
    catalog.delete(version.title, asked_by=str(number))
"""
    at_once(8, LINES + lines, url, tmp_path)
    assert len([path for path in tmp_path.iterdir() if path.name.isdecimal()]) == 32
    assert open_catalog(url).register(vision(), asked_by="ada").title == "vision:33"
