"""From what a user asks to a task that can run: its values, its secrets, its room in an engine."""

from __future__ import annotations

import platform
import re
import secrets
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.task import Command
from ...config.task_file import Given, read_task, read_values
from ...config.template import Secret
from ...errors import SettingsError
from .limits import LONGEST_RUN, RUN_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...builders.docker_task_room import RoomPlan
    from ...config.task import TaskFile
    from ..wiring import Workspace

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NO_CONTEXT = Path("/dev/null")  # as in ACR
_GIT_SECONDS = 10
_RUN_ID = "[A-Za-z0-9][A-Za-z0-9_.-]*"


@dataclass(frozen=True)
class Asked:
    """What a run is asked for, in the user's words."""

    file: Path
    values_file: Path | None = None
    values: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    registry: str = ""
    context: Path | None = None
    """Default: the task file's folder."""
    network: str = ""
    timeout: int = RUN_TIMEOUT
    name: str = "quickrun"
    run_id: str = ""
    engine_socket: bool = False


@dataclass(frozen=True, eq=False)
class Ready:
    """A task with all it needs to run."""

    task: TaskFile
    run_id: str
    context: Path | None


def prepare(asked: Asked, workspace: Workspace) -> Ready:
    """Read the task with its values. Raises DefinitionError, SettingsError."""
    _check(asked)
    run_id = asked.run_id or f"r{secrets.token_hex(4)}"
    context = None if asked.context == _NO_CONTEXT else (asked.context or asked.file.parent)
    run = {
        "ID": run_id,
        "SharedVolume": f"prebake-{run_id}-workspace",
        "Registry": asked.registry,
        "RegistryName": asked.registry.partition(".")[0],
        "Date": f"{datetime.now(UTC):%Y%m%d-%H%M%Sz}",
        "OS": "linux",
        "Architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "Commit": _git(context, "rev-parse", "HEAD"),
        "Branch": _git(context, "branch", "--show-current"),
        "TaskName": asked.name,
    }
    given = Given(run, _values(asked, workspace.environ), workspace.environ)
    task = read_task(asked.file, given)
    return Ready(replace(task, warnings=(*task.warnings, *_without_engine(task, asked))), run_id, context)


def room_plan(ready: Ready, asked: Asked, workspace: Workspace) -> RoomPlan:
    """Where the task runs."""
    from ...builders.docker import connect
    from ...builders.docker_task_room import RoomPlan

    return RoomPlan(
        ready.run_id,
        ready.context,
        partial(connect, workspace.docker_host, workspace.docker_certificates),
        asked.network or workspace.settings.task_network,
        _socket(workspace.docker_host) if asked.engine_socket else None,
        workspace.environ,
    )


def _without_engine(task: TaskFile, asked: Asked) -> Iterator[str]:
    """Steps that would not find the engine, which ACR lets every step drive."""
    for step in () if asked.engine_socket else task.steps:
        if isinstance(step.action, Command) and step.action.image.startswith("docker:"):
            yield f"{step.place}: `docker` finds no engine in its container: pass --engine-socket"


def _check(asked: Asked) -> None:
    if not 0 < asked.timeout <= LONGEST_RUN:
        told = {"found": asked.timeout, "allowed": f"1 to {LONGEST_RUN} (seconds)"}
        raise SettingsError("the run's time-out makes no sense", facts=told, hint="correct --timeout")
    if asked.run_id and not re.fullmatch(_RUN_ID, asked.run_id):
        facts = {"found": asked.run_id, "allowed": "letters, digits, `_`, `.`, `-`"}
        raise SettingsError("the run's id is impossible", facts=facts, hint="leave --run-id out")
    if asked.context and asked.context != _NO_CONTEXT and not asked.context.is_dir():
        hint = f"name a folder, or {_NO_CONTEXT} for an empty workspace"
        raise SettingsError("the context is not a folder", facts={"found": asked.context}, hint=hint)


def _values(asked: Asked, environ: Mapping[str, str]) -> dict[str, Any]:
    """Of the file, then of --set, then of --set-secret; the last wins."""
    values = read_values(asked.values_file) if asked.values_file else {}
    for name, value in _pairs("--set", asked.values):
        values[name] = value
    for name, source in _pairs("--set-secret", asked.secrets):
        values[name] = Secret(_secret(name, source, environ))
    return values


def _pairs(option: str, texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise SettingsError(
                f"{option} cannot be read",
                facts={"found": name or "nothing before =", "allowed": "NAME=VALUE"},
                hint=f"write {option} NAME=VALUE",
            )
        yield name, value


def _secret(name: str, source: str, environ: Mapping[str, str]) -> str:
    """`@FILE`, `env:NAME` or the value itself."""
    if source.startswith("@"):
        try:
            return Path(source[1:]).read_text().removesuffix("\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            facts = {"secret": name, "file": source[1:], "reason": reason}
            raise SettingsError("a secret's file cannot be read", facts=facts) from None
    kind, _, variable = source.partition(":")
    if kind != "env":
        return source
    if variable not in environ:
        facts = {"secret": name, "variable": variable}
        raise SettingsError("a secret's variable is not set", facts=facts, hint="export it first")
    return environ[variable]


def _git(folder: Path | None, *command: str) -> str:
    """What git says of the context; empty where there is no git or no repository."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *command],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
            text=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def _socket(docker_host: str | None) -> Path:
    scheme, _, path = (docker_host or "unix:///var/run/docker.sock").partition("://")
    if scheme != "unix":
        facts = {"engine": docker_host}
        raise SettingsError(
            "the engine has no socket to mount", facts=facts, hint="leave --engine-socket out"
        )
    return Path(path)
