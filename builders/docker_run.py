"""Containers of a Docker Engine: commands run to their end, servers while they are asked.

Invariant: a container is removed when its block ends, however it ends.

    with connect("unix:///var/run/docker.sock") as engine:
        run("train:v1", Command(("python", "-V")), engine, (sys.stdout.buffer, sys.stderr.buffer))
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from .docker import engine_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient

_STOP_SECONDS = 5


@dataclass(frozen=True)
class Mount:
    """A path of the engine's machine inside a container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Devices:
    """What else a container gets, in the words of `docker run`; empty leaves it to the engine."""

    gpus: str = ""
    shm_size: str = ""
    ipc: str = ""


@dataclass(frozen=True)
class Command:
    """What to run in a container, and what differs from its image; None leaves it to image and engine.

    `labels` tell whose the container is; `ports` are published on loopback ports of the engine's choice.
    """

    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folder: str | None = None
    network: str | None = None
    devices: Devices = Devices()
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()


def run(image: str, command: Command, engine: DockerClient, output: tuple[IO[bytes], IO[bytes]]) -> int:
    """Run `command` in a container and return its exit code; `output` gets stdout and stderr as they come.

    The container is removed afterwards, also when this is interrupted. Raises EngineError.
    """
    with created(image, command, engine) as container:
        pieces = container.attach(stream=True, demux=True)  # before the start: nothing is lost
        container.start()
        for piece in pieces:
            _write(piece, output)
        return int(container.wait(timeout=None)["StatusCode"])


@contextmanager
def created(image: str, command: Command, engine: DockerClient) -> Iterator[Any]:
    """A container, not yet started; it is gone at the end. Raises EngineError, Unreachable."""
    with engine_errors("run the command", {"image": image, "command": " ".join(command.arguments)}):
        container = _create(image, command, engine)
        try:
            yield container
        except KeyboardInterrupt:
            container.stop(timeout=_STOP_SECONDS)
            raise
        finally:
            container.remove(force=True, v=True)


def stop_labelled(label: str, value: str, engine: DockerClient) -> None:
    """Stop the containers that carry a label; who started them removes them. Raises EngineError."""
    with engine_errors("stop the container", {label: value}):
        for container in engine.containers.list(filters={"label": f"{label}={value}"}):
            container.stop(timeout=_STOP_SECONDS)


def remove_labelled(label: str, value: str, engine: DockerClient) -> None:
    """Stop and remove the containers that carry a label and are nobody's any more. Raises EngineError."""
    with engine_errors("remove the container", {label: value}):
        for container in engine.containers.list(all=True, filters={"label": f"{label}={value}"}):
            container.stop(timeout=_STOP_SECONDS)
            container.remove(force=True, v=True)


def _create(image: str, command: Command, engine: DockerClient) -> Any:
    from docker.types import Mount as Bind

    return engine.containers.create(
        image,
        list(command.arguments) or None,
        environment=dict(command.env),
        mounts=[Bind(each.target, str(each.source), "bind", each.read_only) for each in command.mounts],
        working_dir=command.folder,
        network_mode=command.network,
        labels=dict(command.labels),
        ports={f"{port}/tcp": ("127.0.0.1", 0) for port in command.ports},
        device_requests=_gpus(command.devices.gpus),
        shm_size=command.devices.shm_size or None,
        ipc_mode=command.devices.ipc or None,
    )


def _gpus(asked: str) -> list[Any]:
    """`--gpus` of `docker run`: all, a number, or device=ID,ID."""
    from docker.types import DeviceRequest

    if not asked:
        return []
    if asked.strip('"').startswith("device="):
        ids = asked.strip('"').removeprefix("device=").split(",")
        return [DeviceRequest(device_ids=ids, capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1 if asked == "all" else int(asked), capabilities=[["gpu"]])]


def _write(piece: Sequence[bytes | None], output: tuple[IO[bytes], IO[bytes]]) -> None:
    for data, stream in zip(piece, output, strict=True):
        if data:
            stream.write(data)
            stream.flush()
