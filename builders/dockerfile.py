"""A Dockerfile as far as pinning needs it: stages, the images it takes from outside, and where they stand.

dockerfile-parse (PyPI) was tried: it takes lines of here-documents for instructions and `${T:-4}` for a name,
and knows neither `COPY --from` nor `RUN --mount=from`. The reference is BuildKit's parser
(https://github.com/moby/buildkit/tree/master/frontend/dockerfile).

    dockerfile = read_dockerfile(Path("docker"), "Dockerfile", platform_arguments(Platform()))
    pins = {image.name: pin(image.name) for image in dockerfile.images}
    text = pinned(dockerfile, pins)     # FROM python:3.12@sha256:...; all else byte for byte
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cache.reference import Reference
from ..config.places import (
    Line,
    Place,
    did_you_mean,
    forbid_credential,
    forbid_placeholder,
    read,
    refusal,
)
from ..errors import SettingsError
from .dockerfile_lines import Instruction, Word, instructions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ..cache.oci import Platform
    from ..errors import DefinitionError

Variables = dict[str, str | None]
SCRATCH = "scratch"
_MOST_BYTES = 1 << 20
_KNOWN = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
# What BuildKit sets by itself (docs.docker.com/reference/dockerfile, "Automatic platform ARGs").
_AUTOMATIC = {
    f"{side}{part}" for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
}
_FROM = ("FROM IMAGE [AS NAME]", "for example `FROM python:3.12-slim AS build`")
# Where the image stands in a flag of these instructions; a mount's value is a list with commas.
_TAKERS = {
    "COPY": re.compile(r"--from=(?P<name>.*)"),
    "RUN": re.compile(r'(?:--mount="?|,)from=(?P<name>[^,"]*)'),
}
# `https://$TOKEN@host` holds no credential: that comes from a secret mount, or from an argument.
_BY_VARIABLE = re.compile(r"(?<=://)[^\s/@]*\$[^\s@]*@")
_VARIABLE = re.compile(
    r"\\(?P<literal>.)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<how>:?[-+?])(?P<word>[^}]*))?\})"
)


@dataclass(frozen=True)
class Taken:
    """An image from outside that a line names: variables replaced, and where its text stands."""

    name: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class Stage:
    """A `FROM`: what it starts from is another stage (`below`), an image, or nothing at all."""

    name: str
    line: int
    below: int | None = None
    image: Taken | None = None


@dataclass(frozen=True)
class Dockerfile:
    """A parsed Dockerfile; `instructions` are numbered as the engine numbers its steps."""

    path: Path
    text: str
    stages: tuple[Stage, ...]
    images: tuple[Taken, ...]
    instructions: tuple[Instruction, ...]

    @property
    def base(self) -> Taken | None:
        """The image below the last stage, through all stages in between; None where that is `scratch`."""
        stage = self.stages[-1]
        while stage.below is not None:
            stage = self.stages[stage.below]
        return stage.image


def platform_arguments(platform: Platform) -> dict[str, str]:
    """The automatic arguments of a build for, and on, `platform`."""
    parts = {"PLATFORM": str(platform), "OS": platform.os, "ARCH": platform.architecture, "VARIANT": ""}
    return {f"{side}{part}": value for side in ("BUILD", "TARGET") for part, value in parts.items()}


def read_dockerfile(folder: Path, name: str, arguments: Mapping[str, str]) -> Dockerfile:
    """Read and parse; `arguments` take the place of `ARG` defaults. Raises DefinitionError with the line."""
    path = folder / name
    read(path)  # for its refusals
    if not path.resolve().is_relative_to(folder.resolve()):
        hint = "move it into the folder that `build.path` names"
        raise refusal("the Dockerfile lies outside of its build context", Place(path), found=name, hint=hint)
    data = path.read_bytes()
    if len(data) > _MOST_BYTES:
        found, allowed = f"{len(data)} bytes", f"{_MOST_BYTES} bytes"
        hint = "COPY a script into the image and run that"
        raise refusal("the Dockerfile is too large", Place(path), found=found, allowed=allowed, hint=hint)
    return parse(path, data.decode(), arguments)


def parse(path: Path, text: str, arguments: Mapping[str, str]) -> Dockerfile:
    """The stages and images of a Dockerfile's text. Raises DefinitionError with the line."""
    for number, line in enumerate(text.split("\n"), 1):
        forbid_credential(Line(_BY_VARIABLE.sub("", line.strip()), Place(path, number)))
    found = tuple(instructions(text))
    for instruction in found:
        _check_known(instruction, path)
    first = next((at for at, each in enumerate(found) if each.keyword == "FROM"), len(found))
    _check_start(found[: first + 1], path)
    variables = _variables(found[:first], arguments, path)
    stages = _stages(found, variables, path)
    taken = [stage.image for stage in stages if stage.image]
    taken += [image for each in found for image in _taken(each, stages, path)]
    images = sorted(taken, key=lambda image: image.start)
    return Dockerfile(path, text, stages, tuple(images), found)


def pinned(dockerfile: Dockerfile, pins: Mapping[str, str]) -> str:
    """The text with every image from outside replaced by what `pins` has for its name."""
    pieces, at = [], 0
    for image in dockerfile.images:
        pieces += [dockerfile.text[at : image.start], pins[image.name]]
        at = image.end
    return "".join([*pieces, dockerfile.text[at:]])


