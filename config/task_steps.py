"""The steps of a task file: each is one of `build`, `push` and `cmd`, and `when` orders them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from .build_line import build_line, split
from .fields import unknown
from .places import Line, refusal
from .task import WORKSPACE, Attempts, Build, Command, Container, Mount, Push, Step
from .task_keys import ACTIONS, STEP
from .task_values import flag, image, matching, number, required, text, texts, undeclared, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .task import Network, Volume
    from .task_keys import Action
    from .yaml_nodes import Value

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_AT_ONCE = "-"
_CPUS = r"\d*\.?\d+"
_PORT = r"\d{1,5}(?:-\d{1,5})?(?:/(?:tcp|udp|sctp))?"
_PUBLISHED = rf"(?:[\d.]+:)?(?:\d{{1,5}}(?:-\d{{1,5}})?:)?{_PORT}"
_BUILDKIT = ("DOCKER_BUILDKIT", "1")
_DOCKER_NETWORKS = ("host", "none", "bridge")
_SHELL = frozenset(("|", "||", "&&", "&", ";", ">", ">>", "<"))


@dataclass(frozen=True)
class Surroundings:
    """What the task as a whole gives its steps."""

    timeout: int = 600
    folder: str = WORKSPACE
    env: tuple[tuple[str, str], ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """Aliases that may stand for the image of a `cmd`."""
    volumes: tuple[Volume, ...] = ()
    networks: tuple[Network, ...] = ()


def read_steps(value: Value, around: Surroundings) -> tuple[Step, ...]:
    """All steps. Raises DefinitionError naming the line."""
    values = value.items()
    if not values:
        raise refusal(
            "a task has no steps", value.place, found="an empty list", hint="add a `build`, `push` or `cmd`"
        )
    ids = [_id(each, at) for at, each in enumerate(values)]
    unique(list(zip(ids, values, strict=True)), "steps")
    steps = tuple(
        _step(each, name, _parents(each, name, ids), around) for each, name in zip(values, ids, strict=True)
    )
    _forbid_cycle(steps)
    return steps


def step_warnings(value: Value) -> Iterator[str]:
    """What is written and means nothing, and what ACR would have given to a shell."""
    for each in value.items():
        yield from unknown(each, STEP)
        action, given = _action(each), each.fields()
        for key in (key for key in given if key in STEP):
            if why := STEP[key].idle.get(action):
                yield f"{given[key].place}: `{key}` is ignored: {why}"
        if action == "cmd" and (signs := _SHELL.intersection(split(_line(given["cmd"])))):
            yield (
                f"{given['cmd'].place}: `{min(signs)}` goes to the container as it is: "
                "no shell reads a cmd here; write bash -c '...' with the whole command in quotes"
            )


def env_pairs(value: Value) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` entries, in the quotes of a shell or without."""
    return tuple(_env_pair(item) for item in value.items())


def absolute(folder: str) -> str:
    """A folder of the container; relative ones are in the workspace."""
    return posixpath.normpath(posixpath.join(WORKSPACE, folder))


def _env_pair(item: Value) -> tuple[str, str]:
    words = split(_line(item))
    name, equals, value = (words[0] if len(words) == 1 else text(item)).partition("=")
    if not equals or not name:
        raise refusal(
            "an environment variable cannot be read",
            item.place,
            found=text(item),
            allowed="NAME=VALUE",
            hint="write `- NAME=VALUE`",
        )
    return name, value


def _line(value: Value) -> Line:
    return Line(text(value), value.place)


def _id(value: Value, at: int) -> str:
    given = value.fields()
    if "id" not in given or not given["id"].node.value:
        return f"acb_step_{at}"
    name = text(given["id"])
    if not _ID.fullmatch(name):
        raise refusal(
            "a step's id is impossible",
            given["id"].place,
            found=name or "nothing",
            allowed="letters, digits, `_`, `.`, `-`; no space: it names the container",
            hint="rename it",
        )
    return name


def _parents(value: Value, name: str, ids: Sequence[str]) -> tuple[str, ...]:
    """The steps that end first: those of `when`, else the one before."""
    before = ids[: ids.index(name)][-1:]
    when = value.fields().get("when")
    named = texts(when) if when else ()
    if when is None or not named:
        return tuple(before)
    if _AT_ONCE in named:
        if len(named) > 1:
            raise refusal(
                "`-` in `when` stands alone",
                when.place,
                found=", ".join(named),
                allowed='["-"], or ids of steps',
                hint="remove `-`, or the ids",
            )
        return ()
    for parent in named:
        if parent == name:
            raise refusal(
                "a step waits for itself", when.place, found=name, hint=f"remove `{name}` from `when`"
            )
        if parent not in ids:
            raise undeclared(parent, "step", when, [each for each in ids if each != name])
    return tuple(dict.fromkeys(named))


def _forbid_cycle(steps: Sequence[Step]) -> None:
    try:
        TopologicalSorter({step.id: step.parents for step in steps}).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        place = next(step.place for step in steps if step.id == circle[0])
        found = " waits for ".join(circle)
        raise refusal(
            "steps wait for each other", place, found=found, hint="break the circle in `when`"
        ) from None


