r"""Templates of curated definitions: versions that are looked up when the definition is read.

    fastapi=={{latest-pypi-version}}        newest release on the index that serves the environment's python
    fastapi=={{latest-pypi-version:pre}}    the same, pre-releases too
    debian:{{latest-image-tag}}             the tag that `latest` is by another name
    debian:{{latest-image-tag:12\.\d+}}     the highest tag that the pattern matches as a whole

The syntax is azureml-assets' own; comments are left alone. What stands at another place stays as it is, and
is then refused by whoever reads the definition.

>>> from pathlib import Path
>>> render("- fastapi=={{latest-pypi-version}}", Path("env.yml"), lambda placeholder: "1.0")
'- fastapi==1.0'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PYPI = re.compile(
    r"(?P<before>(?P<subject>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:===?|~=|>=|=)\s*)"
    r"\{\{\s*latest-pypi-version(?::(?P<detail>pre))?\s*\}\}"
)
_IMAGE = re.compile(
    r"(?P<before>(?P<subject>[a-z0-9][\w.:/-]*):)\{\{\s*latest-image-tag(?::(?P<detail>.*?))?\s*\}\}(?!\})"
)


@dataclass(frozen=True)
class Placeholder:
    """What is asked: `kind` is `pypi` or `image`, `subject` a package or repository, `python` its version.

    `detail` is `pre` or a pattern of tags; empty if nothing was said.
    """

    kind: str
    subject: str
    detail: str = ""
    python: str = ""

    def __str__(self) -> str:
        name = {"pypi": "latest-pypi-version", "image": "latest-image-tag"}[self.kind]
        return f"{{{{{name}:{self.detail}}}}}" if self.detail else f"{{{{{name}}}}}"


def render(text: str, path: Path, look_up: Callable[[Placeholder], str]) -> str:
    """The text with every placeholder answered by `look_up`, whose errors get file and line."""
    found = re.search(r"(?m)^\s*-\s*['\"]?python\s*[=~<>]+\s*(\d+\.\d+)", text)
    python = found[1] if found else ""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            lines[number] = _render_line(line, python, (path, number + 1), look_up)
    return "".join(lines)


def _render_line(
    line: str, python: str, place: tuple[Path, int], look_up: Callable[[Placeholder], str]
) -> str:
    def answer(kind: str, match: re.Match[str]) -> str:
        asked = Placeholder(kind, match["subject"], match["detail"] or "", python if kind == "pypi" else "")
        try:
            return match["before"] + look_up(asked)
        except PrebakeError as error:
            error.facts = {"file": str(place[0]), "line": str(place[1]), "found": str(asked)} | error.facts
            raise

    line = _PYPI.sub(lambda match: answer("pypi", match), line)
    return _IMAGE.sub(lambda match: answer("image", match), line)
