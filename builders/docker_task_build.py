"""`build` steps: `docker build` of a folder of the workspace, or of a URL.

The engine's classic builder, or BuildKit through the docker CLI where the step's env has DOCKER_BUILDKIT=1.
"""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import signal
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ..config.task import WORKSPACE, Build, Step
from ..errors import DefinitionError, EngineError
from .docker import engine_errors
from .docker_task_room import workspace
from .docker_task_stream import Lines, endable, follow, repository_and_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .docker_task_room import Room, Say
    from .stop import Stop

_IN_MEMORY = 32 << 20
_OUTSIDE = ".prebake.dockerfile"


@dataclass(frozen=True)
class Context:
    """A tar for the builder, and the Dockerfile's path in it."""

    archive: IO[bytes]
    dockerfile: str
    text: str
    """The Dockerfile."""


def build_image(step: Step, room: Room, stop: Stop, say: Say) -> str:
    """Build and tag; gives the Dockerfile's text, empty for a URL. Raises EngineError, Stopped."""
    build = _build(step)
    cli = shutil.which("docker", path=room.plan.environ.get("PATH")) if build.buildkit else None
    if build.buildkit and cli is None:
        if build.extra:
            facts = {"step": step.id, "options": " ".join(build.extra)}
            hint = "install the docker CLI, or remove the options"
            raise EngineError("there is no docker CLI for BuildKit", facts=facts, hint=hint)
        say("warning: there is no docker CLI for BuildKit: the engine's classic builder is used")
    if "://" in build.context or build.context.startswith("git@"):
        _run_builder(step, room, None, cli, (stop, say))
        return ""
    with _context(step, room, say) as context:
        _run_builder(step, room, context, cli, (stop, say))
        return context.text


def _build(step: Step) -> Build:
    assert isinstance(step.action, Build)
    return step.action


def _run_builder(
    step: Step, room: Room, context: Context | None, cli: str | None, ends: tuple[Stop, Say]
) -> None:
    if cli:
        _run_cli(step, room, context, cli, ends)
    else:
        _run_classic(step, room, context, ends)


def _run_classic(step: Step, room: Room, context: Context | None, ends: tuple[Stop, Say]) -> None:
    build, (stop, say), reveal = _build(step), ends, room.task.reveal
    tags = [repository_and_tag(reveal(tag)) for tag in build.tags]
    source: dict[str, Any] = (
        {"fileobj": context.archive, "custom_context": True, "dockerfile": context.dockerfile}
        if context
        else {"path": reveal(build.context), "dockerfile": build.dockerfile}
    )
    with endable(room.plan, stop, "build", {"step": step.id}) as engine:
        events = engine.api.build(
            **source,
            buildargs=_arguments(step, room),
            target=build.target,
            platform=build.platform,
            labels={name: reveal(value) for name, value in build.labels},
            network_mode=_network(build, room),
            extra_hosts=dict(build.hosts) or None,
            cache_from=list(build.cache_from) or None,
            nocache=build.no_cache,
            pull=build.pull,
            rm=True,
            forcerm=True,
            decode=True,
        )
        results = follow(events, say, lambda reason: _failed(step, reason))
        image_id = [each["ID"] for each in results if "ID" in each][-1]  # the stages' come before it
        for repository, tag in tags:
            engine.api.tag(image_id, repository, tag, force=True)
            say(f"Successfully tagged {repository}:{tag}")


def _failed(step: Step, reason: str) -> EngineError:
    return EngineError(f"step `{step.id}` cannot be built", facts={"step": step.id, "reason": reason})


def _network(build: Build, room: Room) -> str | None:
    """RUN's network: the host's where the engine has no bridge."""
    return build.network or ("host" if room.default_network == "host" else None)


def _arguments(step: Step, room: Room) -> dict[str, str]:
    """As docker: one without a value has that of the step's environment, if there is one."""
    env = dict(step.container.env)
    found = {name: env.get(name) if value is None else value for name, value in _build(step).arguments}
    return {name: room.task.reveal(value) for name, value in found.items() if value is not None}


def _run_cli(step: Step, room: Room, context: Context | None, cli: str, ends: tuple[Stop, Say]) -> None:
    """Secrets go through the environment: arguments of a process are there for all to see."""
    stop, say = ends
    arguments, reveal = _arguments(step, room), room.task.reveal
    own = {name: reveal(value) for name, value in step.container.env}
    process = subprocess.Popen(
        [cli, "build", *_options(step, room, context, arguments)],
        stdin=context.archive if context else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**room.plan.environ, **own, **arguments, "DOCKER_BUILDKIT": "1"},
        start_new_session=True,  # so that its plugins end with it
    )
    try:
        with stop.through(lambda: _kill(process)):
            code = _hear(process, say)
        stop.check()
    finally:
        _kill(process)
        process.wait()
    if code:
        raise _failed(step, f"docker build exited with {code}")


