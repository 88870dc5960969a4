"""Values of a task file's keys, read one by one; each refusal names the line.

What a secret went into is a token (see template.py) and no literal credential, so it passes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .environment_file import checked_image
from .places import Line, did_you_mean, refusal
from .template import has_secret

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..errors import DefinitionError
    from .yaml_nodes import Value

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


def text(value: Value) -> str:
    """Any scalar, as written."""
    written = str(value.node.value)
    return written if has_secret(written) and value.kind == "str" else value.word()


def texts(value: Value) -> tuple[str, ...]:
    """A list of scalars."""
    return tuple(text(item) for item in value.items())


def number(value: Value) -> int:
    """A whole number, 0 or more."""
    if not text(value).isdecimal():
        raise value.wrong("a whole number, 0 or more")
    return int(text(value))


def flag(value: Value) -> bool:
    """A truth value, as YAML 1.1 writes it."""
    word = text(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise value.wrong("true or false")
    return word in _TRUE


def image(line: Line, key: str) -> str:
    """An image reference; without tag and digest it is `latest`."""
    if has_secret(line.text):
        hint = "names of images stand in logs and records: take a value that may be seen"
        raise refusal("a secret stands in the name of an image", line.place, found=line.text, hint=hint)
    name = checked_image(line, key)
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def matching(value: Value, pattern: str, allowed: str) -> str:
    """A text of a certain form; `allowed` says it in words."""
    if not re.fullmatch(pattern, text(value), re.ASCII):
        raise value.wrong(allowed)
    return text(value)


def required(value: Value, key: str) -> Value:
    """A field that must hold something."""
    found = value.fields().get(key)
    if found is None or found.kind == "null":
        raise value.lacks(key)
    return found


def unique(names: Collection[tuple[str, Value]], noun: str) -> None:
    """Refuse the second of two of one name."""
    seen: dict[str, Value] = {}
    for name, value in names:
        if name in seen:
            first = seen[name].place.line
            found = f"`{name}` in line {first} and in line {value.place.line}"
            raise refusal(f"two {noun} have one name", value.place, found=found, hint="rename one of them")
        seen[name] = value


def undeclared(name: str, noun: str, value: Value, known: Collection[str]) -> DefinitionError:
    """The error about a name that stands for nothing."""
    return refusal(
        f"there is no {noun} `{name}`",
        value.place,
        found=name,
        allowed=", ".join(known) or "nothing: none is declared",
        hint=did_you_mean(name, known) or f"declare the {noun}, or correct the name",
    )
