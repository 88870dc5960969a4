"""Conda environment files, of every quality users have.

>>> from .load import load  # doctest: +SKIP
>>> load(Path("conda.yaml"), image="ubuntu:24.04").definition.conda.specs  # doctest: +SKIP
('python=3.12', 'numpy>=2')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .definition import CondaSpec
from .fields import CONDA, known, unknown
from .match_spec import check_spec, package
from .places import Line, refusal
from .requirements import pip_lines, read_requirements
from .selector import holds, holds_in_comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .yaml_nodes import Value


@dataclass(frozen=True)
class CondaFile:
    """A conda file as read: what it asks for, where each line of it stands, what to warn of."""

    spec: CondaSpec
    lines: tuple[Line, ...]
    warnings: tuple[str, ...]


def conda_file(document: Value) -> CondaFile:
    """Read a conda file's mapping, whether a file of its own or inline."""
    document.forbid_placeholders()
    _forbid_other_tools(document)
    given = known(document, CONDA)
    channels = _channels(given.get("channels"))
    entries = tuple(_selected(given["dependencies"].items()))
    specs = tuple(_specs(entries))
    pip = pip_lines(_pip_entries(entries))
    spec = CondaSpec(
        channels=channels,
        specs=_with_python(specs),
        pip=tuple(line.text for line in pip),
        variables=given["variables"].pairs() if "variables" in given else (),
    )
    warnings = _warnings(document, given, channels, specs)
    return CondaFile(spec, (*specs, *pip), (*unknown(document, CONDA), *warnings))


def requirements_file(path: Path) -> CondaFile:
    """A requirements file as the conda file it stands for: python, and the lines for pip."""
    pip = read_requirements(path)
    spec = CondaSpec((), ("python",), tuple(line.text for line in pip))
    return CondaFile(spec, pip, (f"{path}: names no python, `python` is added",))


def _channels(value: Value | None) -> tuple[str, ...]:
    """Channels in order, each once; `nodefaults` only undoes a default that is not ours."""
    names = (item.text() for item in value.items()) if value else ()
    return tuple(dict.fromkeys(name for name in names if name != "nodefaults"))


def _selected(entries: Iterable[Value]) -> Iterator[Value]:
    """The entries meant for this platform, freed of their selectors."""
    for entry in entries:
        if holds_in_comment(entry.comment) is False:
            continue
        selector = _selector(entry)
        if selector is None:
            yield entry
        elif holds(selector):
            yield from entry.fields().values()


def _selector(entry: Value) -> str | None:
    key = next(iter(entry.fields()), "") if entry.kind == "map" else ""
    match = re.fullmatch(r"sel\((.*)\)", key)
    return match[1] if match else None


def _specs(entries: Iterable[Value]) -> Iterator[Line]:
    for entry in entries:
        if entry.kind != "map":
            line = Line(" ".join(entry.text().split()), entry.place)
            check_spec(line)
            yield line


def _pip_entries(entries: Iterable[Value]) -> Iterator[Line]:
    for entry in entries:
        if entry.kind == "map":
            yield from (Line(item.text(), item.place) for item in _selected(_pip_list(entry)))


def _pip_list(entry: Value) -> tuple[Value, ...]:
    fields = entry.fields()
    if fields.keys() != {"pip"}:
        key, value = next(iter(fields.items()), ("", entry))
        hint = f"write `- {key}={value.node.value}`" if value.kind in {"str", "float", "int"} else "remove it"
        found = f"a mapping `{', '.join(fields)}`"
        raise refusal(
            "a dependency is a mapping",
            entry.place,
            found=found,
            allowed="a match spec, or `pip:`",
            hint=hint,
        )
    return fields["pip"].items()


def _with_python(specs: Iterable[Line]) -> tuple[str, ...]:
    texts = tuple(line.text for line in specs)
    return texts if any(package(text) == "python" for text in texts) else ("python", *texts)


def _warnings(
    document: Value, given: dict[str, Value], channels: tuple[str, ...], specs: tuple[Line, ...]
) -> Iterator[str]:
    if not channels:
        yield f"{document.place}: no channels, the settings' are taken"
    if not any(package(line.text) == "python" for line in specs):
        yield f"{document.place}: no python among the dependencies, `python` is added"
    if "prefix" in given:
        yield f"{given['prefix'].place}: `prefix` is ignored, images have their own"
    platforms = [item.text() for item in given["platforms"].items()] if "platforms" in given else []
    if platforms and "linux-64" not in platforms:
        yield f"{given['platforms'].place}: `platforms` lacks linux-64, which is what is built"


def _forbid_other_tools(document: Value) -> None:
    """Refuse MLflow's python_env.yaml, whose `dependencies` are lines for pip."""
    fields = document.fields()
    if "build_dependencies" in fields:
        raise refusal(
            "this is MLflow's python_env.yaml, not a conda file",
            fields["build_dependencies"].place,
            found="key `build_dependencies`",
            allowed=", ".join(CONDA),
            hint="load the conda.yaml that MLflow writes beside it, or requirements.txt with a base image",
        )