def _action(value: Value) -> Action:
    given = [key for key in ACTIONS if key in value.fields()]
    if len(given) != 1:
        raise refusal(
            "a step does one thing",
            value.place,
            found=" and ".join(f"`{key}`" for key in given) or f"keys {', '.join(value.fields())}",
            allowed="exactly one of `build`, `push` and `cmd`",
            hint="make a step of each" if given else "add one of them",
        )
    return given[0]


def _step(value: Value, name: str, parents: tuple[str, ...], around: Surroundings) -> Step:
    action = _action(value)
    given = {
        key: each
        for key, each in value.fields().items()
        if key in STEP and each.kind != "null" and action not in STEP[key].idle
    }
    container = _container(given, around)
    return Step(
        id=name,
        action=_done(action, required(value, action), container, around),
        parents=parents,
        place=value.place,
        timeout=(number(given["timeout"]) if "timeout" in given else 0) or around.timeout,
        start_delay=number(given["startDelay"]) if "startDelay" in given else 0,
        ignore_errors="ignoreErrors" in given and flag(given["ignoreErrors"]),
        attempts=_attempts(given),
        container=container,
    )


def _done(action: Action, value: Value, container: Container, around: Surroundings) -> Build | Push | Command:
    if action == "push":
        images = [image(_line(item), "push") for item in value.items()]
        if not images:
            raise value.wrong("a list of images", hint="name what to push")
        return Push(tuple(dict.fromkeys(images)))
    if action == "build":
        build = build_line(_line(value), buildkit=_BUILDKIT in container.env)
        tags = tuple(image(Line(tag, value.place), "-t") for tag in build.tags)
        return replace(build, tags=tags, pull=build.pull or container.pull)
    return _command(_line(value), around.images)


def _command(line: Line, images: Mapping[str, str]) -> Command:
    words = split(line)
    name = words[0] if words else ""
    if name.startswith("-"):
        raise refusal(
            "a cmd begins with its image",
            line.place,
            found=name,
            hint="options of `docker run` are keys of the step: env, ports, network, user, ...",
        )
    return Command(image(Line(images.get(name, name), line.place), "cmd"), tuple(words[1:]))


def _attempts(given: Mapping[str, Value]) -> Attempts:
    return Attempts(
        retries=number(given["retries"]) if "retries" in given else 0,
        delay=number(given["retryDelay"]) if "retryDelay" in given else Attempts.delay,
        on_errors=texts(given["retryOnErrors"]) if "retryOnErrors" in given else (),
        repeat=number(given["repeat"]) if "repeat" in given else 0,
    )


def _container(given: Mapping[str, Value], around: Surroundings) -> Container:
    def has(key: str) -> bool:
        return key in given and flag(given[key])

    def word(key: str) -> str | None:
        return text(given[key]) if key in given else None

    folder = absolute(word("workingDirectory") or around.folder)
    own = env_pairs(given["env"]) if "env" in given else ()
    return Container(
        env=tuple((dict(around.env) | dict(own)).items()),
        folder=None if has("disableWorkingDirectoryOverride") else folder,
        entry_point=tuple(split(_line(given["entryPoint"]))) if "entryPoint" in given else (),
        user=word("user"),
        network=_network(given["network"], around) if "network" in given else None,
        cpus=_cpus(given["cpus"]) if "cpus" in given else None,
        ports=_ports(given["ports"], _PUBLISHED, "8080:80") if "ports" in given else (),
        expose=_ports(given["expose"], _PORT, "80") if "expose" in given else (),
        mounts=_mounts(given["volumeMounts"], around) if "volumeMounts" in given else (),
        privileged=has("privileged"),
        pull=has("pull"),
        pull_retries=number(given["cmdDownloadRetries"]) if "cmdDownloadRetries" in given else 0,
        pull_retry_delay=number(given["cmdDownloadRetryDelay"]) if "cmdDownloadRetryDelay" in given else 0,
        detach=has("detach"),
        keep=has("keep"),
    )


def _network(value: Value, around: Surroundings) -> str:
    name = text(value)
    known = [*(each.name for each in around.networks), *_DOCKER_NETWORKS]
    if name not in known:
        raise undeclared(name, "network", value, known)
    return name


def _cpus(value: Value) -> float:
    return float(matching(value, _CPUS, "a number of processors, as 0.5"))


def _ports(value: Value, pattern: str, example: str) -> tuple[str, ...]:
    return tuple(matching(item, pattern, f"a port, as {example}") for item in value.items())


def _mounts(value: Value, around: Surroundings) -> tuple[Mount, ...]:
    known = [each.name for each in around.volumes]
    mounts = []
    for item in value.items():
        name, path = required(item, "name"), required(item, "mountPath")
        if text(name) not in known:
            raise undeclared(text(name), "volume", name, known)
        if not text(path).startswith("/"):
            raise refusal(
                "a mount's path is relative", path.place, found=text(path), hint=f"write `/{text(path)}`"
            )
        mounts.append((Mount(text(name), text(path)), item))
    unique([(mount.path, item) for mount, item in mounts], "mounts")
    return tuple(mount for mount, _ in mounts)
