"""An empty database of each kind, and environments that differ in one word."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy

from prebake.config.catalog import open_catalog
from prebake.config.catalog.catalog import Catalog
from prebake.config.definition import CondaSpec, Definition, Environment
from prebake.errors import PrebakeError
from world.postgres import postgres

GOLDEN = Path(__file__).parents[2] / "golden/catalog"
_VARYING = {r"127\.0\.0\.1:\d+": "HOST:PORT", r"\d{4}-\d\d-\d\d \d\d:\d\d UTC": "TIME"}


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

    def check(name: str, error: PrebakeError) -> None:
        text = str(error) + "\n"
        for pattern, placeholder in _VARYING.items():
            text = re.sub(pattern, placeholder, text)
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("PREBAKE_UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()

    return check
