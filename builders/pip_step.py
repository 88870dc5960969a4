"""The pip step of a solve: what conda offers, what uv decides, and wheels for what came as source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

from ..cache.digest import Json, key_inputs, key_of_inputs
from ..cache.store import Trace
from .dists import conda_interface, may_hold_dists
from .fetch import locate
from .lock import Wheel
from .pip_solve import PipRequest, Sdist, solve_pip
from .sources import connect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rattler.networking import Client

    from ..cache.directory import DirectoryStore
    from ..config.definition import CondaSpec, Environment
    from .lock import CondaPackage, Lock
    from .world import World

DISTS = "dists/1"
SIZE = "size/1"
_PARALLEL = 8


def solve_wheels(environment: Environment, spec: CondaSpec, conda: Lock, world: World) -> tuple[Wheel, ...]:
    """The wheels that satisfy the pip list beside conda's packages, sorted by name."""
    folder = environment.source.parent if environment.source else Path.cwd()
    refresh = world.policy.max_age == 0
    request = PipRequest(spec.pip, folder, world.allow_sdist, environment.lines, refresh)
    memo = _recall(conda.conda, world.store.local)
    known = set(memo)
    client = partial(_client, world)
    interface = conda_interface(conda.conda, client, memo)
    _remember({sha256: memo[sha256] for sha256 in memo.keys() - known}, world.store.local)
    found = solve_pip(request, interface, conda.target, world.sources, world.cache_dir)
    wheels = [_as_wheel(each, conda, world) for each in found]
    return tuple(_with_sizes(wheels, world))


def _client(world: World) -> Client:
    return connect(world.sources, world.cache_dir).client


def _as_wheel(package: Wheel | Sdist, conda: Lock, world: World) -> Wheel:
    if isinstance(package, Wheel):
        return package
    from .sdist import build_wheel

    world.report(f"building a wheel of {package.name} {package.version}")
    return build_wheel(package, conda, world)


def _inputs(sha256: str) -> Mapping[str, Json]:
    return key_inputs(DISTS, {"package": sha256})


def _recall(packages: Sequence[CondaPackage], store: DirectoryStore) -> dict[str, list[str]]:
    """Dists by package digest, as far as they were looked up before."""
    memo: dict[str, list[str]] = {}
    for package in filter(may_hold_dists, packages):
        inputs = _inputs(package.sha256.hex)
        trace = store.look(key_of_inputs(inputs), inputs)
        if isinstance(trace, Trace):
            memo[package.sha256.hex] = cast("list[str]", trace.outputs["dists"])
    return memo


def _remember(found: Mapping[str, list[str]], store: DirectoryStore) -> None:
    for sha256, dists in found.items():
        inputs = _inputs(sha256)
        store.record(Trace(key_of_inputs(inputs), inputs, {"dists": dists}))


def _with_sizes(wheels: Sequence[Wheel], world: World) -> list[Wheel]:
    """HTML indexes tell no sizes, and grouping goes by size; each wheel's is asked for once."""
    sized = [wheel if wheel.size else _known_size(wheel, world.store.local) for wheel in wheels]
    unknown = [wheel for wheel in sized if not wheel.size]
    if not unknown:
        return sized
    with ThreadPoolExecutor(_PARALLEL) as pool:
        asked = iter(list(pool.map(lambda wheel: _sized(wheel, world), unknown)))
    return [wheel if wheel.size else next(asked) for wheel in sized]


def _known_size(wheel: Wheel, store: DirectoryStore) -> Wheel:
    inputs = _size_inputs(wheel)
    trace = store.look(key_of_inputs(inputs), inputs)
    return replace(wheel, size=cast("int", trace.outputs["size"])) if isinstance(trace, Trace) else wheel


def _size_inputs(wheel: Wheel) -> Mapping[str, Json]:
    return key_inputs(SIZE, {"wheel": wheel.sha256.hex})


def _sized(wheel: Wheel, world: World) -> Wheel:
    import urllib3

    place = locate(wheel.url, world.sources)
    if place.url.startswith("file://"):
        return replace(wheel, size=Path(unquote(urlsplit(place.url).path)).stat().st_size)
    try:
        answer = urllib3.request("HEAD", place.url, headers=place.headers, retries=3, timeout=30.0)
    except urllib3.exceptions.HTTPError:
        return wheel  # it will be fetched soon, with a proper error if it cannot be
    size = int(answer.headers.get("Content-Length", 0)) if answer.status == 200 else 0
    if size:
        inputs = _size_inputs(wheel)
        world.store.local.record(Trace(key_of_inputs(inputs), inputs, {"size": size}))
    return replace(wheel, size=size)
