"""Temporary files in memory: no disk of a shared machine is measured, and no file system that has aged.

ext4, for one, takes seconds longer to create many files where as many were deleted in the last minutes. Those
who sync what they write gain most.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world.tools import run

_SIZE = "18g"  # what an engine holds of five large images, and its caches


@contextmanager
def in_memory() -> Iterator[None]:
    """Every `tempfile` of this process goes to a tmpfs."""
    folder, before = tempfile.mkdtemp(prefix="memory-"), tempfile.tempdir
    run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", folder)
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        run("umount", "--lazy", folder)
        Path(folder).rmdir()
