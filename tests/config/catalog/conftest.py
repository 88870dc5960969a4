"""An empty database of each kind, and environments that differ in one word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy

from named import check_golden
from prebake.config.catalog import open_catalog
from prebake.config.catalog.catalog import Catalog
from prebake.config.definition import CondaSpec, Definition, Environment
from prebake.errors import PrebakeError
from world.postgres import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store/catalog.db"
    server: str = request.getfixturevalue("server")
    execute(server, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return server


@pytest.fixture
def catalog(url: str) -> Catalog:
    return open_catalog(url)


def execute(url: str, *statements: str) -> None:
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def vision() -> Callable[..., Environment]:
    """`vision("numpy")` is an environment by that name with one more package."""

    def made(*specs: str, **identity: str) -> Environment:
        spec = CondaSpec(("conda-forge",), ("python=3.11", *specs), ("tabulate",))
        definition = Definition(image="debian:12", conda=spec, environment_variables=(("B", "1"), ("A", "2")))
        return replace(Environment(definition, name="vision"), **identity)

    return made


@pytest.fixture
def golden() -> Callable[[str, PrebakeError], None]:
    """Compare the whole text of an error with a file."""
    return lambda name, error: check_golden(name, f"{error}\n")
