"""The front door: `prebake COMMAND`. A command's room is imported only when it runs.

Exit codes: 0 done, 1 something was found wrong (verify), 2 to 8 by kind of error (see errors.py),
130 interrupted; `run` gives the command's own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import PrebakeError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .config.definition import Environment
    from .flows.wiring import Request

_EXAMPLES = {
    "build": """
  prebake build env.yml --to registry.example.com/team/vision:v1
  prebake build conda.yaml --image debian:12 --to docker:vision
  prebake build env.yml --to oci:out:v1 --json""",
    "plan": """
  prebake plan env.yml --json | jq '.layers[] | select(.outcome == "miss")'""",
    "lock": """
  prebake lock env.yml -o conda-lock.yml""",
    "explain": """
  prebake explain env.yml --against old/env.yml""",
    "verify": """
  prebake verify registry.example.com/team/vision:v1""",
    "run": """
  prebake run env.yml -- python train.py
  prebake run env.yml --local -- python -c 'import numpy'""",
    "schema": """
  prebake schema > environment.schema.json""",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. The process's own command line ends the process."""
    if arguments is not None:
        return _main(arguments)
    gc.set_threshold(50_000)  # importing makes no garbage, and looking for it takes 10 ms of a hit
    code = _main(sys.argv[1:])
    _leave(code)
    return code


