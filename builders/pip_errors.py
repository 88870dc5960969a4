"""What uv's refusal of a pip list means, as one of our errors: the most telling reason first.

The words are those of uv 0.13; an unknown one falls through to "cannot be satisfied" with uv's own message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import PackageError, PrebakeError, SolveError, Unreachable
from .sources import NO_ANSWER, redact

if TYPE_CHECKING:
    from .dists import CondaInterface
    from .lock import Target
    from .pip_solve import PipRequest

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_PROVIDED = re.compile(r"([\w.-]+)==([^\s,`]+?)[+.]conda\b")
UNKNOWN = re.compile(r"([\w.-]+) was not found in the (?:package registry|provided package locations)")
_NO_WHEELS = re.compile(r"([\w.-]+)(?:==\S+)? has no (?:usable )?wheels( with a matching)?")
_LOST_EXTRA = re.compile(r"package `([\w.-]+)==\S+?[+.]conda` does not have an extra named `([\w.-]+)`")
_BAD_LINE = re.compile(r"\s-:(\d+):\d+")
_UNREADABLE = re.compile(r"[Ee]rror parsing|Couldn't parse requirement|failed to read|Unexpected '")
_NOISE = re.compile(
    r",? we can conclude that your requirements are unsatisfiable|^ *cause: |^error: ", re.MULTILINE
)
_MESSAGE_LINES = 15


def only_source(name: str, version: str) -> PackageError:
    """For a package that would have to be built and is not allowed to."""
    return PackageError(
        f"`{name}` has no wheel for the target, only source",
        facts={"version": version} if version else {},
        hint=f"choose a version that has one, or let it be built: --allow-sdist {name}",
    )


def no_wheel(name: str, version: str, conda: CondaInterface, target: Target) -> SolveError:
    """For a package whose wheels are all for other targets."""
    return SolveError(
        f"no wheel of `{name}` fits the target",
        facts={"version": version, "target": _target(conda, target)},
        hint="take another version, another python or a newer base image",
    )


def _target(conda: CondaInterface, target: Target) -> str:
    return f"python {conda.python}, {target.platform}, glibc {target.glibc}"


def refuse_lost_extras(message: str) -> None:
    """A stub has no extras, so what an extra would add would be missing without a word."""
    for name, extra in _LOST_EXTRA.findall(message):
        raise SolveError(
            f"the extra `{name}[{extra}]` is asked of a package that conda provides",
            hint=f"leave `{name}` to pip, or list the packages of its extra `{extra}`",
        )


def explain(message: str, request: PipRequest, conda: CondaInterface, target: Target) -> PrebakeError:
    """uv's refusal as one of our errors, the most telling first."""
    facts: dict[str, object] = {
        "target": _target(conda, target),
        "uv": _readable(message),
    }
    if NO_ANSWER.search(message):
        return Unreachable("the package index does not answer", facts=facts, hint="try again")
    if provided := dict(_PROVIDED.findall(message)):
        names = ", ".join(f"{name} {version}" for name, version in provided.items())
        hint = "relax one side: the pip line, or the conda dependency"
        sentence = f"pip needs another version of what conda provides: {names}"
        return SolveError(sentence, facts=facts, hint=hint)
    if unknown := UNKNOWN.search(message):
        hint = f"correct the name{_line_of(unknown[1], request)}, or add the index that has it"
        return SolveError(f"no index has a package `{unknown[1]}`", facts=facts, hint=hint)
    if bare := _NO_WHEELS.search(message):
        if f"Wheels are required for `{bare[1]}`" in message:
            return only_source(bare[1], "")
        hint = f"take another version{_line_of(bare[1], request)}, another python or a newer base image"
        return SolveError(f"no wheel of `{bare[1]}` fits the target", facts=facts, hint=hint)
    if bad := _BAD_LINE.search(message):
        line = request.lines[int(bad[1]) - 1]
        hint = f"correct the line{request.where(line)}"
        return SolveError(f"`{redact(line)}` is not a pip requirement", facts=facts, hint=hint)
    if _UNREADABLE.search(message):
        return SolveError("the pip list cannot be read", facts=facts, hint="correct what uv names")
    hint = "relax one of the bounds uv names"
    return SolveError("the pip list cannot be satisfied", facts=facts, hint=hint)


def _line_of(name: str, request: PipRequest) -> str:
    """Where the list asks for `name` itself."""
    from packaging.utils import canonicalize_name

    for line in request.lines:
        match = _NAME.match(line)
        if match and canonicalize_name(match[1]) == canonicalize_name(name):
            return request.where(line)
    return ""


def _readable(message: str) -> str:
    """uv's message without its logic's small talk; a stub's version is conda's."""
    text = _NOISE.sub("", re.sub(r"[+.]conda\b", " (conda)", message))
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("warning:")]
    return "\n".join(lines[:_MESSAGE_LINES])
