"""`resolve(definition)`: the only place where the world may move.

It pins the base tag to a digest and solves conda and pip into locks. Each solve is traced by what was
asked; a policy says how long a trace serves. The same lock again means that nothing above is rebuilt
(early cutoff), whatever changed in the channel or in the definition's wording.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..cache.digest import Json, key_inputs, key_of_inputs
from ..cache.oci import Descriptor
from ..cache.store import Trace
from ..cache.tiered import Wanted
from ..config.canonical import spark_inputs, spec_inputs
from ..errors import DefinitionError
from .ahead import import_ahead
from .lock import Lock, SparkLock, Target
from .pin import PinnedBase, image_line, pin_base
from .sources import channel_url, channels_of, connect, public_url
from .spark import CONF_DIR, repositories_of
from .world import made_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..config.definition import CondaSpec, Definition, Environment, SparkSpec
    from .sources import Sources
    from .world import World

SOLVE = "solve/1"
PIP_SOLVE = "pip-solve/1"
SPARK_SOLVE = "spark-solve/1"
LOCK_MEDIA_TYPE = "application/vnd.prebake.lock.v1+json"
WHEEL_MEDIA_TYPE = "application/vnd.prebake.wheel"


@dataclass(frozen=True)
class Resolved:
    """A definition after the world was asked: pinned base and lock.

    `solved_at` is the Unix time of the older of its solves, `answers` are the blobs that hold what they gave.
    """

    definition: Definition
    base: PinnedBase
    lock: Lock | None
    platform: str
    solved_at: int = 0
    answers: tuple[Descriptor, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables: Spark's, then the conda file's, then the definition's own."""
        conda = self.definition.conda
        spark = {"SPARK_CONF_DIR": CONF_DIR} if self.definition.spark else {}
        return spark | dict(conda.variables if conda else ()) | dict(self.definition.environment_variables)

    def config_inputs(self) -> Mapping[str, Json]:
        """What the env step puts into the image config."""
        return {"env": self.variables, "labels": labels(self.definition)}


def labels(definition: Definition) -> dict[str, str]:
    """Serving routes as image labels, so that a server finds them without the definition."""
    inference = definition.inference_config
    if inference is None:
        return {}
    routes = {name: getattr(inference, f"{name}_route") for name in ("liveness", "readiness", "scoring")}
    return {f"io.prebake.inference.{name}": f"{route.port}{route.path}" for name, route in routes.items()}


def resolve(environment: Environment, world: World, prefix: str) -> Resolved:
    """Pin and solve. Raises DefinitionError, SolveError, PackageError, RegistryError, Unreachable."""
    return resolve_on(pin_base(environment, world, prefix), environment, world, prefix)


def resolve_on(base: PinnedBase, environment: Environment, world: World, prefix: str) -> Resolved:
    """Solve for a base that is pinned already."""
    definition = environment.definition
    conda, lock = _solve_on(base, environment, world, prefix), None
    if conda:
        lock = conda[-1].lock
    jars = _solve_spark(environment, world)
    if definition.spark:
        lock = _with_spark(lock or Lock(Target(world.platform)), definition.spark, jars)
    solves = [*conda, *jars]
    at = min((solve.at for solve in solves), default=int(time.time()))
    return Resolved(definition, base, lock, world.platform, at, tuple(solve.answer for solve in solves))


def _solve_on(base: PinnedBase, environment: Environment, world: World, prefix: str) -> list[_Solve]:
    """The solves for conda and pip, if packages are declared."""
    if environment.definition.conda is None:
        return []
    with image_line(environment):
        target = _target(base, world, prefix)
    return _solve(environment, environment.definition.conda, target, world)


def _target(base: PinnedBase, world: World, prefix: str) -> Target:
    assert base.facts, "a base that was pinned to be taken as it is"
    if base.facts.owns_prefix:
        raise DefinitionError(
            "the base image already has something where the environment goes",
            facts={"image": base.reference, "found": base.facts.owns_prefix, "prefix": prefix},
            hint="choose another base image, or another prefix in the settings",
        )
    if base.facts.glibc is None:
        raise DefinitionError(
            "the base image has no glibc, which conda packages need",
            facts={"image": base.reference, "distribution": base.facts.distribution or "unknown"},
            hint="choose a Debian, Ubuntu, Red Hat or other glibc image",
        )
    return Target(world.platform, base.facts.glibc, world.cuda)


@dataclass(frozen=True)
class _Solve:
    """A lock, when it was made (Unix time), and the blob it lies in."""

    lock: Lock
    at: int
    answer: Descriptor


def _solve(environment: Environment, spec: CondaSpec, target: Target, world: World) -> list[_Solve]:
    """Conda's solve, then pip's on top of it, if there is one."""
    conda = _solve_conda(environment, spec, target, world)
    return [conda, _solve_pip(environment, spec, conda.lock, world)] if spec.pip else [conda]


