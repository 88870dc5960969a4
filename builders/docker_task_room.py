"""What the containers of one task run share in an engine: the workspace, volumes of files, networks.

Invariant: all that a run makes there, but for images, has its label, and none of it is left when the room is
closed; what an earlier attempt at the same run left is removed first.

    with open_room(task, RoomPlan("r1", Path("context"), connect), print) as room:
        run_command(step, room, stop, print)
"""

from __future__ import annotations

import io
import tarfile
from base64 import b64decode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..config.task import WORKSPACE, Build, Network
from ..errors import DefinitionError, SettingsError
from .docker import engine_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from docker import DockerClient

    from ..config.task import TaskFile

    Say = Callable[[str], None]

LABEL = "prebake.run"
HOME = "/acb/home"  # ACR's; kept from step to step, so that a log-in in one serves the next
_DEFAULT_NETWORK = "acb_default_network"
_SCRATCH = "prebake/scratch:1"
# As the Azure CLI leaves out of what it sends.
_VERSION_CONTROL = (".git", ".gitignore", ".hg", ".hgignore", ".svn", ".bzr", ".bzrignore")


@dataclass(frozen=True, eq=False)
class RoomPlan:
    """What to prepare, and how the engine is reached."""

    run_id: str
    context: Path | None
    """Folder copied into the workspace."""
    connect: Callable[[], AbstractContextManager[DockerClient]]
    network: str = ""
    """Network mode of steps that name none; empty is a bridge of the run's own."""
    socket: Path | None = None
    """The engine's socket, for containers that drive the engine."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the docker CLI."""


@dataclass(frozen=True, eq=False)
class Room:
    """The prepared room; `networks` and `volumes` have the engine's name for each of the task's."""

    plan: RoomPlan
    task: TaskFile
    default_network: str
    networks: Mapping[str, str]
    volumes: Mapping[str, str]

    @property
    def labels(self) -> dict[str, str]:
        """On all that the run makes in the engine."""
        return {LABEL: self.plan.run_id}

    def network(self, name: str | None) -> str:
        """The engine's network for a step."""
        return self.networks.get(name, name) if name else self.default_network

    def binds(self) -> dict[str, dict[str, str]]:
        """The volumes every container has."""
        paths = {"workspace": WORKSPACE, "home": HOME}
        return {_name(self.plan.run_id, key): {"bind": path, "mode": "rw"} for key, path in paths.items()}


@contextmanager
def open_room(task: TaskFile, plan: RoomPlan, say: Say) -> Iterator[Room]:
    """Prepare the room and clear it afterwards. Raises EngineError, Unreachable."""
    with plan.connect() as engine, engine_errors("prepare the run", {"run": plan.run_id}):
        _clear(engine, plan.run_id)
        try:
            engine.volumes.create(_name(plan.run_id, "home"), labels={LABEL: plan.run_id})
            _fill_workspace(engine, task, plan, say)
            volumes = {volume.name: _name(plan.run_id, f"volume-{volume.name}") for volume in task.volumes}
            for volume in task.volumes:
                _fill(engine, plan, volumes[volume.name], _files(task, volume.files))
            default, networks = _networks(engine, task.networks, plan, say)
            yield Room(plan, task, default, networks, volumes)
        finally:
            _clear(engine, plan.run_id)


def image_there(engine: DockerClient, name: str) -> bool:
    """Whether the engine has an image."""
    from docker.errors import ImageNotFound

    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


