"""Platform selectors of conda-lock (`# [linux]` behind an entry) and mamba (`- sel(linux): entry`).

Images are Linux on x86-64, so a selector is simply true or false.

    >>> holds("linux and not arm64"), holds("win or osx"), holds("see ticket 7")
    (True, False, None)
"""

from __future__ import annotations

import re

_TRUE = {"linux", "linux64", "unix", "x86", "x86_64", "64"}
_FALSE = {
    *("win", "win32", "win64", "osx", "osx64", "linux32", "emscripten", "wasi"),
    *("aarch64", "arm64", "armv6l", "armv7l", "ppc64le", "s390x", "riscv64"),
}


def holds(selector: str) -> bool | None:
    """Whether a selector is true here; None if it is none (some other comment in brackets)."""
    choices = [_all_hold(choice) for choice in re.split(r"\s+or\s+", selector.strip())]
    return None if None in choices else any(choices)


def holds_in_comment(comment: str) -> bool | None:
    """The same for a comment `# [selector]`.

    >>> holds_in_comment("# [win]"), holds_in_comment("# a note")
    (False, None)
    """
    match = re.match(r"#\s*\[([^\]]*)\]", comment)
    return holds(match[1]) if match else None


def _all_hold(terms: str) -> bool | None:
    truths = [_holds_one(term) for term in re.split(r"\s+and\s+", terms)]
    return None if None in truths else all(truths)


def _holds_one(term: str) -> bool | None:
    negated = term.startswith("not ")
    word = term.removeprefix("not ").strip()
    return (word in _TRUE) != negated if word in _TRUE | _FALSE else None
