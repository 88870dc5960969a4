"""`resolve(definition)`: the only place where the world may move.

It pins the base tag to a digest and solves conda and pip into locks. Each solve is traced by what was
asked; a policy says how long a trace serves. The same lock again means that nothing above is rebuilt
(early cutoff), whatever changed in the channel or in the definition's wording.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..cache.digest import Json, key_inputs, key_of_inputs
from ..cache.directory import store_errors
from ..cache.store import Trace
from ..config.canonical import spec_inputs
from ..errors import DefinitionError, SettingsError
from .lock import Lock, Target
from .pin import PinnedBase, Registries, pin
from .sources import channel_url, channels_of, connect, public_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ..cache.directory import DirectoryStore
    from ..config.definition import CondaSpec, Definition, Environment
    from .sources import Sources

SOLVE = "solve/1"
PIP_SOLVE = "pip-solve/1"
LOCK_MEDIA_TYPE = "application/vnd.prebake.lock.v1+json"


@dataclass(frozen=True)
class Policy:
    """How long a recorded solve serves: for ever (`locked`), so many seconds, or never (`always`)."""

    max_age: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Policy:
        """`locked`, `always`, or `max-age=SECONDS` with s, m, h or d behind the number."""
        if text in ("locked", "always"):
            return cls(float("inf") if text == "locked" else 0.0)
        number, unit = text.removeprefix("max-age=")[:-1], text[-1:]
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(unit)
        if not text.startswith("max-age=") or scale is None or not number.isdigit():
            raise SettingsError(
                f"`{text}` is not a policy",
                facts={"allowed": "locked, always, max-age=NUMBER with s, m, h or d"},
                hint="write for instance max-age=7d",
            )
        return cls(float(int(number) * scale))

    def serves(self, trace: Trace) -> bool:
        """Whether a trace is young enough."""
        made = trace.outputs["at"]
        assert isinstance(made, int)
        return time.time() - made < self.max_age


@dataclass(frozen=True)
class World:
    """What resolving may ask: registries, channels and indexes, the local store, and by which policy."""

    store: DirectoryStore
    registries: Registries
    sources: Sources
    policy: Policy = Policy()
    platform: str = "linux-64"
    cuda: str | None = None
    allow_sdist: frozenset[str] = frozenset()
    report: Callable[[str], None] = field(default=lambda message: None, compare=False)

    @property
    def cache_dir(self) -> Path:
        """Where rattler and uv keep what they fetched."""
        return self.store.root / "cache"


@dataclass(frozen=True)
class Resolved:
    """A definition after the world was asked: pinned base and lock."""

    definition: Definition
    base: PinnedBase
    lock: Lock | None
    platform: str

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables: the conda file's, then the definition's own."""
        conda = self.definition.conda
        return dict(conda.variables if conda else ()) | dict(self.definition.environment_variables)

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
    definition = environment.definition
    if definition.image is None:
        raise DefinitionError(
            "a Dockerfile build is not supported yet",
            facts={"environment": environment.title},
            hint="use `image:` with a conda file",
        )
    with _image_line(environment):
        base = pin(definition.image, world.platform, prefix, world.registries, world.store)
        target = _target(base, world, prefix) if definition.conda else None
    lock = _solve(environment, definition.conda, target, world) if definition.conda and target else None
    return Resolved(definition, base, lock, world.platform)


@contextmanager
def _image_line(environment: Environment) -> Iterator[None]:
    """A base image that will not do is an error of the line that names it."""
    try:
        yield
    except DefinitionError as error:
        if place := environment.lines.get("image"):
            error.facts = {"file": str(place[0]), "line": str(place[1])} | error.facts
        raise


def _target(base: PinnedBase, world: World, prefix: str) -> Target:
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


def _solve(environment: Environment, spec: CondaSpec, target: Target, world: World) -> Lock:
    lock = _solve_conda(environment, spec, target, world)
    return _solve_pip(environment, spec, lock, world) if spec.pip else lock


def _solve_conda(environment: Environment, spec: CondaSpec, target: Target, world: World) -> Lock:
    def ask() -> Lock:
        from .conda_solve import solve_conda

        world.report("solving conda packages")
        packages = solve_conda(spec, target, world.sources, world.cache_dir, environment.lines)
        return Lock(target, channels_of(spec.channels, spec.specs, world.sources), packages)

    return _traced(conda_inputs(spec, target, world.sources), ask, world)


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


def _solve_pip(environment: Environment, spec: CondaSpec, conda: Lock, world: World) -> Lock:
    def ask() -> Lock:
        from .pip_step import solve_wheels

        world.report("solving pip packages")
        return replace(conda, pip=solve_wheels(environment, spec, conda, world))

    return _traced(pip_inputs(spec, conda, world), ask, world)


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


def _traced(inputs: Mapping[str, Json], ask: Callable[[], Lock], world: World) -> Lock:
    key = key_of_inputs(inputs)
    trace = world.store.get(key, inputs)
    if trace and world.policy.serves(trace):
        return Lock.from_bytes(world.store.read_small(trace.blobs[0]))
    if world.policy.max_age == 0:
        connect.cache_clear()  # a gateway never reads a channel twice
    with store_errors(world.store.root), world.store.temporary():
        pass  # solvers would call a store that is full or read-only the channel's or the index's fault
    lock = ask()
    blob = world.store.keep(lock.to_bytes(), LOCK_MEDIA_TYPE)
    outputs: dict[str, Json] = {"at": int(time.time()), "solver": _solver()}
    world.store.record(Trace(key, inputs, outputs, (blob,)))
    return lock


def _solver() -> str:
    from importlib.metadata import version

    return f"py-rattler {version('py-rattler')}, uv {version('uv')}"