@contextmanager
def holding(engine: DockerClient, plan: RoomPlan, volume: str, path: str) -> Iterator[Any]:
    """A container that never runs: the engine reads and writes a volume's files through it."""
    if not image_there(engine, _SCRATCH):
        name, _, tag = _SCRATCH.partition(":")
        engine.api.import_image_from_data(_tar({}), repository=name, tag=tag)
    engine.volumes.create(volume, labels={LABEL: plan.run_id})
    container = engine.containers.create(
        _SCRATCH,
        ["none"],
        labels={LABEL: plan.run_id},
        volumes={volume: {"bind": path, "mode": "rw"}},
        network_mode="none",
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def workspace(engine: DockerClient, plan: RoomPlan) -> AbstractContextManager[Any]:
    """The run's workspace, to be read."""
    return holding(engine, plan, _name(plan.run_id, "workspace"), WORKSPACE)


def _name(run_id: str, part: str) -> str:
    return f"prebake-{run_id}-{part}"


def container_name(run_id: str, step_id: str) -> str:
    """Runs share an engine, so a step's id alone would not do; in the network it is the host's name."""
    return _name(run_id, step_id)


def _clear(engine: DockerClient, run_id: str) -> None:
    """Remove all that has the run's label; what others remove meanwhile is fine."""
    from docker.errors import APIError, NotFound

    asked: dict[str, Any] = {"label": f"{LABEL}={run_id}"}
    for container in engine.containers.list(all=True, filters=asked, ignore_removed=True):
        with suppress(NotFound, APIError):  # APIError: its removal is in progress
            container.remove(force=True, v=True)
    parts: list[Any] = [*engine.networks.list(filters=asked), *engine.volumes.list(filters=asked)]
    for part in parts:
        with suppress(NotFound):
            part.remove()


def _fill_workspace(engine: DockerClient, task: TaskFile, plan: RoomPlan, say: Say) -> None:
    from docker.utils import tar

    volume = _name(plan.run_id, "workspace")
    if plan.context is None:
        engine.volumes.create(volume, labels={LABEL: plan.run_id})
        return
    ignored = plan.context / ".dockerignore"
    patterns = ignored.read_text(errors="replace").splitlines() if ignored.is_file() else []
    builds = [step.action for step in task.steps if isinstance(step.action, Build)]
    kept = [f"!{build.dockerfile or 'Dockerfile'}" for build in builds]
    try:
        packed: Any = tar(plan.context, exclude=[*_VERSION_CONTROL, *patterns, *kept])
    except OSError as error:
        facts = {"context": plan.context, "reason": error}
        raise SettingsError("the context cannot be read", facts=facts, hint="check permissions") from error
    with packed as archive:
        say(f"Copying {plan.context} into the workspace: {archive.seek(0, 2) / 1e6:.1f} MB")
        archive.seek(0)
        _fill(engine, plan, volume, archive)


def _fill(engine: DockerClient, plan: RoomPlan, volume: str, archive: bytes | IO[bytes]) -> None:
    with holding(engine, plan, volume, WORKSPACE) as container:
        container.put_archive(WORKSPACE, archive)


def _files(task: TaskFile, files: tuple[tuple[str, str], ...]) -> bytes:
    try:
        return _tar({name: b64decode(task.reveal(text), validate=True) for name, text in files})
    except ValueError:
        raise DefinitionError(
            "a file of a volume is not base64",
            facts={"file": task.path, "files": ", ".join(name for name, _ in files)},
            hint="pipe it through `b64enc`: {{.Secrets.name | b64enc}}",
        ) from None


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _networks(
    engine: DockerClient, declared: tuple[Network, ...], plan: RoomPlan, say: Say
) -> tuple[str, dict[str, str]]:
    """The network of steps that name none, and the engine's names of those the task declares."""
    names = {each.name: _network(engine, each, plan, say) for each in declared}
    default = next((each.name for each in reversed(declared) if each.is_default), None)
    if plan.network or default:
        return plan.network or names[str(default)], names
    return _network(engine, Network(_DEFAULT_NETWORK), plan, say), names


def _network(engine: DockerClient, network: Network, plan: RoomPlan, say: Say) -> str:
    """Its name in the engine; the host's where the engine has no bridges."""
    from docker.errors import APIError

    if network.skip_creation:
        return network.name
    name = _name(plan.run_id, network.name)
    try:
        engine.networks.create(
            name, driver=network.driver, enable_ipv6=network.ipv6, labels={LABEL: plan.run_id}
        )
    except APIError as error:
        say(f"warning: no network {network.name}, the host's is used instead: {error.explanation}")
        return "host"
    return name
