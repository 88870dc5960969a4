"""What tests of `prebake env` say to the command, and how they read its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Prebake = Callable[..., CompletedProcess[str]]
Write = Callable[..., Path]


def said(result: CompletedProcess[str]) -> Any:
    """What a command with --json answered."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def text(result: CompletedProcess[str]) -> str:
    """What a command printed for people."""
    assert result.returncode == 0, result.stderr
    return result.stdout
