"""YAML with line numbers: values keep the file and line they stand on.

Scalars keep their text as written (`version: 1.10` stays `1.10`), duplicate keys are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from .places import Line, Place, forbid_credential, forbid_placeholder, placeholder, read, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..errors import DefinitionError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ~10x faster; not all builds have it
_NOUNS = {
    "map": "a mapping",
    "seq": "a list",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "a truth value",
    "null": "nothing",
}


@dataclass(frozen=True)
class Value:
    """A YAML node, the file it stands in and what messages call it."""

    node: yaml.Node
    path: Path
    lines: tuple[str, ...]
    name: str = "the file"

    @property
    def place(self) -> Place:
        """Where it starts."""
        return Place(self.path, self.node.start_mark.line + 1)

    @property
    def kind(self) -> str:
        """YAML's short tag: map, seq, str, int, float, bool, null, ..."""
        return self.node.tag.rpartition(":")[2]

    @property
    def comment(self) -> str:
        """What follows it on its last line, such as `# [linux]`."""
        mark = self.node.end_mark
        on_line = isinstance(self.node, yaml.ScalarNode) and mark.line < len(self.lines)
        return self.lines[mark.line][mark.column :].strip() if on_line else ""

    def fields(self) -> dict[str, Value]:
        """The values of a mapping by key."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong("a mapping")
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key, node in self.node.value:
            value = self._at(node, f"`{key.value}`")
            if key.tag.endswith(":merge"):
                merged = value._merged() | merged
            else:
                own[self._at(key, "a key")._new_key(own)] = value
        return merged | own

    def items(self) -> tuple[Value, ...]:
        """The values of a list; nothing is an empty list."""
        if self.kind == "null":
            return ()
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong("a list")
        return tuple(self._at(node, f"an entry of {self.name}") for node in self.node.value)

    def text(self) -> str:
        """A text; numbers are refused, since YAML would already have changed them for others."""
        if self.kind != "str":
            quotable = isinstance(self.node, yaml.ScalarNode) and self.kind != "null"
            raise self.wrong("text", hint="put it in quotes" if quotable else "")
        return self.word()

    def word(self) -> str:
        """Any scalar, as written."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.wrong("text")
        line = Line(str(self.node.value), self.place)
        forbid_credential(line)
        return line.text

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """A mapping of texts, in the file's order; a key without value has the empty text."""
        return tuple((key, value.word()) for key, value in self.fields().items())

    def forbid_placeholders(self) -> None:
        """Refuse templates, also where YAML reads `{{x}}` as a mapping within a mapping."""
        for node in _walk(self.node, set()):
            start, lines = node.start_mark.line, self.lines[node.start_mark.line : node.end_mark.line + 1]
            found = _placeholder_of(node, lines)
            if found:
                number = next((at for at, line in enumerate(lines, start) if found in line), start)
                forbid_placeholder(Line(found, Place(self.path, number + 1)))

    def wrong(self, allowed: str, hint: str = "") -> DefinitionError:
        """The error about a value of the wrong type."""
        noun = _NOUNS.get(self.kind, self.kind)
        scalar = isinstance(self.node, yaml.ScalarNode) and self.node.value
        found = f"{self.node.value} ({noun})" if scalar else noun
        return refusal(
            f"{self.name} has the wrong type",
            self.place,
            found=found,
            allowed=allowed,
            hint=hint or f"write {allowed}",
        )

    def lacks(self, key: str) -> DefinitionError:
        """The error about a key that must be there."""
        found = f"keys {', '.join(self.fields())}" if self.fields() else "an empty mapping"
        return refusal(
            f"`{key}` is missing", self.place, found=found, allowed=f"`{key}:`", hint=f"add `{key}:`"
        )

    def _at(self, node: yaml.Node, name: str) -> Value:
        return Value(node, self.path, self.lines, name)

    def _merged(self) -> dict[str, Value]:
        """What `<<:` brings: one mapping, or a list of which the first wins."""
        parts = self.items() if self.kind == "seq" else (self,)
        return {key: value for part in reversed(parts) for key, value in part.fields().items()}

    def _new_key(self, taken: dict[str, Value]) -> str:
        key = self.word()
        if key in taken:
            raise refusal(
                f"`{key}` is given twice",
                self.place,
                found=f"first in line {taken[key].place.line}, again in line {self.place.line}",
                hint="keep one of them",
            )
        return key


def parse(path: Path, asked: Place | None = None) -> Value:
    """The document of a YAML file; `asked` is the line that names the file."""
    return parse_text(read(path, asked), path)


def parse_text(text: str, path: Path) -> Value:
    """The document of what a YAML file holds, or of what was made of it line by line."""
    lines = tuple(text.splitlines())
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _unparsable(error, path, lines) from None
    if node is None:
        raise refusal(
            f"`{path.name}` is empty",
            Place(path, 1),
            found="nothing",
            hint="write the definition in it",
        )
    return Value(node, path, lines)


def _unparsable(error: yaml.YAMLError, path: Path, lines: tuple[str, ...]) -> DefinitionError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return refusal(
            f"`{path.name}` is not YAML", Place(path, 1), found=str(error).splitlines()[0], hint="remove it"
        )
    number = min(mark.line, len(lines) - 1)
    for before in range(number, -1, -1):  # an unquoted template breaks the syntax at or after its own line
        if placeholder(lines[before]):
            forbid_placeholder(Line(lines[before], Place(path, before + 1)))
    problem = getattr(error, "problem", None) or "a syntax error"
    found = f"{lines[number].strip()[:100]}\n{problem}, column {mark.column + 1}"
    hint = "check indentation, quotes and colons up to this line"
    return refusal(f"`{path.name}` is not YAML", Place(path, number + 1), found=found, hint=hint)


def _walk(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """Every node below, each once: an anchor may name itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.CollectionNode):
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                yield from _walk(part, seen)


def _placeholder_of(node: yaml.Node, lines: tuple[str, ...]) -> str | None:
    if isinstance(node, yaml.ScalarNode):
        return placeholder(node.value, comments=False)
    keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    return placeholder("\n".join(lines)) if any(isinstance(key, yaml.MappingNode) for key in keys) else None
