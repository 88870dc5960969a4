"""What tests of registered environments share: calling the command, reading its answer, golden texts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Prebake = Callable[..., CompletedProcess[str]]
Write = Callable[..., Path]
_GOLDEN = Path(__file__).parent / "golden/catalog"
_VARYING = {
    r"127\.0\.0\.1:\d+": "HOST:PORT",
    r"sha256:[0-9a-f]{64}": "sha256:DIGEST",
    r"\d{4}-\d\d-\d\d \d\d:\d\d UTC": "TIME",
    r"\d+\.\d kB": "SIZE",
}


def said(result: CompletedProcess[str]) -> Any:
    """What a command with --json answered."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def text(result: CompletedProcess[str]) -> str:
    """What a command printed for people."""
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_golden(name: str, shown: str) -> None:
    """Compare a whole text with a file; what differs between runs aside."""
    for pattern, placeholder in _VARYING.items():
        shown = re.sub(pattern, placeholder, shown)
    path = _GOLDEN / f"{name}.txt"
    if os.environ.get("PREBAKE_UPDATE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()