def _hear(process: subprocess.Popen[bytes], say: Say) -> int:
    assert process.stdout is not None
    lines = Lines(say)
    with process.stdout as output:
        for line in output:
            lines.add(line)
    lines.end()
    return process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)


def _options(step: Step, room: Room, context: Context | None, arguments: dict[str, str]) -> list[str]:
    build, reveal = _build(step), room.task.reveal
    network = _network(build, room)
    valued = [
        *(("--tag", reveal(tag)) for tag in build.tags),
        *(("--build-arg", name) for name in arguments),
        *(("--label", f"{name}={reveal(value)}") for name, value in build.labels),
        *(("--add-host", ":".join(host)) for host in build.hosts),
        *(("--cache-from", image) for image in build.cache_from),
        ("--file", context.dockerfile if context else build.dockerfile),
        ("--target", build.target),
        ("--platform", build.platform),
        ("--network", network),
    ]
    flags = [name for name, asked in (("--no-cache", build.no_cache), ("--pull", build.pull)) if asked]
    words = [word for name, value in valued if value for word in (name, value)]
    return [*words, *flags, *build.extra, "--progress=plain", "-" if context else reveal(build.context)]


@contextmanager
def _context(step: Step, room: Room, say: Say) -> Iterator[Context]:
    """The context's files as a tar without those that .dockerignore names."""
    folder, dockerfile = _paths(step, room)
    inside = posixpath.relpath(dockerfile, folder)
    path = _OUTSIDE if inside.startswith("..") else inside
    with (
        room.plan.connect() as engine,
        engine_errors("read the workspace", {"step": step.id, "folder": folder}),
        workspace(engine, room.plan) as container,
        _fetched(container, folder, step) as whole,
        tempfile.TemporaryFile() as packed,
    ):
        text = _file(container, dockerfile, step)
        _pack(whole, packed, path, text)
        say(f"Sending build context to the engine: {packed.tell() / 1e6:.1f} MB")
        packed.seek(0)
        yield Context(packed, path, text.decode(errors="replace"))


def _paths(step: Step, room: Room) -> tuple[str, str]:
    """Context and Dockerfile in the workspace; on docker's command line both are relative to the folder."""
    build, reveal, here = _build(step), room.task.reveal, step.container.folder or WORKSPACE
    folder = posixpath.normpath(posixpath.join(here, reveal(build.context)))
    named = posixpath.join(here, reveal(build.dockerfile)) if build.dockerfile else ""
    return folder, posixpath.normpath(named or posixpath.join(folder, "Dockerfile"))


@contextmanager
def _fetched(container: Any, folder: str, step: Step) -> Iterator[tarfile.TarFile]:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        for piece in _archive(container, folder, step):
            file.write(piece)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            yield archive


def _file(container: Any, path: str, step: Step) -> bytes:
    data = b"".join(_archive(container, path, step))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.next()
        content = archive.extractfile(member) if member else None
        if content is None:
            raise _missing(path, step)
        return content.read()


def _archive(container: Any, path: str, step: Step) -> Iterator[bytes]:
    from docker.errors import NotFound

    try:
        return iter(container.get_archive(path)[0])
    except NotFound:
        raise _missing(path, step) from None


def _missing(path: str, step: Step) -> DefinitionError:
    return DefinitionError(
        f"step `{step.id}` builds what is not in the workspace",
        facts={"file": step.place.path, "line": step.place.line, "found": path},
        hint="paths are relative to the step's workingDirectory; see --context for what is copied into it",
    )


def _pack(whole: tarfile.TarFile, packed: IO[bytes], dockerfile: str, text: bytes) -> None:
    """Copy what is not ignored; the Dockerfile is there whatever is ignored."""
    from docker.utils.build import PatternMatcher

    members = {_relative(member): member for member in whole}
    ignored = members.get(f"{dockerfile}.dockerignore") or members.get(".dockerignore")
    matcher: Any = PatternMatcher(_patterns(whole, ignored))
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, member in members.items():
            if name and name != dockerfile and not matcher.matches(name):
                _copy(whole, member, name, archive)
        described = tarfile.TarInfo(dockerfile)
        described.size = len(text)
        archive.addfile(described, io.BytesIO(text))


def _relative(member: tarfile.TarInfo) -> str:
    return member.name.partition("/")[2]


def _patterns(whole: tarfile.TarFile, member: tarfile.TarInfo | None) -> list[str]:
    content = whole.extractfile(member) if member else None
    lines = content.read().decode(errors="replace").splitlines() if content else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _copy(whole: tarfile.TarFile, member: tarfile.TarInfo, name: str, archive: tarfile.TarFile) -> None:
    content = whole.extractfile(member) if member.isreg() else None
    member.name = name
    if member.islnk():
        member.linkname = member.linkname.partition("/")[2]
    archive.addfile(member, content)
