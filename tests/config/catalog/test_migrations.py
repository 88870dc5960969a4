"""Databases of every age come up to date with all that is in them; those of a later age are left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import prebake.config.catalog
from prebake.config.catalog import open_catalog
from prebake.config.catalog.tables import HEAD, REVISION_TABLE, names
from prebake.config.definition import CondaSpec, Definition, Environment
from prebake.errors import PrebakeError, SettingsError, StoreError, Unreachable
from world.leasing import at_once
from world.postgres import PASSWORD

from .conftest import execute

MIGRATIONS = Path(prebake.config.catalog.__file__).parent / "migrations"
FILLED = Path(__file__).with_name("revision-1.sql")


@pytest.fixture
def old(url: str, tmp_path: Path) -> str:
    """A database as revision 1 left it, with what people put there."""
    (tmp_path / "store").mkdir(exist_ok=True)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migrate(connection, "0001")
        for line in FILLED.read_text().splitlines():
            connection.exec_driver_sql(line)
    engine.dispose()
    if url.startswith("postgresql"):  # rows that came without a number of the sequence
        execute(
            url, "SELECT setval('prebake_versions_id_seq', 3)", "SELECT setval('prebake_records_id_seq', 1)"
        )
    return url


def migrate(connection: sqlalchemy.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes.update(connection=connection, version_table=REVISION_TABLE)
    command.upgrade(config, revision)


def test_the_newest_revision_is_the_one_the_tables_describe(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    open_catalog(url)
    engine = sqlalchemy.create_engine(url)
    inspector = sqlalchemy.inspect(engine)
    for table in names.metadata.sorted_tables:
        there = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert there.keys() == {column.name for column in table.columns}
        assert [there[column.name]["nullable"] for column in table.columns] == [
            column.nullable for column in table.columns
        ]
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [
            column.name for column in table.primary_key
        ]
        made = {
            index["name"] for index in inspector.get_indexes(table.name) if "duplicates" not in str(index)
        }
        assert made == {index.name for index in table.indexes}
    engine.dispose()


def test_nothing_is_lost_on_the_way_up(old: str) -> None:
    catalog = open_catalog(old)
    first, second = catalog.versions("vision")
    assert first.environment == Environment(
        Definition(image="debian:12", conda=CondaSpec(("conda-forge",), ("python=3.11",), ("tabulate",))),
        "vision",
        "1",
        "the first",
        (("team", "a"),),
    )
    assert (first.archived, first.labels, first.created, first.asked_by) == (
        True,
        ("prod",),
        1700000000.25,
        "ada",
    )
    assert second.environment.definition.environment_variables == (("B", "1"), ("A", "2"))
    assert second.labels == ("latest",)
    (record,) = catalog.records(first)
    assert (record.lock, record.image, record.at, record.last) == (
        "{}",
        "sha256:2",
        1700000003.5,
        1700000004.5,
    )
    assert catalog.get("speech").archived


def test_life_goes_on_after_the_way_up(old: str, vision: Callable[..., Environment]) -> None:
    catalog = open_catalog(old)
    assert catalog.register(vision(), asked_by="ada").title == "vision:3"
    catalog.delete("vision:2", asked_by="ada")
    with pytest.raises(SettingsError, match="deleted"):
        open_catalog(old).get("vision:2")


def test_many_upgrade_it_at_once(old: str, tmp_path: Path) -> None:
    lines = """
import alembic.command
from prebake.config.catalog import open_catalog
assert len(open_catalog(url).all()) == 3
"""
    at_once(10, lines, old, tmp_path)
    assert len(open_catalog(old).all()) == 3


def test_a_failed_upgrade_leaves_all_as_it_was(old: str) -> None:
    execute(old, "CREATE TABLE prebake_deleted (mine INTEGER)")
    with pytest.raises(StoreError, match="prebake_deleted"):
        open_catalog(old)
    execute(old, "DROP TABLE prebake_deleted")
    assert len(open_catalog(old).all()) == 3


def test_a_newer_database_is_left_alone(url: str, golden: Callable[[str, PrebakeError], None]) -> None:
    open_catalog(url)
    execute(url, f"UPDATE {REVISION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError) as caught:
        open_catalog(url)
    golden("newer", caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "mysql://u:s3cret@h/db", "u:s3cret@h", "postgresql://u:s3cret@h:port/db", "sqlite:///", "sqlite://"],
)
def test_a_url_that_makes_no_sense_is_refused_unseen(
    url: str, golden: Callable[[str, PrebakeError], None]
) -> None:
    with pytest.raises(SettingsError) as caught:
        open_catalog(url)
    golden("url", caught.value)


def test_a_silent_server_is_named_without_its_password(server: str) -> None:
    closed = server.replace(f":{urlsplit(server).port}/", ":1/")
    refused = server.replace(PASSWORD, "s3cret-that-is-wrong")
    for url in (f"{closed}?password=s3cret-too", refused):
        with pytest.raises(Unreachable) as caught:
            open_catalog(url)
        assert "s3cret" not in str(caught.value)
        assert "@127.0.0.1:" in caught.value.facts["database"]


def test_a_file_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database\n" * 1000)
    for name in ("text", "text/below/catalog.db"):
        with pytest.raises(StoreError) as caught:
            open_catalog(f"sqlite:///{tmp_path}/{name}")
        assert caught.value.facts["reason"]
        assert "`catalog`" in caught.value.hint
