"""Aliases of task files from v1.1.0 on: `$Registry` in any text, `bash` as the image of a `cmd`.

They are replaced in the text before it is rendered and read as YAML, as ACR does.

>>> expand("cmd: $Image $$HOME $Other", Aliases({"Image": "app:v1"}))
'cmd: app:v1 $HOME $Other'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .fields import unknown
from .places import refusal
from .task_keys import ALIAS
from .yaml_nodes import Value, parse, parse_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .template import Rendered

RUN_ALIASES = {
    name: f"{{{{.Run.{name}}}}}"
    for name in (
        "ID",
        "SharedVolume",
        "Registry",
        "RegistryName",
        "Date",
        "OS",
        "Architecture",
        "Commit",
        "Branch",
    )
}
# As pinned by https://github.com/Azure/acr-builder/blob/main/graph/global-defaults-linux.go
IMAGE_ALIASES = {
    "acr": "mcr.microsoft.com/acr/acr-cli:0.19",
    "az": "mcr.microsoft.com/acr/azure-cli:2ff604c",
    "bash": "mcr.microsoft.com/acr/bash:2ff604c",
    "curl": "mcr.microsoft.com/acr/curl:2ff604c",
    "cssc": "mcr.microsoft.com/acr/cssc:2ff604c",
}
_TOP_LEVEL = re.compile(r"[^\s#-][^:]*:")


@dataclass(frozen=True)
class Aliases:
    """What each alias stands for, and the character before it."""

    values: Mapping[str, str] = field(default_factory=dict)
    directive: str = "$"
    warnings: tuple[str, ...] = ()


def section(text: str, key: str) -> str:
    """The lines of one top-level key, all others blank, so that line numbers stay."""
    return "\n".join(line if inside else "" for line, inside in _marked(text, key))


def without(text: str, key: str) -> str:
    """The text with the lines of one top-level key blank."""
    return "\n".join("" if inside else line for line, inside in _marked(text, key))


def _marked(text: str, key: str) -> list[tuple[str, bool]]:
    inside, marked = False, []
    for line in text.split("\n"):
        if _TOP_LEVEL.match(line):
            inside = bool(re.match(rf"['\"]?{key}['\"]?\s*:", line))
        marked.append((line, inside))
    return marked


def read_aliases(rendered: Rendered, path: Path) -> Aliases:
    """The aliases of a rendered `alias:` section, above those that ACR defines."""
    if not rendered.text.strip():
        return Aliases(RUN_ALIASES | IMAGE_ALIASES)
    value = parse_text(rendered.text, path).fields()["alias"]
    given = value.fields()
    own = _values(given["values"]) if "values" in given else {}
    sources = given["src"].items() if "src" in given else ()
    from_files: dict[str, str] = {}
    for source in sources:
        from_files |= _from_file(source)
    directive = _directive(given["directive"]) if "directive" in given else "$"
    return Aliases(RUN_ALIASES | IMAGE_ALIASES | from_files | own, directive, unknown(value, ALIAS))


def expand(text: str, aliases: Aliases) -> str:
    """The text with its aliases replaced; the directive twice is the directive, unknown names stay."""
    sign = re.escape(aliases.directive)

    def replace(match: re.Match[str]) -> str:
        return aliases.directive if match[1] == aliases.directive else aliases.values.get(match[1], match[0])

    return re.sub(rf"{sign}({sign}|[A-Za-z0-9]+)", replace, text)


def _values(value: Value) -> dict[str, str]:
    for name, field_ in value.fields().items():
        if not re.fullmatch("[A-Za-z0-9]+", name):
            raise refusal(
                "an alias has an impossible name",
                field_.place,
                found=name,
                allowed="letters and digits",
                hint="rename it",
            )
    return dict(value.pairs())


def _from_file(source: Value) -> dict[str, str]:
    if "://" in source.word():
        raise refusal(
            "aliases are not fetched",
            source.place,
            found=source.word(),
            allowed="a file, relative to the task file",
            hint="download it, and name the file",
        )
    return _values(parse(source.path.parent / source.text(), source.place))


def _directive(value: Value) -> str:
    text = value.word()
    if len(text) != 1 or text.isalnum():
        raise refusal(
            "the alias directive is impossible",
            value.place,
            found=text or "nothing",
            allowed="one character, no letter, no digit",
            hint="leave it out: it is `$` then",
        )
    return text
