"""Where the real definitions lie, and a way to write small ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_BESIDE = Path(__file__).parents[2].parent / "shared/environments"


@pytest.fixture(scope="session")
def environments() -> Path:
    folder = Path(os.environ.get("PREBAKE_ENVIRONMENTS", _BESIDE))
    if not (folder / "corpus").is_dir():
        pytest.fail(f"the real definitions are not at {folder}: set PREBAKE_ENVIRONMENTS to their folder")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files by name, return the path of the first."""

    def files(contents: dict[str, str | bytes]) -> Path:
        for name, content in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / next(iter(contents))

    return files


def compare(golden: Path, text: str) -> None:
    """What users see is what the file says, and no secret."""
    assert "hunter2" not in text
    if os.environ.get("PREBAKE_UPDATE_GOLDEN"):
        golden.write_text(text + "\n")
    assert text + "\n" == golden.read_text()
