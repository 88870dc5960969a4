"""`.dockerignore`: which paths of a build context stay at home.

The rules of https://github.com/moby/patternmatcher, which BuildKit has: the last rule that matches a path or
a folder above it wins; `*` and `?` stop at a slash, `**` does not; `!` takes a path back in, also one of an
ignored folder. pathspec knows git's rules, and those are others: `*.py` ignores in every folder there.

    >>> from pathlib import Path
    >>> rules = parse("*.log\\n!keep.log", Path(".dockerignore"))
    >>> [rule_for(rules, path).text for path in ("a.log", "keep.log", "keep.log/inside")]
    ['*.log', '!keep.log', '!keep.log']
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from ..config.places import Place, refusal

if TYPE_CHECKING:
    from pathlib import Path

NAME = ".dockerignore"
# One token of a pattern: `**` with the slash behind it, an escaped letter, or a letter.
_TOKEN = re.compile(r"\*\*/?|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """A line of the file: what it matches, and whether that is kept (`!`)."""

    line: int
    text: str
    keeps: bool
    pattern: re.Pattern[str]


def rules_of(folder: Path, dockerfile: str) -> tuple[Rule, ...]:
    """The rules that count for a context. Raises DefinitionError for a pattern that is none."""
    path = _file(folder, dockerfile)
    return parse(path.read_bytes().decode("utf-8-sig", "surrogateescape"), path) if path.is_file() else ()


def parse(text: str, path: Path) -> tuple[Rule, ...]:
    """The rules of a file's text."""
    numbered = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line[:1] != "#")
    return tuple(_rule(line, Place(path, number)) for number, line in numbered if line)


def matches(rules: tuple[Rule, ...], path: str, above: tuple[bool, ...] = ()) -> tuple[bool, ...]:
    """Which rules match `path`; `above` are those that matched its folder: they match all that is in it."""
    inherited = above or (False,) * len(rules)
    return tuple(
        seen or rule.pattern.fullmatch(path) is not None for rule, seen in zip(rules, inherited, strict=True)
    )


def deciding(rules: tuple[Rule, ...], matched: tuple[bool, ...]) -> Rule | None:
    """The last rule that matched."""
    return next((rule for rule, hit in zip(reversed(rules), reversed(matched), strict=True) if hit), None)


def rule_for(rules: tuple[Rule, ...], path: str) -> Rule | None:
    """The rule that decides on a path by itself; a walk rather hands `matches` from folder to folder."""
    matched: tuple[bool, ...] = ()
    for each in accumulate(path.split("/"), lambda above, name: f"{above}/{name}"):
        matched = matches(rules, each, matched)
    return deciding(rules, matched)


def ignored_by(folder: Path, dockerfile: str, path: str) -> str:
    """The line that keeps `path` at home, for people; empty if none does."""
    rule = rule_for(rules_of(folder, dockerfile), posixpath.normpath(path).lstrip("/"))
    name = _file(folder, dockerfile).name
    return f"`{rule.text}` in {name} line {rule.line}" if rule and not rule.keeps else ""


def _file(folder: Path, dockerfile: str) -> Path:
    """BuildKit's rule: the file beside the Dockerfile and named after it comes first."""
    own = folder / f"{dockerfile}{NAME}"
    return own if own.is_file() else folder / NAME


def _rule(text: str, place: Place) -> Rule:
    keeps = text.startswith("!")
    wanted = text[1:].strip() if keeps else text
    try:
        if not wanted:
            raise ValueError(text)
        return Rule(place.line, text, keeps, re.compile(_regex(posixpath.normpath(wanted).lstrip("/"))))
    except (ValueError, re.error):
        hint = "write a path, with `*`, `**`, `?` or `[a-z]` where it varies"
        raise refusal(
            f"`{place.path.name}` has an impossible pattern", place, found=text, hint=hint
        ) from None


def _regex(pattern: str) -> str:
    translated = (_translated(token[0], token.end() == len(pattern)) for token in _TOKEN.finditer(pattern))
    return f"(?s:{''.join(translated)})"


def _translated(token: str, last: bool) -> str:
    if token.startswith("**"):
        return ".*" if last else "(?:.*/)?"
    if token in "*?":
        return "[^/]*" if token == "*" else "[^/]"
    if token in "[]^-":
        return token
    return re.escape(token[-1])
