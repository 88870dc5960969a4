"""The syntax of one line for pip: a requirement, a URL or local path, a constraint, an option.

>>> canonical_line("Scikit_Learn [b,a] >= 1.0, <2")
'scikit-learn[a,b]<2,>=1.0'
>>> canonical_line("-i https://pypi.org/simple")
'--index-url https://pypi.org/simple'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .places import Line, did_you_mean, refusal

if TYPE_CHECKING:
    from ..errors import DefinitionError

_NAME = r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[\w\s,.-]*)\])?"
_VERSION = re.compile(rf"{_NAME}\s*(?P<version>[^@;\s][^@;]*)?(?:;(?P<marker>.*))?", re.ASCII)
_URL = re.compile(rf"{_NAME}\s*@\s*(?P<url>\S+)(?:\s+;(?P<marker>.*))?", re.ASCII)
# What is surely right, so that `packaging` (70 ms to import) is asked about the rest alone.
_RELEASE = r"\d+(?:\.\d+)*"
_BOUND = rf"(?:(?:<=|>=|<|>)\s*{_RELEASE}|(?:==|!=)\s*{_RELEASE}(?:\.\*)?|~=\s*{_RELEASE}\.\d+)"
_PLAIN = re.compile(rf"{_NAME}\s*(?:{_BOUND}(?:\s*,\s*{_BOUND})*)?", re.ASCII)
_WITH_VALUE = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-e": "--editable",
    "-r": "--requirement",
    "-c": "--constraint",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "--find-links": "--find-links",
    "--editable": "--editable",
    "--requirement": "--requirement",
    "--constraint": "--constraint",
    "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
    "--trusted-host": "--trusted-host",
    "--use-feature": "--use-feature",
}
_FLAGS = ("--no-index", "--pre", "--prefer-binary", "--require-hashes")
_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-z])(?:\s*=\s*|\s*)(?P<value>.*)")


def option(text: str) -> tuple[str, str] | None:
    """An option's long name and value; None for a requirement.

    >>> option("--extra-index-url=https://host/simple")
    ('--extra-index-url', 'https://host/simple')
    """
    match = _OPTION.fullmatch(text)
    return (_WITH_VALUE.get(match["name"], match["name"]), match["value"]) if match else None


def is_local(text: str) -> bool:
    """Whether a line names a file or folder (`./wheels/x.whl`, `-e .`) rather than something to fetch."""
    named = option(text)
    place = named[1] if named and named[0] == "--editable" else text
    path = re.match(r"\.|/|~|file:|[^\s;@]+/|[^\s;@]+\.(?:whl|zip|tar\.gz)(?:\[|$)", place)
    return bool(path) and (place.startswith("file:") or "://" not in place)


def check_line(line: Line) -> None:
    """Refuse what pip would not read, with what was probably meant."""
    named = option(line.text)
    if named:
        _check_option(line, *named)
    elif not is_local(line.text) and not re.match(r"[a-z+]+://", line.text):
        _check_requirement(line)


def canonical_line(text: str) -> str:
    """One spelling per meaning: spaces, PEP 503 names, order of extras, bounds and hashes do not count."""
    named = option(text)
    if named and named[0] == "--constraint":
        return f"-c {canonical_line(named[1])}"
    if named:
        return " ".join(part for part in named if part)
    requirement, *options = re.split(r"\s+(?=--)", text)
    match = None if is_local(text) else _URL.fullmatch(requirement) or _VERSION.fullmatch(requirement)
    return " ".join([_canonical(match) if match else requirement, *sorted(options)])


def _canonical(match: re.Match[str]) -> str:
    parts = match.groupdict()
    extras = ",".join(
        sorted(normal_name(extra) for extra in (parts["extras"] or "").split(",") if extra.strip())
    )
    bounds = ",".join(sorted(re.sub(r"[\s()]", "", parts.get("version") or "").split(",")))
    url = f" @ {parts['url']}" if parts.get("url") else ""
    marker = " ".join((parts["marker"] or "").replace("'", '"').split())
    return (
        normal_name(parts["name"])
        + (f"[{extras}]" if extras else "")
        + bounds
        + url
        + (f" ; {marker}" if marker else "")
    )


def normal_name(name: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _check_option(line: Line, name: str, value: str) -> None:
    if name not in _FLAGS and name not in _WITH_VALUE:
        known = sorted({*_WITH_VALUE.values(), *_FLAGS})
        hint = did_you_mean(name, known) or "leave it out: it does not say what to install"
        raise refusal(
            f"pip's option `{name}` is not supported",
            line.place,
            found=line.text,
            allowed=", ".join(known),
            hint=hint,
        )
    if bool(value) == (name in _FLAGS):
        lack = "takes no value" if value else "lacks its value"
        hint = f"write `{name}`" if value else f"write `{name} VALUE`"
        raise refusal(f"option `{name}` {lack}", line.place, found=line.text, hint=hint)


def _check_requirement(line: Line) -> None:
    requirement = re.split(r"\s+--", line.text)[0]
    if _PLAIN.fullmatch(requirement):
        return
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(requirement)
    except InvalidRequirement as error:
        raise _refused(line, str(error)) from None


def _refused(line: Line, reason: str) -> DefinitionError:
    meant = re.sub(r"=*=>=?", ">=", line.text).replace("=<", "<=")
    meant = re.sub(r"^([\w.-]+(?:\[[^\]]*\])?)\s*=\s*(?=\d)", r"\1==", meant)
    hint = f"write `{meant}`" if meant != line.text else reason.splitlines()[0]
    allowed = "`name`, `name[extra]>=1,<2`, `name==1 ; marker`, `name @ URL`, `git+https://...`, an option"
    return refusal(
        "a line is no requirement pip can read", line.place, found=line.text, allowed=allowed, hint=hint
    )
