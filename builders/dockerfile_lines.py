"""A Dockerfile as instructions that know where each of their letters stands in the file.

https://docs.docker.com/reference/dockerfile/ : directives, comments, continuation lines, here-documents.
What an instruction means is not asked here.

    >>> [(each.line, each.keyword, each.rest) for each in instructions("FROM a\\n# b\\nRUN c \\\\\\n  d")]
    [(1, 'FROM', 'a'), (3, 'RUN', 'c   d')]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
# White space separates, but not within quotes; a quote that is left open is a letter.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\]|["'\\])+""", re.DOTALL)
_HEREDOC = re.compile(r"""\d*<<(?P<tabs>-?)(?P<quote>["']?)(?P<end>[^<"'\s]+)(?P=quote)""")
_WITH_HEREDOC = ("ADD", "COPY", "RUN", "ONBUILD")


@dataclass(frozen=True)
class Word:
    """Letters of an instruction, and where each of them stands in the file."""

    text: str
    offsets: tuple[int, ...]

    def part(self, start: int, end: int) -> Word:
        """Some of its letters."""
        return Word(self.text[start:end], self.offsets[start:end])


@dataclass(frozen=True)
class Instruction:
    """An instruction, its continuation lines joined; `offsets` tells where each letter of `text` stands."""

    line: int
    text: str
    offsets: tuple[int, ...]

    @property
    def keyword(self) -> str:
        """The first word, in upper case."""
        return self.text.split(None, 1)[0].upper()

    @property
    def rest(self) -> str:
        """What follows it."""
        return (*self.text.split(None, 1), "")[1].rstrip()

    def words(self) -> tuple[Word, ...]:
        """The words behind the keyword, with their quotes."""
        whole = Word(self.text, self.offsets)
        return tuple(whole.part(*match.span()) for match in _WORD.finditer(self.text))[1:]


@dataclass(frozen=True)
class _Line:
    number: int
    start: int
    text: str

    @property
    def says_nothing(self) -> bool:
        return not self.text.strip() or self.text.lstrip().startswith("#")


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, top first."""
    lines = list(_lines(text))
    continues = re.compile(rf"(?<!{escape(text)}){escape(text)}[ \t]*$")
    at = 0
    while at < len(lines):
        if lines[at].says_nothing:
            at += 1
            continue
        found, at = _instruction(lines, at, continues)
        if not found.text:  # a lone continuation
            continue
        yield found
        if found.keyword in _WITH_HEREDOC:
            at = _behind_heredocs(found, lines, at)


def _lines(text: str) -> Iterator[_Line]:
    start = 1 if text.startswith("\ufeff") else 0
    for number, line in enumerate(text[start:].split("\n"), 1):
        yield _Line(number, start, line.removesuffix("\r"))
        start += len(line) + 1


def escape(text: str) -> str:
    """The escape character as a pattern: `\\` unless a directive at the very top names the backtick."""
    for line in _lines(text):
        directive = _DIRECTIVE.match(line.text)
        if not directive:
            break
        if directive[1].lower() == "escape":
            return re.escape(directive[2])
    return r"\\"


def _instruction(lines: list[_Line], at: int, continues: re.Pattern[str]) -> tuple[Instruction, int]:
    """The instruction that starts at line `at`, and the line behind it; comments in between are skipped."""
    first, parts = lines[at], list[str]()
    offsets: list[int] = []
    while at < len(lines):
        line, at = lines[at], at + 1
        if line is not first and line.says_nothing:
            continue
        broken = continues.search(line.text)
        part = line.text[: broken.start()] if broken else line.text
        parts.append(part)
        offsets += range(line.start, line.start + len(part))
        if not broken:
            break
    text = "".join(parts)
    indent = len(text) - len(text.lstrip())
    return Instruction(first.number, text[indent:], tuple(offsets[indent:])), at


def _behind_heredocs(instruction: Instruction, lines: list[_Line], at: int) -> int:
    """The line behind the here-documents that an instruction announces: what is in them is no instruction.

    One that never ends is none: BuildKit refuses it, and what follows may name images.
    """
    for heredoc in filter(None, (_HEREDOC.fullmatch(word.text) for word in instruction.words())):
        for number in range(at, len(lines)):
            line = lines[number].text
            if (line.lstrip("\t") if heredoc["tabs"] else line) == heredoc["end"]:
                at = number + 1
                break
    return at
