"""What the docstrings show is true: every example of every module runs."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import prebake

ROOT = Path(prebake.__file__).parent
ROOMS = ("config", "cache", "builders", "flows")
EXAMPLE = re.compile(r"^ +>>> (?!.*doctest: \+SKIP)", re.MULTILINE)
FILES = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
MODULES = sorted(
    ".".join(("prebake", *path.relative_to(ROOT).with_suffix("").parts))
    for path in FILES
    if EXAMPLE.search(path.read_text()) and path.name != "__init__.py"
)


def test_modules_with_examples_are_found() -> None:
    assert {"prebake.errors", "prebake.cache.digest", "prebake.builders.grouping"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert result.attempted > 0
    assert result.failed == 0
