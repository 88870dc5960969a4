"""The front door: `prebake COMMAND`. Commands are in flows/commands/; only the one asked for is imported.

Exit codes: 0 done, 1 something was found wrong (verify) or a remote run was canceled, 2 to 8 by kind of
error (see errors.py), 130 interrupted; `run` gives the command's own.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
from typing import TYPE_CHECKING

from .errors import PrebakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Each is a module of flows/commands with EXAMPLES, `options(parser)` and `run(options)`.
_COMMANDS = {
    "build": "build what is missing and deliver the image",
    "plan": "show what a build would do, per layer",
    "lock": "write the environment's conda-lock.yml",
    "explain": "show what each key is made of",
    "verify": "recompute every digest of an image",
    "run": "run a command in the environment",
    "bases": "follow base images whose tags move",
    "warm": "put images where jobs will run",
    "report": "write an HTML page about the store",
    "serve": "serve with an environment, or check that it can",
    "submit": "run a job: code and data in an environment, recorded",
    "jobs": "list, show and stop jobs, print what they said",
    "env": "register, list, compare and share named environments",
    "task": "run an ACR task file: build, push and cmd steps",
    "curated": "build, test and publish the curated set",
    "runs": "have environments built elsewhere; list, show, follow and cancel that",
    "wait": "block until an image can be pulled",
    "worker": "take remote runs and build them",
    "up": "start a Prefect server and a worker on this machine",
    "cache": "show, prune and pin what the store holds",
    "schema": "print the JSON schema of environment files",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. The process's own command line ends the process."""
    if arguments is not None:
        return _main(arguments)
    # Importing makes no garbage, and looking for it takes 10 ms of a hit, 20 of a small build.
    gc.set_threshold(200_000)
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
        formatter_class=_Help,
        description="Environment definitions become container images, layer by layer.",
        epilog="`prebake COMMAND --help` shows examples. Settings: prebake.toml or PREBAKE_* variables.",
    )
    parser.add_argument("--version", action="version", version=_Version("%(prog)"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [wanted] if wanted in _COMMANDS else _COMMANDS:
        _add(commands, name)
    return parser


class _Help(argparse.RawDescriptionHelpFormatter):
    """Finds the terminal's width itself: argparse asks for every option, and imports shutil to (4 ms)."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=columns - 2)


class _Version(str):
    """Looks the version up only when argparse fills it in: importlib.metadata takes 15 ms."""

    __slots__ = ()

    def __mod__(self, _: object) -> str:
        from importlib.metadata import version

        return f"prebake {version('prebake')}"


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str) -> None:
    text, module = _COMMANDS[name], importlib.import_module(f".flows.commands.{name}", __package__)
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:{module.EXAMPLES}",
        formatter_class=_Help,
    )
    parser.set_defaults(command=module.run)
    module.options(parser)


if __name__ == "__main__":
    sys.exit(main())
