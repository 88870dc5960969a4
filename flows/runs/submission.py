"""A submission: what a remote run is to build and where to, as a value with a key.

Its JSON is the one parameter (`submission`) of the flow. The key names what is asked, so that the same
question is the same run (docs/keys.md): definition, context, policy, settings that decide bytes, and the
destination if one is given. Lane and time-outs do not enter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ...cache.digest import Json, Key, key_inputs
from ...cache.oci import Descriptor
from ...cache.reference import Reference
from ...config.canonical import definition_inputs
from ...config.pip_line import normal_name
from ...errors import SettingsError
from ..wiring import Workspace, tier_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...config.definition import Environment
    from ..wiring import Request

RECIPE = "submission/1"
FLOW = "build_environment"
DEPLOYMENT = "remote"
POOL = "prebake"
LANES = ("on-demand", "curated", "warming")
"""Names of the pool's work queues, first served first."""
TIMEOUTS = range(300, 28_801)
"""Seconds a run may be given; ACR Tasks' bounds."""
STEP_TIMEOUTS = range(1, 28_801)
_DECIDING = ("platform", "cuda", "prefix", "compression", "bytecode", "bins", "outliers", "outlier_bytes")


@dataclass(frozen=True)
class Terms:
    """How a run is queued, and the seconds that it and each of its steps may take."""

    lane: str = LANES[0]
    timeout: int = 3600
    step_timeout: int = 600

    def __post_init__(self) -> None:
        if self.lane not in LANES:
            facts = {"found": self.lane, "allowed": ", ".join(LANES)}
            raise SettingsError("there is no such lane", facts=facts, hint=f"the usual one is {LANES[0]}")
        _check_seconds("time-out", self.timeout, TIMEOUTS)
        _check_seconds("step time-out", self.step_timeout, STEP_TIMEOUTS)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What users fall into (azureml.md B8: whichever is the smaller ends the run)."""
        if self.step_timeout <= self.timeout:
            return ()
        return (f"a step may take {self.step_timeout} s, but the run ends after {self.timeout} s",)


@dataclass(frozen=True, eq=False, repr=False)
class Order:
    """What a caller wants of a remote run; `image` is what was named beside the file."""

    environment: Environment
    image: str | None
    request: Request
    terms: Terms


@dataclass(frozen=True)
class Submission:
    """A run's parameter. `pack` holds `file` and all that it reads; `settings` are those of the caller
    that decide bytes, which a worker builds by (`workspace_of`)."""

    key: Key
    pack: Descriptor
    file: str
    image: str | None
    to: str
    policy: str
    allow_sdist: tuple[str, ...]
    settings: Mapping[str, Any]
    terms: Terms

    def to_json(self) -> dict[str, Any]:
        """The flow's parameter."""
        return {
            "key": str(self.key),
            "pack": self.pack.to_json(),
            "file": self.file,
            "image": self.image,
            "to": self.to,
            "policy": self.policy,
            "allow_sdist": list(self.allow_sdist),
            "settings": dict(self.settings),
            **asdict(self.terms),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Submission:
        """Read what `to_json` wrote."""
        return cls(
            Key(data["key"]),
            Descriptor.from_json(data["pack"]),
            data["file"],
            data["image"],
            data["to"],
            data["policy"],
            tuple(data["allow_sdist"]),
            data["settings"],
            Terms(data["lane"], data["timeout"], data["step_timeout"]),
        )

    def workspace_of(self, worker: Workspace) -> Workspace:
        """The worker's own, but for the caller's settings that decide bytes; others are not his to set."""
        given = {name: value for name, value in self.settings.items() if name in _DECIDING}
        return Workspace(replace(worker.settings, **given), worker.environ)


def deciding_settings(workspace: Workspace) -> dict[str, Any]:
    """The settings that decide an image's bytes."""
    return {name: getattr(workspace.settings, name) for name in _DECIDING}


def submission_inputs(order: Order, context: Json, workspace: Workspace) -> Mapping[str, Json]:
    """What a submission's key is made of; `context` tells the content of a Dockerfile's folder."""
    request = order.request
    given = request.destination.place if request.destination.kind == "registry" else None
    inputs: dict[str, Json] = {
        "definition": definition_inputs(order.environment.definition),
        "context": context,
        "policy": request.policy or workspace.settings.policy,
        "allow_sdist": sorted(map(normal_name, request.allow_sdist)),
        "settings": deciding_settings(workspace),
        "to": given,
    }
    return key_inputs(RECIPE, inputs)


def reference_of(key: Key, request: Request, workspace: Workspace) -> Reference:
    """Where the image will be: the destination, or `REPOSITORY:KEY`. Raises SettingsError."""
    if request.destination.kind == "registry":
        return request.destination.reference()
    if request.destination.kind != "store":
        found = {"found": f"{request.destination.kind}:{request.destination.place}"}
        raise SettingsError("a remote run delivers to a registry", facts=found, hint="write HOST/REPO:TAG")
    return replace(_images(workspace), tag=str(key))


def _images(workspace: Workspace) -> Reference:
    """The repository of images that have no destination of their own."""
    own = workspace.settings
    if own.images:
        return tier_reference("images", own.images)
    if own.workspace and "://" not in own.workspace:
        return Reference.parse(f"{tier_reference('workspace', own.workspace).name}/images")
    facts = {"workspace": own.workspace or "none"}
    hint = "name a destination with --to HOST/REPO:TAG, or set `images` to HOST/REPOSITORY"
    raise SettingsError("nothing says where the image goes", facts=facts, hint=hint)


def _check_seconds(name: str, found: int, allowed: range) -> None:
    if found not in allowed:
        facts = {"found": f"{found} s", "allowed": f"{allowed.start} to {allowed.stop - 1} s"}
        raise SettingsError(f"the {name} is out of bounds", facts=facts, hint=f"give a {name} within them")
