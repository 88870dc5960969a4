"""The `conda-lock.yml` beside a job: written once per lock, and shared by the jobs that ran with it.

conda-lock takes half a second to import, and a job on a hit has no time for that.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ...cache.digest import Digest
from ...cache.files import replacing, store_errors

if TYPE_CHECKING:
    from pathlib import Path

    from ...builders.lock import Lock

FILE = "conda-lock.yml"


def keep(lock: Lock, jobs: Path, folder: Path) -> str:
    """Put the lock's file into a job's folder; returns the lock's digest. Raises PackageError, StoreError."""
    digest = Digest.of(lock.to_bytes())
    shared = jobs / "locks" / f"{digest.hex}.yml"
    with store_errors(jobs):
        if not shared.exists():
            _write(lock, shared, folder)
        try:
            os.link(shared, folder / FILE)
        except OSError:  # a file system without links, or with too many to this file
            shutil.copyfile(shared, folder / FILE)
    return str(digest)


def _write(lock: Lock, shared: Path, tmp: Path) -> None:
    from ...builders.condalock import to_conda_lock

    with replacing(shared, tmp) as stream:
        stream.write(to_conda_lock(lock, "environment.yml").encode())
