"""The newest release on an index, and the newest tag of a repository: what templates stand for."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from ..errors import DefinitionError, PrebakeError, SolveError, Unreachable
from .index_refusal import refusal
from .sources import NO_ANSWER, redact
from .uv import uv_environment, uv_program

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..cache.registry import Repository
    from .sources import Sources

_TAGS_COMPARED = 100


def latest_release(package: str, sources: Sources, cache_dir: Path, *, python: str, pre: bool) -> str:
    """The highest version with a wheel that is not yanked and that runs on `python` (`3.11`; empty: any).

    Raises SolveError, Unreachable.
    """
    options = ["--python-version", python] if python else []
    options += ["--prerelease", "allow"] if pre else []
    command = [
        uv_program(), "pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--no-config",
        "--quiet", "--only-binary", ":all:", "--color", "never", "--refresh", "--python", sys.executable,
        "--no-python-downloads", *options,
    ]  # fmt: skip
    environment = uv_environment(sources, cache_dir)
    run = subprocess.run(command, input=package, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"==(\S+)", run.stdout)
    if run.returncode == 0 and found:
        return found[1]
    raise _no_release(package, redact(run.stderr).strip(), sources)


def _no_release(package: str, message: str, sources: Sources) -> PrebakeError:
    if refused := refusal(message, [sources.pip_index], sources):
        return refused
    facts = {"package": package, "index": redact(sources.pip_index), "reason": message[-500:]}
    if NO_ANSWER.search(message):
        return Unreachable("the package index does not answer", facts=facts, hint="try again")
    hint = "correct its name, or pin a version"
    return SolveError(f"no release of `{package}` is on the index", facts=facts, hint=hint)


def latest_tag(repository: Repository, pattern: str) -> str:
    """The highest tag that `pattern` matches as a whole; without one, the tag that `latest` also names.

    Numbers in tags are compared as numbers. A `latest` that has no other name is given with its digest.
    Raises DefinitionError if there is none, RegistryError, Unreachable.
    """
    tags = list(repository.tags())
    found = _matching(tags, pattern) if pattern else _like_latest(tags, repository)
    if found is None:
        offered = ", ".join(sorted(tags)[:10]) or "none"
        facts = {"repository": repository, "wanted": pattern or "latest", "tags": offered}
        hint = "correct the pattern, or name a tag"
        raise DefinitionError("no tag fits the template", facts=facts, hint=hint)
    return found


def _matching(tags: Iterable[str], pattern: str) -> str | None:
    try:
        fits = re.compile(pattern).fullmatch
    except re.error as error:
        hint = "correct the regular expression"
        facts = {"pattern": pattern, "reason": error}
        raise DefinitionError("the pattern of tags makes no sense", facts=facts, hint=hint) from error
    return max(filter(fits, tags), key=order, default=None)


def _like_latest(tags: list[str], repository: Repository) -> str | None:
    others = sorted((tag for tag in tags if tag != "latest" and any(map(str.isdigit, tag))), key=order)
    digest = repository.head("latest") if "latest" in tags else None
    if digest is None:
        return others[-1] if others else None
    same = (tag for tag in islice(reversed(others), _TAGS_COMPARED) if repository.head(tag) == digest)
    return next(same, f"latest@{digest}")


def order(tag: str) -> tuple[object, ...]:
    """Versions as PEP 440 has them, above whatever else; that by its numbers.

    >>> sorted(["12.9", "12.10", "12.10rc1", "nightly.9", "nightly.10"], key=order)
    ['nightly.9', 'nightly.10', '12.9', '12.10rc1', '12.10']
    """
    try:
        return (1, Version(tag))
    except InvalidVersion:
        pieces = re.split(r"(\d+)", tag)
        return (0, [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces])