def _leave(code: int) -> None:
    """End without tearing Python down: it takes 10 ms, and a thread of rattler's could abort it meanwhile."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return  # Python says on its way out that output was lost
    os._exit(code)


def _main(arguments: Sequence[str]) -> int:
    options = _parser(arguments[0] if arguments else "").parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except PrebakeError as error:
        print(json.dumps(error.to_json()) if getattr(options, "json", False) else error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was built is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _parser(wanted: str) -> argparse.ArgumentParser:
    """The parser; if `wanted` names a command, without the others, which take 8 ms to declare."""
    parser = argparse.ArgumentParser(
        prog="prebake",
        description="Environment definitions become container images, layer by layer.",
        epilog="`prebake COMMAND --help` shows examples. Settings: prebake.toml or PREBAKE_* variables.",
    )
    parser.add_argument("--version", action="version", version=_Version("%(prog)"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [wanted] if wanted in _COMMANDS else _COMMANDS:
        _add(commands, name)
    return parser


class _Version(str):
    """Looks the version up only when argparse fills it in: importlib.metadata takes 15 ms."""

    __slots__ = ()

    def __mod__(self, _: object) -> str:
        from importlib.metadata import version

        return f"prebake {version('prebake')}"


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str) -> None:
    text, declare, command = _COMMANDS[name]
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:{_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    declare(parser)


def _file(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("file", type=Path, metavar="FILE", help="environment, conda or requirements file")
    parser.add_argument("--image", help="base image, for a file that names none")
    return parser


def _solve_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    sdist = "let a package be built from source"
    parser.add_argument("--policy", default="", help="age of a lock that serves: locked, always, max-age=7d")
    parser.add_argument("--refresh", dest="policy", action="store_const", const="always", help="solve again")
    parser.add_argument("--allow-sdist", action="append", default=[], metavar="NAME", help=sdist)
    return parser


def _json_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="print one JSON object; errors too")
    return parser


def _build_options(parser: argparse.ArgumentParser) -> None:
    places = "HOST/REPO:TAG, oci:FOLDER[:TAG] or docker:NAME; default: the local store"
    _plan_options(parser)
    parser.add_argument("--to", metavar="DEST", help=places)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _solve_options(_file(_json_option(parser)))


def _lock_options(parser: argparse.ArgumentParser) -> None:
    _plan_options(parser)
    parser.add_argument("-o", "--output", type=Path, help="a file; default: print")


def _explain_options(parser: argparse.ArgumentParser) -> None:
    _plan_options(parser)
    text = "another definition: which fields differ"
    parser.add_argument("--against", type=Path, metavar="OTHER", help=text)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    _json_option(parser).add_argument("reference", metavar="REF", help="HOST/REPO:TAG or oci:FOLDER[:TAG]")


def _run_options(parser: argparse.ArgumentParser) -> None:
    text = "from a prefix on this machine, without an image"
    _plan_options(parser)
    parser.add_argument("--local", action="store_true", help=text)
    parser.add_argument("--network", help="Docker network mode, for instance host")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("argv", nargs="+", metavar="-- CMD", help="the command")


def _load(options: argparse.Namespace) -> Environment:
    from .config.load import load

    environment = load(options.file, image=options.image)
    for warning in () if options.json else environment.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return environment


def _request(options: argparse.Namespace) -> Request:
    from .flows.destination import Destination
    from .flows.wiring import Request

    to = Destination.parse(getattr(options, "to", None))
    return Request(to, options.policy, frozenset(options.allow_sdist))


def _build(options: argparse.Namespace) -> int:
    from .flows.ensure import ensure
    from .flows.progress import shown
    from .flows.wiring import open_workspace

    environment, request = _load(options), _request(options)
    with shown(quiet=options.quiet or options.json) as progress:
        built = ensure(environment, request, open_workspace(), progress)
    if options.json:
        print(json.dumps(built.to_json()))
    else:
        print(built.summary())
        print(built.reference)
    return 0


def _plan(options: argparse.Namespace) -> int:
    from .flows.preview import preview
    from .flows.progress import shown
    from .flows.wiring import open_workspace

    with shown(quiet=options.json) as progress:
        found = preview(_load(options), _request(options), open_workspace(), progress)
    print(json.dumps(found.to_json()) if options.json else found.table())
    return 0


def _lock(options: argparse.Namespace) -> int:
    from .flows.locking import lock_text
    from .flows.progress import shown
    from .flows.wiring import open_workspace

    with shown(quiet=options.json) as progress:
        text = lock_text(_load(options), _request(options), open_workspace(), progress)
    if options.output:
        _write(options.output, text)
    print(json.dumps({"lock": text}) + "\n" if options.json else "" if options.output else text, end="")
    return 0


def _write(path: Path, text: str) -> None:
    from .cache.directory import replacing

    try:
        with replacing(path, path.parent) as stream:
            stream.write(text.encode())
    except OSError as error:
        facts = {"file": path, "reason": error.strerror or error}
        raise SettingsError("the output file cannot be written", facts=facts, hint="correct -o") from error


def _explain(options: argparse.Namespace) -> int:
    from .flows.explain import differences, explain
    from .flows.progress import shown
    from .flows.wiring import open_workspace

    workspace, request = open_workspace(), _request(options)
    with shown(quiet=options.json) as progress:
        found = explain(_load(options), request, workspace, progress)
        if options.against:
            options.file = options.against
            found = differences(explain(_load(options), request, workspace, progress), found)
    print(json.dumps(found, indent=None if options.json else 2, sort_keys=True))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .flows.progress import shown
    from .flows.verification import verify
    from .flows.wiring import open_workspace

    with shown(quiet=options.json) as progress:
        report = verify(options.reference, open_workspace(), progress)
    print(json.dumps(report.to_json()) if options.json else report)
    return 0 if report.ok else 1


def _run(options: argparse.Namespace) -> int:
    from .flows.progress import shown
    from .flows.run import Command, prepare
    from .flows.wiring import open_workspace

    environment, request = _load(options), _request(options)
    command = Command(tuple(options.argv), options.local, options.network)
    with shown(quiet=options.quiet) as progress:
        run = prepare(environment, request, command, open_workspace(), progress)
    return run()


def _schema(options: argparse.Namespace) -> int:
    from .config.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0


_COMMANDS: dict[
    str, tuple[str, Callable[[argparse.ArgumentParser], object], Callable[[argparse.Namespace], int]]
] = {
    "build": ("build what is missing and deliver the image", _build_options, _build),
    "plan": ("show what a build would do, per layer", _plan_options, _plan),
    "lock": ("write the environment's conda-lock.yml", _lock_options, _lock),
    "explain": ("show what each key is made of", _explain_options, _explain),
    "verify": ("recompute every digest of an image", _verify_options, _verify),
    "run": ("run a command in the environment", _run_options, _run),
    "schema": ("print the JSON schema of environment files", lambda parser: None, _schema),
}


if __name__ == "__main__":
    sys.exit(main())
