"""Requirements files and pip lists, read into lines that depend on no other file.

`-r file` is replaced by the file's lines, `-c file` by one `-c requirement` per line of it, so that what
is asked for, and not the name of a file, decides. Paths are relative to the file that holds the line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .pip_line import check_line, option
from .places import Line, Place, forbid_credential, forbid_placeholder, read, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def read_requirements(path: Path) -> tuple[Line, ...]:
    """The lines of a requirements file and of all it includes."""
    return tuple(_spliced(_logical(read(path), Place(path, 1)), (path.resolve(),)))


def pip_lines(entries: Iterable[Line]) -> tuple[Line, ...]:
    """The lines of a conda file's pip list; an entry may itself be several lines."""
    return tuple(_spliced((line for entry in entries for line in _logical(entry.text, entry.place)), ()))


def _logical(text: str, start: Place) -> Iterator[Line]:
    """Lines as pip sees them: backslash continuations joined, comments and blanks dropped."""
    held, first = "", 0
    for number, physical in enumerate(text.splitlines(), start.line):
        first = first if held else number
        held += re.sub(r"(^|\s+)#.*$", "", physical)
        if physical.endswith("\\"):
            held = held[:-1] + " "
            continue
        if held.strip():
            yield Line(" ".join(held.split()), Place(start.path, first))
        held = ""
    if held.strip():
        yield Line(" ".join(held.split()), Place(start.path, first))


def _spliced(lines: Iterable[Line], within: tuple[Path, ...]) -> Iterator[Line]:
    for line in lines:
        forbid_placeholder(line)
        forbid_credential(line)
        check_line(line)
        name, value = option(line.text) or ("", "")
        if name == "--requirement":
            yield from _included(line, value, within)
        elif name == "--constraint":
            yield from (_constraint(part) for part in _included(line, value, within))
        else:
            yield line


def _constraint(line: Line) -> Line:
    return line if option(line.text) else Line(f"-c {line.text}", line.place)


def _included(line: Line, name: str, within: tuple[Path, ...]) -> Iterator[Line]:
    if "://" in name:
        raise refusal(
            "a requirements file is named by URL",
            line.place,
            found=line.text,
            allowed="a path",
            hint="what a URL holds may change unseen: download the file and name the copy",
        )
    path = line.place.path.parent / name
    if path.resolve() in within:
        raise refusal(
            "requirements files include each other", line.place, found=line.text, hint="remove this line"
        )
    yield from _spliced(_logical(read(path, line.place), Place(path, 1)), (*within, path.resolve()))
