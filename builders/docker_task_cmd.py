"""`cmd` steps: a container of the step's image, in the run's workspace."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..config.task import Command, Step
from ..errors import EngineError
from .docker import engine_errors
from .docker_task_room import HOME, container_name, image_there
from .docker_task_stream import Lines, endable, pull

if TYPE_CHECKING:
    from docker import DockerClient

    from .docker_task_room import Room, Say
    from .stop import Stop

_ENGINE_SOCKET = "/var/run/docker.sock"
_NO_NETWORK_OF_ITS_OWN = ("host", "none", "bridge", "default")
_TAIL = 20


def bring_image(step: Step, room: Room, stop: Stop, say: Say) -> None:
    """Pull the step's image where it asks to, or the engine lacks it. Raises EngineError, Stopped."""
    own = step.container
    for _ in range(own.pull_retries):
        try:
            return _bring_image(step, room, stop, say)
        except EngineError as error:
            say(f"{error.sentence}, waiting {own.pull_retry_delay} seconds before retrying...")
        stop.wait(own.pull_retry_delay)
    return _bring_image(step, room, stop, say)


def _bring_image(step: Step, room: Room, stop: Stop, say: Say) -> None:
    image = room.task.reveal(_command(step).image)
    with endable(room.plan, stop, "pull an image", {"step": step.id, "image": image}) as engine:
        if step.container.pull or not image_there(engine, image):
            pull(engine, image, say)


def run_command(step: Step, room: Room, stop: Stop, say: Say) -> None:
    """Run it to its end, or start it if it is detached. Raises EngineError on a non-zero exit, Stopped."""
    facts = {"step": step.id, "image": _command(step).image}
    if step.container.ports and room.network(step.container.network) == "host":
        say("warning: `ports` map nothing in the host's network: the container's are open as they are")
    with room.plan.connect() as engine, engine_errors("run a step", facts):
        container = _create(engine, step, room)
        try:
            code = _start_detached(container, say) if step.container.detach else _run(container, stop, say)
        except BaseException:
            container.remove(force=True, v=True)
            raise
        if not (step.container.keep or step.container.detach):
            container.remove(force=True, v=True)
    if code:
        raise EngineError(f"step `{step.id}` exited with {code}", facts=facts)


def last_words(step: Step, room: Room, say: Say) -> None:
    """The end of what a detached container said, which nobody saw."""
    from docker.errors import NotFound

    facts = {"step": step.id}
    with room.plan.connect() as engine, engine_errors("read a log", facts), suppress(NotFound):
        container = engine.containers.get(container_name(room.plan.run_id, step.id))
        lines = Lines(say)
        lines.add(container.logs(tail=_TAIL))
        lines.end()


def _command(step: Step) -> Command:
    assert isinstance(step.action, Command)
    return step.action


def _start_detached(container: Any, say: Say) -> int:
    container.start()
    say(str(container.id))
    return 0


def _run(container: Any, stop: Stop, say: Say) -> int:
    pieces = container.attach(stream=True, demux=True)  # before the start: nothing is lost
    container.start()
    both = (Lines(say), Lines(say))
    with stop.through(lambda: _kill(container)):
        for piece in pieces:
            for data, lines in zip(piece, both, strict=True):
                lines.add(data or b"")
        for lines in both:
            lines.end()
        code = int(container.wait(timeout=None)["StatusCode"])
    stop.check()
    return code


def _kill(container: Any) -> None:
    from docker.errors import APIError
    from requests.exceptions import RequestException

    with suppress(APIError, RequestException):  # it has ended by itself, or the engine has
        container.kill()


def _create(engine: DockerClient, step: Step, room: Room) -> Any:
    """The container, in place of one that an earlier attempt left."""
    from docker.errors import NotFound

    name = container_name(room.plan.run_id, step.id)
    with suppress(NotFound):
        engine.containers.get(name).remove(force=True, v=True)
    own, reveal, command = step.container, room.task.reveal, _command(step)
    api: Any = engine.api
    environment = {"HOME": HOME} | {key: reveal(value) for key, value in own.env}
    binds = room.binds() | {
        room.volumes[mount.name]: {"bind": mount.path, "mode": "rw"} for mount in own.mounts
    }
    if room.plan.socket:
        binds[str(room.plan.socket)] = {"bind": _ENGINE_SOCKET, "mode": "rw"}
    network = room.network(own.network)
    made = api.create_container(
        reveal(command.image),
        [reveal(word) for word in command.arguments] or None,
        name=name,
        environment=environment,
        working_dir=own.folder,
        entrypoint=[reveal(word) for word in own.entry_point] or None,
        user=own.user,
        labels=room.labels,
        ports=_ports(own.ports, own.expose),
        host_config=_host_config(engine, step, room, binds),
        networking_config=_aliases(engine, network, step.id),
    )
    return engine.containers.get(made["Id"])


def _host_config(engine: DockerClient, step: Step, room: Room, binds: dict[str, dict[str, str]]) -> Any:
    from docker.utils.ports import build_port_bindings

    own, network = step.container, room.network(step.container.network)
    # In the host's network nobody answers for a step's name, so that it is made one of this machine.
    names = {each.id: "127.0.0.1" for each in room.task.steps} if network == "host" else None
    api: Any = engine.api
    return api.create_host_config(
        binds=binds,
        network_mode=network,
        privileged=own.privileged,
        nano_cpus=round(own.cpus * 1e9) if own.cpus else None,
        port_bindings=build_port_bindings(own.ports) if network != "host" else None,
        extra_hosts=names,
    )


def _ports(published: tuple[str, ...], exposed: tuple[str, ...]) -> list[tuple[str, str]]:
    from docker.utils.ports import build_port_bindings

    return [port for text in (*build_port_bindings(published), *exposed) for port in _range(text)]


def _range(text: str) -> list[tuple[str, str]]:
    """The ports of `80`, `80/udp` or `80-82`."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    return [(str(number), protocol or "tcp") for number in range(int(first), int(last or first) + 1)]


def _aliases(engine: DockerClient, network: str, step_id: str) -> Any:
    """The step's id as a host name, for the other containers of the network."""
    if network in _NO_NETWORK_OF_ITS_OWN or network.startswith("container:"):
        return None
    api: Any = engine.api
    endpoint = api.create_endpoint_config(aliases=[step_id])
    return api.create_networking_config({network: endpoint})
