"""Every real definition that is read registers, and comes back equal; by its own name too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prebake.config.canonical import definition_inputs
from prebake.config.catalog import open_catalog
from prebake.errors import DefinitionError

from ..test_corpus import definitions, read


def test_all_come_back_equal(environments: Path, tmp_path: Path) -> None:
    read_ones = {name: read(name, path) for name, path in definitions(environments).items()}
    given = {name: each for name, each in read_ones.items() if not isinstance(each, DefinitionError)}
    assert len(given) == 144
    writer, reader = (open_catalog(f"sqlite:///{tmp_path}/catalog.db") for _ in range(2))
    for number, environment in enumerate(given.values()):
        named = replace(environment, name=f"corpus-{number}", version=environment.version or "1.0")
        found = reader.get(writer.register(named, asked_by="ada").title).environment
        assert (found.name, found.definition) == (named.name, environment.definition)
        anonymous = writer.register(environment, asked_by="ada", anonymous=True)
        assert definition_inputs(anonymous.environment.definition) == definition_inputs(
            environment.definition
        )
