"""What stays of a run: the state it ended in, images with digests and what they depend on, or why it failed.

A run's record is kept as the data of a Prefect artifact of type `ARTIFACT`, in the form of `to_json`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ARTIFACT = "run-record"


@dataclass(frozen=True)
class Image:
    """An image by its parts; `tag` is empty where only the digest is known."""

    registry: str
    repository: str
    tag: str
    digest: str


@dataclass(frozen=True)
class Dependency:
    """An output image and the base image it runs on."""

    image: Image
    base: Image

    def to_json(self) -> dict[str, Any]:
        """As ACR Tasks lists dependencies; nothing is needed at build time alone."""
        runtime = asdict(self.base)
        return {"image": asdict(self.image), "runtime-dependency": runtime, "buildtime-dependency": []}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Dependency:
        """Read what `to_json` wrote."""
        return cls(Image(**data["image"]), Image(**data["runtime-dependency"]))


@dataclass(frozen=True)
class Analysis:
    """Why a build failed: the cause's name, the line that tells, what to do."""

    cause: str
    evidence: str
    hint: str


@dataclass(frozen=True)
class RunRecord:
    """A run that ended. `seconds` by part (`run`, `queued`, each step's title under `steps`);
    `build` is what `prebake build --json` prints, `error` is PrebakeError.to_json()."""

    state: str
    images: tuple[Image, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    seconds: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    analysis: Analysis | None = None

    def to_json(self) -> dict[str, Any]:
        """The artifact's data."""
        return {
            "state": self.state,
            "images": [asdict(image) for image in self.images],
            "dependencies": [each.to_json() for each in self.dependencies],
            "seconds": dict(self.seconds),
            "build": self.build,
            "error": self.error,
            "analysis": asdict(self.analysis) if self.analysis else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunRecord:
        """Read what `to_json` wrote."""
        return cls(
            data["state"],
            tuple(Image(**image) for image in data["images"]),
            tuple(Dependency.from_json(each) for each in data["dependencies"]),
            data["seconds"],
            data["build"],
            data["error"],
            Analysis(**data["analysis"]) if data["analysis"] else None,
        )
