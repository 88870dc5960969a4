"""`docker_args` of a job: the arguments of `docker run` that mean something for one container here."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from .job import Resources
from .places import did_you_mean, refusal

if TYPE_CHECKING:
    from .yaml_nodes import Value

_FIELDS = {
    "--gpus": "gpus",
    "--shm-size": "shm_size",
    "--network": "network",
    "--net": "network",
    "--ipc": "ipc",
}


def docker_arguments(value: Value) -> Resources:
    """Read `--gpus all --shm-size=2g`. Raises DefinitionError for what is not understood."""
    found: dict[str, str] = {}
    words = iter(_words(value))
    for word in words:
        name, equals, text = word.partition("=")
        text = text if equals else next(words, "")
        if name not in _FIELDS or not text:
            raise _not_understood(value, word)
        found[_FIELDS[name]] = text
    return Resources(**found)


def _words(value: Value) -> list[str]:
    try:
        return shlex.split(value.text())
    except ValueError as error:
        raise refusal(f"`docker_args`: {error}", value.place, found=value.text(), hint="close it") from None


def _not_understood(value: Value, word: str) -> Exception:
    hint = did_you_mean(word, _FIELDS) or "remove it, or set it in the engine"
    return refusal(
        "an argument of `docker_args` is not understood",
        value.place,
        found=word,
        allowed=", ".join(f"{name} VALUE" for name in _FIELDS),
        hint=hint,
    )
