from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import SampleWorld
from tiny import tiny_world


@pytest.fixture(scope="session")
def tiny(world: SampleWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleWorld]:
    with tiny_world(world, tmp_path_factory.mktemp("tiny")) as made:
        yield made
