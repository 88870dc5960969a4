"""The syntax of one conda match spec, checked cheaply; the solver has the last word.

>>> canonical_spec("NumPy >=1.2, <2")
'numpy<2,>=1.2'
>>> package("conda-forge::python =3.8")
'python'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .places import refusal

if TYPE_CHECKING:
    from ..errors import DefinitionError
    from .places import Line

_BOUND = r"\(*(?:==|<=|>=|!=|~=|=|<|>)?\s*[\w*][\w.*+!-]*\)*"
_SPEC = re.compile(
    r"(?:(?P<channel>[^\s\[\]=<>]+)::)?"
    r"(?P<name>\w[\w.-]*)"
    rf"(?:(?:\s+|(?=[=<>!~(]))(?P<version>{_BOUND}(?:\s*[,|]\s*{_BOUND})*)"
    r"(?:(?:\s*=\s*|\s+)(?P<build>[\w.*+-]+))?)?\s*"
    r"(?P<bracket>\[[^\[\]]*\])?",
    re.ASCII,
)
_ARCHIVE = re.compile(r"https?://\S+\.(?:conda|tar\.bz2)")
_FORMS = "`numpy`, `numpy=1.26`, `numpy>=1,<2`, `conda-forge::numpy`, `numpy=1.26=build`, `numpy[build=mkl]`"


def check_spec(line: Line) -> None:
    """Refuse what is no match spec, with what was probably meant."""
    if not _SPEC.fullmatch(line.text) and not _ARCHIVE.fullmatch(line.text):
        raise _refused(line)


def package(spec: str) -> str:
    """The package a match spec asks for."""
    match = _SPEC.fullmatch(spec)
    return match["name"].lower() if match else spec


def canonical_spec(spec: str) -> str:
    """One spelling per meaning: spaces, case of the name and order of bounds do not count.

    `numpy 1.2` (exactly 1.2) and `numpy=1.2` (any 1.2.x) differ in conda, so they stay apart.
    """
    match = _SPEC.fullmatch(spec)
    if not match:
        return spec
    version = _canonical_version(match["version"] or "")
    space = " " if version[:1].isalnum() else ""
    channel = f"{match['channel']}::" if match["channel"] else ""
    build = f" {match['build']}" if match["build"] else ""
    bracket = re.sub(r"\s", "", match["bracket"] or "")
    return f"{channel}{package(spec)}{space}{version}{build}{bracket}"


def _canonical_version(version: str) -> str:
    version = re.sub(r"\s", "", version)
    return version if re.search(r"[|()]", version) else ",".join(sorted(version.split(",")))


def _refused(line: Line) -> DefinitionError:
    meant = re.sub(r"=*=>=?", ">=", line.text).replace("=<", "<=")
    if line.text.startswith("-") or "+" in line.text.partition("//")[0] or re.match(r"\.{0,2}/", line.text):
        hint = "this is a line for pip: put it below `- pip:`"
    elif meant != line.text:
        hint = f"write `{meant}`"
    elif re.match(r"[\w.-]+\[[\w\s,-]+\]", line.text):
        hint = "extras are pip's: put the line below `- pip:`"
    else:
        hint = "conda's syntax is a name, then a version, then a build"
    return refusal(
        "a dependency is no conda match spec", line.place, found=line.text, allowed=_FORMS, hint=hint
    )
