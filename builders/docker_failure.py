"""What a failed Dockerfile build means to its author: which instruction, on which line, and what to do.

Builders tell it in prose, each in its own; what is not understood is shown as it came.
"""

from __future__ import annotations

import re
from posixpath import normpath
from typing import TYPE_CHECKING

from ..config.places import concealed
from ..errors import EngineError
from .dockerignore import ignored_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .docker_pin import PinnedBuild
    from .dockerfile_lines import Instruction

_LAST_LINES = 15
_NOISE = (" ---> ", "Removing intermediate container ")
_CLASSIC_STEP = re.compile(r"Step (?P<number>\d+)/\d+ : ")
# BuildKit repeats the step that failed: ` > [stage-1 2/3] RUN make:`
_STEP = re.compile(r" > \[[^\]]*\] (?P<text>.*):$")
_STEP_OUTPUT = re.compile(r"#\d+ \d+\.\d+ (?P<text>.*)")
_NOT_A_PATH = re.compile(r"[$*?\[<]|://")
_NO_NETWORK = re.compile(
    r"(?i)could not resolve|temporary failure (?:in name )?resolv|name resolution|bad address"
)


def failure(build: PinnedBuild, lines: Iterable[str], message: str) -> EngineError:
    """The error about a build that said `lines` and ended with `message`."""
    said = [*lines]
    instruction, output = _instruction(build, said), _output(said)
    place: dict[str, object] = {"file": build.dockerfile.path}
    if instruction:
        text = " ".join(instruction.text.split())
        place |= {"line": instruction.line, "instruction": text[:200]}
    shown = "\n".join(output[-_LAST_LINES:])
    facts = place | {"reason": concealed(message)} | ({"output": shown} if shown else {})
    return EngineError(
        "the Dockerfile does not build", facts=facts, hint=_hint(build, instruction, [*said, message])
    )


def _instruction(build: PinnedBuild, said: Sequence[str]) -> Instruction | None:
    """The one that failed: the classic builder numbers them, BuildKit repeats their text."""
    found = build.dockerfile.instructions
    for line in reversed(said):
        if step := _CLASSIC_STEP.match(line):
            return found[int(step["number"]) - 1]
        if step := _STEP.match(line):
            text = step["text"].split()
            same = [each for each in found if each.text.split() == text]
            alike = [each for each in found if each.keyword == text[0]]
            return next(iter(same or alike), None)
    return None


def _output(said: Sequence[str]) -> list[str]:
    """What the failing instruction printed."""
    told = [match["text"] for line in said if (match := _STEP_OUTPUT.match(line))]
    if told or any(line.startswith("#") for line in said):
        return told
    start = max((at for at, line in enumerate(said) if _CLASSIC_STEP.match(line)), default=-1)
    return [line for line in said[start + 1 :] if not line.startswith(_NOISE)]


def _hint(build: PinnedBuild, instruction: Instruction | None, said: Sequence[str]) -> str:
    path = _absent(build, instruction) if instruction else ""
    if path:
        ignored = ignored_by(build.context.path, build.context.dockerfile_path, path)
        return (
            f"{ignored} keeps it out of the context" if ignored else f"put `{path}` into {build.context.path}"
        )
    if any("requires BuildKit" in line for line in said):
        return "install the `docker` command with its buildx plugin where prebake runs"
    if any(map(_NO_NETWORK.search, said)):
        return "RUN reached no network: try the setting `docker_network` (for instance `host`)"
    return "correct the instruction; the engine kept what was built before it"


def _absent(build: PinnedBuild, instruction: Instruction) -> str:
    """The first path that a `COPY` or `ADD` asks for and the context does not have."""
    words = [word.text.strip('[],"') for word in instruction.words()]
    if instruction.keyword not in ("COPY", "ADD") or any(word.startswith("--from") for word in words):
        return ""
    there = {"."} | {file.path for file in build.files}
    sources = (word for word in words[:-1] if not word.startswith("--") and not _NOT_A_PATH.search(word))
    paths = (normpath(source).lstrip("/") or "." for source in sources)
    return next((path for path in paths if path not in there), "")
