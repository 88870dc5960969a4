"""Compile a layer's Python sources ahead of time, with the environment's own python.

Policy `none` (the default) leaves compiling to the first import, in every container anew; `unchecked-hash`
puts .pyc files into the layer (PEP 552: no time stamps, sources are not looked at again). What it costs and
saves is in docs/benchmarks.md.

One process per layer: with several (`-j2`) the marshalled bytes depend on what each had imported before.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .encode import inflate
from .entry import Entry, Symlink, ZipMember

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}


def compile_entries(entries: Sequence[Entry], interpreter: Path, folder: Path) -> list[Entry]:
    """The .pyc files of all sources in `entries` that have none; sources go through `folder`.

    A file that does not compile (templates, tests of syntax errors) gets none, as with pip.
    """
    there = {entry.path for entry in entries}
    owners = {entry.path: entry.owner for entry in entries if entry.path.endswith(".py")}
    for entry in entries:
        if entry.path in owners:
            _lay_out(entry, folder / entry.path)
    command = ["-m", "compileall", "-q", "-j1", "-s", str(folder), "-p", "/"]
    command += ["--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run([str(interpreter), *command], env=_ENVIRONMENT, capture_output=True, check=False)
    made = {str(pyc.relative_to(folder)): pyc for pyc in folder.rglob("__pycache__/*.pyc")}
    return [
        Entry(path, pyc, pyc.stat().st_size, owner=owners[_source(path)])
        for path, pyc in sorted(made.items())
        if path not in there
    ]


def _lay_out(entry: Entry, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = entry.content
    if isinstance(content, Symlink):
        return  # its target is compiled, or is not the layer's
    if isinstance(content, Path):
        os.link(content, target)
    elif isinstance(content, ZipMember):
        target.write_bytes(b"".join(inflate(content, entry.size)))
    else:
        target.write_bytes(content)


def _source(pyc: str) -> str:
    """`a/__pycache__/b.cpython-311.pyc` -> `a/b.py`."""
    folder, _, name = pyc.rpartition("/__pycache__/")
    return f"{folder}/{name.partition('.cpython-')[0]}.py"
