"""Go templates as far as ACR task files use them: `{{.Values.tag | default "latest" | lower}}`.

Fields, literals, parentheses, pipes and the functions below; no statements, no variables. What a secret went
into is not in the text: a token stands there, and `Rendered.secrets` has its value.
No library on PyPI does it without Go at hand. Source: https://pkg.go.dev/text/template and https://masterminds.github.io/sprig/

>>> from pathlib import Path
>>> render(Line('v{{.Values.tag | default "B1" | lower}}', Place(Path("task.yaml"), 1)), {"Values": {}}).text
'vb1'
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .places import Line, Place, did_you_mean, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..errors import DefinitionError

# `{{- ` takes the white space before it away, ` -}}` what follows it.
_ACTION = re.compile(r"(?:\s*\{\{-(?=\s)|\{\{)(?P<code>.*?)(?:(?<=\s)-\}\}\s*|\}\})", re.DOTALL)
_COMMENT_LINE = re.compile(r"[ \t]*#[^\n]*")
_PART = re.compile(r"""\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`|-?\d+(?![\w.])|\.[\w.]*|[A-Za-z_]\w*|[()|])""")
_STATEMENTS = ("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private to us: YAML allows them, nobody writes them
_TOKEN = re.compile(f"{_OPEN}\\d+{_CLOSE}")


@dataclass(frozen=True)
class Secret:
    """A value that must not be seen."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Rendered:
    """A text, what its tokens stand for, and a warning for each field without a value."""

    text: str
    secrets: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Operand:
    text: str
    secret: bool = False
    missing: tuple[str, ...] = ()


def _default(given: str, value: str = "") -> str:
    return value or given


def _trunc(count: str, text: str) -> str:
    return text[: int(count)] if int(count) >= 0 else text[int(count) :]


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


# The last argument is what comes through the pipe.
_FUNCTIONS: dict[str, Callable[..., str]] = {
    "default": _default,
    "quote": lambda text: json.dumps(text, ensure_ascii=False),
    "squote": lambda text: f"'{text}'",
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "trimPrefix": lambda prefix, text: text.removeprefix(prefix),
    "trimSuffix": lambda suffix, text: text.removesuffix(suffix),
    "replace": lambda old, new, text: text.replace(old, new),
    "trunc": _trunc,
    "b64enc": _encode,
    "b64dec": _decode,
}


def render(template: Line, data: Mapping[str, Any], first_token: int = 0) -> Rendered:
    """The template of a text that begins at a place, comment lines left as they are; tokens are numbered.

    `data` holds mappings, texts and Secrets. A field without a value gives nothing, as in ACR, and a warning.
    Raises DefinitionError naming the line of what is not supported.
    """
    text, secrets, warnings, out, end = template.text, dict[str, str](), list[str](), list[str](), 0
    for action in _ACTION.finditer(text):
        place = Place(template.place.path, template.place.line + text.count("\n", 0, action.start("code")))
        if action.start() < end or _in_comment(text, action.start("code")):
            continue
        found = _evaluate(Line(action["code"], place), data)
        warnings += (f"{place}: `{name}` has no value: it is rendered as nothing" for name in found.missing)
        out += [text[end : action.start()], _shown(found, secrets, first_token)]
        end = action.end()
    return Rendered("".join([*out, text[end:]]), secrets, tuple(warnings))


def reveal(text: str, secrets: Mapping[str, str]) -> str:
    """The text with the values of its tokens, for who runs it."""
    return _TOKEN.sub(lambda token: secrets[token[0]], text)


def veiled(text: str) -> str:
    """The text for people: each token is `***`."""
    return _TOKEN.sub("***", text)


def has_secret(text: str) -> bool:
    """Whether a token stands in the text."""
    return bool(_TOKEN.search(text))


def _in_comment(text: str, at: int) -> bool:
    return bool(_COMMENT_LINE.match(text, text.rfind("\n", 0, at) + 1, at))


def _shown(found: _Operand, secrets: dict[str, str], first_token: int) -> str:
    if not found.secret:
        return found.text
    token = f"{_OPEN}{first_token + len(secrets)}{_CLOSE}"
    secrets[token] = found.text
    return token


def _evaluate(code: Line, data: Mapping[str, Any]) -> _Operand:
    if re.fullmatch(r"\s*/\*.*\*/\s*", code.text, re.DOTALL):
        return _Operand("")
    parts = deque(_parts(code))
    found = _pipeline(parts, data, code)
    if parts:
        raise _wrong(code, f"`{parts[0]}` is too much")
    return found


def _parts(code: Line) -> list[str]:
    parts, at, text = list[str](), 0, code.text.rstrip()
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise _wrong(code, f"`{text[at:].strip()[:20]}` cannot be read")
        parts.append(part[1])
        at = part.end()
    return parts


def _pipeline(parts: deque[str], data: Mapping[str, Any], code: Line) -> _Operand:
    found = _command(parts, data, code, ())
    while parts and parts[0] == "|":
        parts.popleft()
        found = _command(parts, data, code, (found,))
    return found


def _command(parts: deque[str], data: Mapping[str, Any], code: Line, piped: tuple[_Operand, ...]) -> _Operand:
    """A function with its arguments, or one operand."""
    name = parts[0] if parts else ""
    if not re.match(r"[A-Za-z_]", name) or name in ("true", "false"):
        if piped:
            raise _wrong(code, "a function has to follow `|`")
        return _operand(parts, data, code)
    if name not in _FUNCTIONS:
        raise _unsupported(code, name)
    parts.popleft()
    arguments = list[_Operand]()
    while parts and parts[0] not in ("|", ")"):
        arguments.append(_operand(parts, data, code))
    return _call(name, [*arguments, *piped], code)


def _call(name: str, arguments: Sequence[_Operand], code: Line) -> _Operand:
    try:
        text = _FUNCTIONS[name](*(each.text for each in arguments))
    except (TypeError, ValueError):  # ValueError: no number, no base64; its words may quote a secret
        raise _wrong(code, f"`{name}` cannot take these arguments") from None
    missing = () if name == "default" else tuple(path for each in arguments for path in each.missing)
    return _Operand(text, any(each.secret for each in arguments), missing)


def _operand(parts: deque[str], data: Mapping[str, Any], code: Line) -> _Operand:
    part = parts.popleft() if parts else ""
    if part == "(":
        found = _pipeline(parts, data, code)
        if not parts or parts.popleft() != ")":
            raise _wrong(code, "`)` is missing")
        return found
    if part.startswith("."):
        return _lookup(part, data, code)
    if part.startswith('"'):
        return _Operand(_unquoted(part, code))
    if part.startswith("`"):
        return _Operand(part[1:-1])
    if part in ("true", "false") or re.fullmatch(r"-?\d+", part):
        return _Operand(part)
    raise _wrong(code, f"a value is missing before `{part}`" if part else "a value is missing")


def _unquoted(part: str, code: Line) -> str:
    try:
        return str(json.loads(part))
    except ValueError:
        raise _wrong(code, f"{part} has an escape that is not known") from None


def _lookup(path: str, data: Mapping[str, Any], code: Line) -> _Operand:
    found: Any = data
    for name in path[1:].split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, Secret):
        return _Operand(found.value, secret=True)
    if isinstance(found, dict):
        raise _wrong(code, f"`{path}` is a mapping, not a text")
    return _Operand(found or "", missing=() if found else (path,))


def _unsupported(code: Line, name: str) -> DefinitionError:
    if name in _STATEMENTS:
        return _wrong(code, f"`{name}` is a statement; only values are rendered", "set a value: --set")
    return _wrong(code, f"`{name}` is no function here", did_you_mean(name, _FUNCTIONS))


def _wrong(code: Line, problem: str, hint: str = "") -> DefinitionError:
    return refusal(
        "a template cannot be rendered",
        code.place,
        found=f"{{{{{code.text}}}}}\n{problem}",
        allowed=f".Run, .Values, .Secrets, texts, |, {', '.join(_FUNCTIONS)}",
        hint=hint or "simplify it, or put its result in a value: --set NAME=VALUE",
    )