def _solve_conda(environment: Environment, spec: CondaSpec, target: Target, world: World) -> _Solve:
    def ask() -> Lock:
        from .conda_solve import solve_conda

        world.report("solving conda packages")
        packages = solve_conda(spec, target, world.sources, world.cache_dir, environment.lines)
        return Lock(target, channels_of(spec.channels, spec.specs, world.sources), packages)

    inputs = conda_inputs(spec, target, world.sources)
    return _traced(inputs, lambda: world.around("solve: conda", ask), world)


def conda_inputs(spec: CondaSpec, target: Target, sources: Sources) -> Mapping[str, Json]:
    """What the conda solve is asked, in canonical form: the inputs of its key."""
    channels = channels_of(spec.channels, spec.specs, sources)
    inputs: dict[str, Json] = {
        "channels": [name if name == "defaults" else channel_url(name, sources) for name in channels],
        "defaults": list(sources.defaults) if "defaults" in channels else [],
        "specs": spec_inputs(spec)["specs"],
        "target": {"platform": target.platform, "glibc": target.glibc, "cuda": target.cuda},
    }
    return key_inputs(SOLVE, inputs)


def _solve_pip(environment: Environment, spec: CondaSpec, conda: Lock, world: World) -> _Solve:
    def ask() -> Lock:
        from .pip_step import solve_wheels

        world.report("solving pip packages")
        return replace(conda, pip=solve_wheels(environment, spec, conda, world))

    return _traced(pip_inputs(spec, conda, world), lambda: world.around("solve: pip", ask), world)


def pip_inputs(spec: CondaSpec, conda: Lock, world: World) -> Mapping[str, Json]:
    """What the pip solve is asked; conda's packages are facts to it."""
    inputs: dict[str, Json] = {
        "lines": spec_inputs(spec)["pip"],
        "conda": sorted(package.sha256.hex for package in conda.conda),
        "glibc": conda.target.glibc,
        "platform": conda.target.platform,
        "index": public_url(world.sources.pip_index),
        "find_links": [public_url(link) if "://" in link else link for link in world.sources.pip_find_links],
        "allow_sdist": sorted(world.allow_sdist),
    }
    return key_inputs(PIP_SOLVE, inputs)


def _solve_spark(environment: Environment, world: World) -> list[_Solve]:
    """The solve for Spark, if the image is to hold jars; it knows of no other."""
    spec = environment.definition.spark
    if spec is None or not spec.precache_packages:
        return []

    def ask() -> Lock:
        from .maven_solve import solve_spark

        world.report("solving jars for Spark")
        jars = solve_spark(spec, world.sources, world.store.local, environment.lines)
        return Lock(Target(world.platform), spark=SparkLock(jars))

    return [_traced(spark_solve_inputs(spec), lambda: world.around("solve: spark", ask), world)]


def spark_solve_inputs(spec: SparkSpec) -> Mapping[str, Json]:
    """What the solve for Spark is asked."""
    packages, repositories = spark_inputs(spec)["packages"], repositories_of(spec)
    return key_inputs(SPARK_SOLVE, {"packages": packages, "repositories": list(repositories)})


def _with_spark(lock: Lock, spec: SparkSpec, jars: Sequence[_Solve]) -> Lock:
    """Without a solve, Spark is told what to fetch."""
    told = SparkLock((), tuple(sorted(spec.packages)), spec.repositories)
    return replace(lock, spark=jars[0].lock.spark if jars else told)


def _traced(inputs: Mapping[str, Json], ask: Callable[[], Lock], world: World) -> _Solve:
    """The lock that answers `inputs`."""
    key = key_of_inputs(inputs)

    def make() -> Trace:
        if world.policy.looks_each_time:
            connect.cache_clear()  # a gateway never reads a channel twice
        import_ahead()
        return _solved(inputs, ask(), world)

    trace = world.store.obtain(Wanted(key, inputs, make, world.policy.serves)).trace
    answer = trace.blobs[0]
    return _Solve(Lock.from_bytes(world.store.local.read_small(answer)), made_at(trace), answer)


def _solved(inputs: Mapping[str, Json], lock: Lock, world: World) -> Trace:
    """Wheels built here exist nowhere else: a trace that has lost one is none, and they are built again."""
    own = [Descriptor(WHEEL_MEDIA_TYPE, wheel.sha256, wheel.size) for wheel in lock.pip if wheel.built]
    blobs = (world.store.local.keep(lock.to_bytes(), LOCK_MEDIA_TYPE), *own)
    outputs: dict[str, Json] = {"at": int(time.time()), "solver": _solver()}
    return Trace(key_of_inputs(inputs), inputs, outputs, blobs)


def _solver() -> str:
    from importlib.metadata import version

    return f"py-rattler {version('py-rattler')}, uv {version('uv')}"