def _check_known(instruction: Instruction, path: Path) -> None:
    if instruction.keyword not in _KNOWN:
        word = instruction.text.split(None, 1)[0]
        raise refusal(
            f"`{word[:50]}` is no instruction",
            Place(path, instruction.line),
            found=instruction.text[:100],
            allowed=", ".join(_KNOWN),
            hint=did_you_mean(word.upper(), _KNOWN) or "to go on in the next line, end a line with `\\`",
        )


def _check_start(head: tuple[Instruction, ...], path: Path) -> None:
    """Only `ARG` may stand before the first `FROM`, which must be there."""
    early = next((each for each in head if each.keyword not in ("ARG", "FROM")), None)
    if early or not head or head[-1].keyword != "FROM":
        place = Place(path, early.line if early else 1)
        found = early.text[:100] if early else "no FROM"
        hint = "start it with `FROM` and the base image"
        raise refusal("the Dockerfile does not start from an image", place, found=found, hint=hint)


def _variables(declared: Iterable[Instruction], known: Mapping[str, str], path: Path) -> Variables:
    """What a `FROM` may use: the arguments declared before the first one, None for those without a value."""
    variables: Variables = {name: known[name] for name in _AUTOMATIC & known.keys()}
    for instruction in declared:
        for word in instruction.words():
            name, given, default = word.text.partition("=")
            line = Line(default, Place(path, instruction.line))
            variables[name] = known.get(name, _expanded(line, variables) if given else None)
    return variables


def _expanded(line: Line, variables: Variables) -> str:
    """The text with quotes taken off and variables replaced, as BuildKit does it in `FROM` and `ARG`."""
    text = line.text
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]

    def value(match: re.Match[str]) -> str:
        if match["literal"]:
            return match["literal"]
        found = variables.get(match["plain"] or match["name"])
        how, word = match["how"] or "", match["word"] or ""
        there = found is not None and (found != "" or not how.startswith(":"))
        if how.endswith("+"):
            return word if there else ""
        if there:
            return str(found)
        if how.endswith("-"):
            return word
        raise _without_value(match, line, variables)

    return _VARIABLE.sub(value, text.strip('"'))


def _without_value(match: re.Match[str], line: Line, variables: Variables) -> DefinitionError:
    name = match["plain"] or match["name"]
    hint = f"give it a default before the first FROM: `ARG {name}=...`"
    sentence = "has no value" if name in variables else "is not declared before the first FROM"
    return refusal(f"`{name}` {sentence}", line.place, found=line.text, hint=hint)


def _stages(found: Iterable[Instruction], variables: Variables, path: Path) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    for instruction in found:
        if instruction.keyword == "FROM":
            stages.append(_stage(instruction, stages, variables, path))
    return tuple(stages)


def _stage(instruction: Instruction, above: list[Stage], variables: Variables, path: Path) -> Stage:
    place = Place(path, instruction.line)
    forbid_placeholder(Line(instruction.text, place))
    words = [word for word in instruction.words() if not word.text.startswith("--")]
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.upper() != "AS"):
        allowed, hint = _FROM
        raise refusal("a FROM is not understood", place, found=instruction.text, allowed=allowed, hint=hint)
    base = _expanded(Line(words[0].text, place), variables)
    name = words[2].text.lower() if len(words) == 3 else ""
    below = _index(base, above)
    if below is not None or base == SCRATCH:
        return Stage(name, instruction.line, below)
    return Stage(name, instruction.line, None, _image(base, words[0], place))


def _image(name: str, word: Word, place: Place) -> Taken:
    try:
        Reference.parse(name)
    except SettingsError as error:
        raise refusal(
            f"`{name}` is no image reference",
            place,
            found=error.facts["found"],
            allowed="registry/repository[:tag][@sha256:digest], or an earlier stage",
            hint="for example `docker.io/library/python:3.12-slim`",
        ) from None
    return Taken(name, place.line, word.offsets[0], word.offsets[-1] + 1)


def _index(name: str, stages: Sequence[Stage]) -> int | None:
    """The stage of that name; of several the last."""
    return next((at for at in reversed(range(len(stages))) if stages[at].name == name.lower() != ""), None)


def _taken(instruction: Instruction, stages: tuple[Stage, ...], path: Path) -> Iterator[Taken]:
    """The images from outside that a `COPY --from` or `RUN --mount=from` names."""
    pattern = _TAKERS.get(instruction.keyword)
    for word in instruction.words() if pattern else ():
        if not word.text.startswith("--"):
            break
        for match in pattern.finditer(word.text) if pattern else ():
            named = word.part(*match.span("name"))
            image = _from_outside(named, stages, Place(path, instruction.line))
            if image:
                yield image


def _from_outside(word: Word, stages: tuple[Stage, ...], place: Place) -> Taken | None:
    forbid_placeholder(Line(word.text, place))
    if "$" in word.text:
        hint = "name a stage for it: `FROM $IMAGE AS tools`, then `--from=tools`"
        raise refusal("`--from` takes no variables", place, found=word.text, hint=hint)
    if word.text.isdecimal():
        if int(word.text) < len(stages):
            return None
        allowed = f"0 to {len(stages) - 1}, a stage's name or an image"
        hint = "stages count from 0"
        raise refusal("there is no such stage", place, found=word.text, allowed=allowed, hint=hint)
    inside = _index(word.text, stages) is not None or word.text in ("", SCRATCH)
    return None if inside else _image(word.text, word, place)
