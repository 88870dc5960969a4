"""A file that a command writes where `-o` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_output(path: Path, text: str) -> None:
    """Write it whole or not at all. Raises SettingsError."""
    from ...cache.files import replacing
    from ...errors import SettingsError

    try:
        with replacing(path, path.parent) as stream:
            stream.write(text.encode())
    except OSError as error:
        facts = {"file": path, "reason": error.strerror or error}
        raise SettingsError("the output file cannot be written", facts=facts, hint="correct -o") from error
