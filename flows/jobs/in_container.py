"""Target `docker`: the environment's image in a Docker Engine, by id; code and data mounted below `/job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...builders.code import with_code
from ...builders.docker import connect, load
from ...builders.docker_run import Command, Devices, Mount, remove_labelled, run, stop_labelled
from ...builders.push import Progress as Sending
from ...builders.push import push
from ...builders.resolve import resolve
from ...builders.results import BUILT as LAYER_BUILT
from ...cache.digest import Digest, key_of
from ...config.canonical import definition_inputs
from ..destination import STORE, Destination, as_image
from ..ensure import ensure
from ..wiring import Request
from .places import CODE, ROOT, command_line, in_job_root, make_outputs, mounted, variables
from .ready import BUILT, HIT, Ready
from .snapshot import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..built import Built
    from ..wiring import Workspace
    from .log import Log
    from .record import Order, Record

LABEL = "io.prebake.job"


def prepare(record: Record, folder: Path, workspace: Workspace, log: Log) -> Ready:
    """Bring the image into the engine. Raises what `ensure` does, and EngineError."""
    order, environment = record.order, record.order.job.environment
    assert environment
    name = f"prebake/job:{key_of('job-image/1', definition_inputs(environment.definition)).hex}"
    to = STORE if order.target.layered else Destination("docker", name)
    built = ensure(environment, Request(to, order.policy), workspace, log)
    image_id, image = built.delivered.image_id, f"{name}@{built.image.digest}"
    if order.target.layered:
        image_id, image = _with_code(built, folder, order.target.push, workspace, log)
    made = any(layer.outcome == LAYER_BUILT for layer in built.image.layers)
    lock = resolve(
        environment, workspace.world(Request(policy="locked"), log.step), workspace.recipe.prefix
    ).lock
    command = _command(order, record.id, folder)

    def start() -> int:
        with connect(workspace.docker_host, workspace.docker_certificates) as engine:
            return run(image_id, command, engine, log.streams)

    return Ready(BUILT if made else HIT, lock, start, lambda: _stop(record.id, workspace), image=image)


def _stop(job_id: str, workspace: Workspace) -> None:
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        stop_labelled(LABEL, job_id, engine)


def clear(job_id: str, workspace: Workspace) -> None:
    """Remove the container of a job whose own process is gone. Raises EngineError, Unreachable."""
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        remove_labelled(LABEL, job_id, engine)


def _with_code(built: Built, folder: Path, to: str, workspace: Workspace, log: Log) -> tuple[str, str]:
    """Id and reference of the image that has the code in a layer of its own; pushed `to`, if anywhere."""
    store, compression = workspace.store(log.step), workspace.recipe.compression
    world = workspace.world(Request(), log.step)
    image = with_code(as_image(built.image, store), folder / "code", CODE, compression, world)
    name = f"prebake/job-code:{image.manifest.config.digest.hex[:32]}"
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        image_id = load(image, name, engine, workspace.transport).image_id
    if not to:
        return image_id, f"{name}@{Digest.of(image.manifest.to_bytes())}"
    reference = Destination.parse(to).reference()
    log.step(f"pushing to {reference}")
    pushed = push(workspace.transport, image, reference, Sending(log.sent), workspace.origins(reference))
    return image_id, str(pushed.reference)


def _command(order: Order, job_id: str, folder: Path) -> Command:
    job = order.job
    places = in_job_root(job, folder)
    make_outputs(places)
    own = job.resources
    return Command(
        ("/bin/sh", "-c", command_line(job, places)),
        variables(job),
        tuple(_mounts(order, folder)),
        CODE,
        own.network or None,
        Devices(own.gpus, own.shm_size, own.ipc),
        {LABEL: job_id},
    )


def _mounts(order: Order, folder: Path) -> Iterator[Mount]:
    """Code, unless the image has it, then outputs, then what may lie within them."""
    if not order.target.layered:
        yield Mount(folder / "code", CODE)
    yield Mount(folder / OUTPUTS, f"{ROOT}/{OUTPUTS}")
    for place in in_job_root(order.job, folder):
        if not place.source.is_relative_to(folder / OUTPUTS):
            yield Mount(*mounted(place), read_only=not place.written)
