"""Where a text stands, and how a refusal says so without repeating a secret.

>>> from pathlib import Path
>>> str(Place(Path("env.yml"), 3))
'env.yml:3'
>>> concealed("https://me:secret@host/simple")
'https://***@host/simple'
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# User info (outside http a user alone is fine: `ssh://git@host`) and signed queries.
# The look-ahead keeps `https://host:8080/x@v1` out: a port is no password.
_CREDENTIAL = re.compile(
    r"(?<=://)[^\s/@:]*:(?!\d+(?:/|$))\S*@"
    r"|(?:(?<=http://)|(?<=https://))[^\s/]+@"
    r"|(?<=[?&])(?:sig|token|access_token|api_key|password)=[^\s&]+",
    re.IGNORECASE,
)
_CHANNEL_TOKEN = re.compile(r"(?P<host>://[^\s/]+/t/)[^/\s]+")  # anaconda.org's way
_PLACEHOLDER = re.compile(r"\$?\{\{.*?\}\}|\{%.*?%\}")


@dataclass(frozen=True)
class Place:
    """A line of a file; line 0 is the file as a whole."""

    path: Path
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


@dataclass(frozen=True)
class Line:
    """A match spec, a pip line: its text and where it stands."""

    text: str
    place: Place


def refusal(
    sentence: str, place: Place, *, found: str = "", allowed: str = "", hint: str = ""
) -> DefinitionError:
    """The error about what stands at a place; secrets in what was found are not repeated."""
    facts = {"file": place.path, "line": place.line, "found": concealed(found), "allowed": allowed}
    return DefinitionError(
        concealed(sentence),
        facts={label: fact for label, fact in facts.items() if fact},
        hint=concealed(hint),
    )


def concealed(text: str) -> str:
    """The text with every credential in a URL replaced by `***`."""
    text = _CREDENTIAL.sub(lambda match: "***@" if match[0].endswith("@") else "***", text)
    return _CHANNEL_TOKEN.sub(r"\g<host>***", text)


def forbid_credential(line: Line) -> None:
    """Refuse a URL that carries a credential: it would end in logs, keys and the image's config."""
    if _CREDENTIAL.search(line.text) or _CHANNEL_TOKEN.search(line.text):
        raise refusal(
            "a credential stands in the definition",
            line.place,
            found=line.text,
            hint="write the URL without it, keep the credential in ~/.netrc, a keyring or the Docker config",
        )


def placeholder(text: str, *, comments: bool = True) -> str | None:
    """The first template placeholder: `{{...}}`, `${{...}}` or `{%...%}`; comments, if any, are skipped."""
    found = _PLACEHOLDER.search(re.sub(r"(?m)(^|\s)#.*$", "", text) if comments else text)
    return found[0] if found else None


def forbid_placeholder(line: Line) -> None:
    """Refuse a template: nobody here knows what its placeholders stand for."""
    found = placeholder(line.text)
    if found:
        raise refusal(
            "the file is a template",
            line.place,
            found=found,
            hint=f"put a value in place of `{found}`, or render the template first, and load the result",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint `did you mean ...?`, empty when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, [*known], n=1)
    return f"did you mean `{near[0]}`?" if near else ""


_files: ContextVar[list[Path] | None] = ContextVar("files", default=None)


@contextmanager
def reading() -> Iterator[list[Path]]:
    """The files that are read within."""
    files: list[Path] = []
    token = _files.set(files)
    try:
        yield files
    finally:
        _files.reset(token)


_rendering: ContextVar[Callable[[str, Path], str] | None] = ContextVar("rendering", default=None)


@contextmanager
def rendering(render: Callable[[str, Path], str]) -> Iterator[None]:
    """Files that are read within are templates: what counts is what `render` makes of text and path."""
    token = _rendering.set(render)
    try:
        yield
    finally:
        _rendering.reset(token)


def read(path: Path, asked: Place | None = None) -> str:
    """The text of a file; `asked` is the line that names it."""
    if (files := _files.get()) is not None:
        files.append(path)
    text, render = _text(path, asked or Place(path)), _rendering.get()
    return render(text, path) if render else text


def _text(path: Path, place: Place) -> str:
    if path.is_dir():
        raise refusal(
            f"`{path.name}` is a folder", place, found=str(path), allowed="a file", hint=_files_in(path)
        )
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise missing(path, place) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        found = f"byte 0x{error.object[error.start]:02x}"
        raise refusal(
            f"`{path.name}` is not UTF-8", Place(path, line), found=found, hint="save it as UTF-8"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        hint = "check its name and permissions"
        raise refusal(f"`{path.name}` cannot be read", place, found=str(error), hint=hint) from None


def missing(path: Path, place: Place, noun: str = "file") -> DefinitionError:
    """The error about a file or folder that is not there, with the nearest name that is."""
    if path.parent.is_dir():
        hint = did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
        hint = hint or f"put it at {path}, or correct the path"
    else:
        hint = f"there is no folder {path.parent}"
    return refusal(f"{noun} `{path.name}` does not exist", place, found=str(path), hint=hint)


def _files_in(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in {".yml", ".yaml", ".txt"})
    return f"name a file in it: {', '.join(names[:5])}" if names else "name the environment's file"
