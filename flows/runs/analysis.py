"""Why a build failed, by name: Azure ML's names of build failures where it has one.

Source of the names: "Troubleshooting environment issues" of Azure ML, build problems.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import PrebakeError
from .record import Analysis

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class _Cause:
    """A cause: its name, which classes of error it is of, and a pattern that their text contains."""

    name: str
    types: tuple[str, ...]
    pattern: str = ""


# The first that fits; patterns are searched in sentence and facts, whatever their case.
_CAUSES = (
    _Cause("no space left on the worker", ("StoreError",), r"no space left|disk is full"),
    _Cause("I/O error", ("StoreError",)),
    _Cause("lease database unreachable", ("Unreachable",), r"lease database"),
    _Cause("Docker Engine unreachable", ("Unreachable",), r"docker engine"),
    _Cause("pip communications error", ("Unreachable",), r"package index"),
    _Cause("conda communications error", ("Unreachable",), r"channel|repodata"),
    _Cause("package download failed", ("Unreachable",), r"package cannot be fetched"),
    _Cause("registry unreachable", ("Unreachable",)),
    _Cause("registry refused the login", ("RegistryError",), r"denied|unauthorized|credentials|40[13]"),
    _Cause("registry error", ("RegistryError",)),
    _Cause("base image not found", ("DefinitionError",), r"base image does not exist"),
    _Cause("base image unusable", ("DefinitionError",), r"base image"),
    _Cause("bad conda spec", ("DefinitionError",), r"not a match spec"),
    _Cause("bad definition", ("DefinitionError",)),
    _Cause("bad settings", ("SettingsError",)),
    _Cause("conda package not found", ("SolveError",), r"no channel has|no package satisfies"),
    _Cause("no matching distribution", ("SolveError",), r"no index has|no wheel|only source"),
    _Cause("incompatible packages", ("SolveError",)),
    _Cause("packages clobber each other", ("PackageError",), r"write the same file"),
    _Cause("credential in a layer", ("PackageError",), r"credential"),
    _Cause("package unusable", ("PackageError",)),
    _Cause("corrupt data", ("IntegrityError",)),
    _Cause("command failed", ("EngineError",)),
    _Cause("time-out", ("PrebakeError",), r"took too long"),
    _Cause("unknown", ("PrebakeError",)),
)


def analyse(error: BaseException) -> Analysis:
    """Name the cause, quote the line that shows it, say what to do."""
    if not isinstance(error, PrebakeError):
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return Analysis("internal error", line, "see the log; this is a mistake of prebake's own")
    cause = next(each for each in _CAUSES if _fits(each, error))
    return Analysis(cause.name, _evidence(cause, error), error.hint)


def _fits(cause: _Cause, error: PrebakeError) -> bool:
    if not {each.__name__ for each in type(error).__mro__}.intersection(cause.types):
        return False
    return any(re.search(cause.pattern, line, re.IGNORECASE) for line in _lines(error))


def _lines(error: PrebakeError) -> Iterator[str]:
    yield error.sentence
    for label, value in error.facts.items():
        yield from (f"{label}: {line.strip()}" for line in value.splitlines())


def _evidence(cause: _Cause, error: PrebakeError) -> str:
    """The line that made it this cause; for one without a pattern, the sentence."""
    fitting = (line for line in _lines(error) if re.search(cause.pattern, line, re.IGNORECASE))
    return next(fitting, error.sentence)
