"""`docker build`'s command line, as a step's `build:` has it: `-t app:{{.Run.ID}} -f Dockerfile .`

>>> from pathlib import Path
>>> from prebake.config.places import Line, Place
>>> build = build_line(Line("-t app:v1 --build-arg A=1 src", Place(Path("task.yaml"), 3)))
>>> build.tags, build.context, build.arguments
(('app:v1',), 'src', (('A', '1'),))
"""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, NoReturn

from .places import refusal
from .task import Build

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..errors import DefinitionError
    from .places import Line

# What only BuildKit understands goes to the docker CLI as it is; names with `=` or a word of their own.
_CLI_VALUES = (
    "--cache-to",
    "--secret",
    "--ssh",
    "--build-context",
    "--progress",
    "--memory",
    "-m",
    "--shm-size",
    "--isolation",
    "--ulimit",
)
_CLI_FLAGS = ("--load", "--push", "--squash", "--compress", "--provenance", "--sbom")
_IDLE = ("--rm", "--force-rm", "--quiet", "-q")


class _Refused(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


def build_line(line: Line, *, buildkit: bool = False) -> Build:
    """Read it. Raises DefinitionError naming the option that is not understood."""
    words = split(line)
    try:
        found = _parser().parse_args(words)
    except _Refused as refused:
        raise _not_understood(line, str(refused)) from None
    extra = _cli_only(found)
    if extra and not buildkit:
        raise _needs_buildkit(line, extra)
    if any(re.search("(^|,)(src|source)=", text) for text in found.cli_secret or ()):
        raise _secret_file(line)
    if found.context == "-" or found.context.startswith("oci://"):
        raise _not_understood(line, f"the context `{found.context}`")
    return Build(
        tags=tuple(found.tags),
        context=found.context,
        dockerfile=found.dockerfile,
        target=found.target,
        platform=found.platform,
        network=found.network,
        arguments=tuple(_argument(text) for text in found.arguments),
        labels=tuple((name, value or "") for name, value in map(_argument, found.labels)),
        hosts=tuple((name, address) for name, _, address in (text.partition(":") for text in found.hosts)),
        cache_from=tuple(found.cache_from),
        no_cache=found.no_cache,
        pull=found.pull,
        buildkit=buildkit,
        extra=extra,
    )


def split(line: Line) -> list[str]:
    """The words of a command line, as a shell would find them; variables stay as written."""
    try:
        return shlex.split(line.text)
    except ValueError as error:
        raise refusal(
            "a command line cannot be read",
            line.place,
            found=f"{line.text[:100]}\n{error}",
            hint="close the quote",
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-t", "--tag", dest="tags", action="append", default=[])
    parser.add_argument("-f", "--file", dest="dockerfile")
    parser.add_argument("--build-arg", dest="arguments", action="append", default=[])
    parser.add_argument("--label", dest="labels", action="append", default=[])
    parser.add_argument("--cache-from", action="append", default=[])
    parser.add_argument("--add-host", dest="hosts", action="append", default=[])
    for name in ("--target", "--platform", "--network"):
        parser.add_argument(name)
    for name in ("--no-cache", "--pull"):
        parser.add_argument(name, action="store_true")
    for name in _CLI_VALUES:
        parser.add_argument(name, action="append", dest=_name(name))
    for name in (*_CLI_FLAGS, *_IDLE):
        parser.add_argument(name, action="store_true", dest=_name(name))
    parser.add_argument("context")
    return parser


def _cli_only(found: argparse.Namespace) -> tuple[str, ...]:
    values = ((name, value) for name in _CLI_VALUES for value in getattr(found, _name(name)) or ())
    flags = (name for name in _CLI_FLAGS if getattr(found, _name(name)))
    return (*(word for pair in values for word in pair), *flags)


def _name(option: str) -> str:
    return f"cli_{option.strip('-').replace('-', '_')}"


def _argument(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


def _not_understood(line: Line, problem: str) -> DefinitionError:
    return refusal(
        "a build's command line is not understood",
        line.place,
        found=f"{line.text[:200]}\n{problem}",
        allowed="docker build's options, then a folder of the workspace or a URL",
        hint="correct the option, or remove it",
    )


def _needs_buildkit(line: Line, options: Iterable[str]) -> DefinitionError:
    return refusal(
        "a build's option needs BuildKit",
        line.place,
        found=" ".join(options),
        hint="write `env: [DOCKER_BUILDKIT=1]` and install the docker CLI, or remove the option",
    )


def _secret_file(line: Line) -> DefinitionError:
    return refusal(
        "a build's secret is a file",
        line.place,
        found=line.text[:200],
        allowed="--secret id=NAME,env=VARIABLE",
        hint="put the secret into the step's env: `- VARIABLE='{{.Secrets.name}}'`",
    )
