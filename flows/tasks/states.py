"""What became of a run and its steps, in ACR's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ...cache.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...errors import PrebakeError


class State(StrEnum):
    """A step's; `skipped` until it starts."""

    SKIPPED = "skipped"
    INPROGRESS = "inprogress"
    SUCCESSFUL = "successful"
    FAILED = "failed"


@dataclass(frozen=True)
class StepRun:
    """One step: its state, how long it took in seconds, and what it gave."""

    id: str
    kind: str
    state: State = State.SKIPPED
    seconds: float = 0.0
    error: PrebakeError | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    """Digests by reference: of what was pushed."""
    built: tuple[str, ...] = ()
    runtime: Mapping[str, str] = field(default_factory=dict)
    """Digests by reference: what the built image runs on."""
    buildtime: Mapping[str, str] = field(default_factory=dict)
    """Digests by reference: what else it was built with."""

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        told = {
            "id": self.id,
            "kind": self.kind,
            "state": self.state.value,
            "seconds": round(self.seconds, 3),
        }
        return told | ({"error": self.error.to_json()} if self.error else {})


@dataclass(frozen=True)
class TaskRun:
    """One run; `error` is the first failing step's, or the run's own."""

    id: str
    steps: tuple[StepRun, ...]
    seconds: float
    state: str
    error: PrebakeError | None = None
    commit: str = ""

    @property
    def images(self) -> dict[str, str]:
        """Digests of all that was pushed, by reference."""
        return {name: digest for step in self.steps for name, digest in step.images.items()}

    @property
    def dependencies(self) -> list[dict[str, Any]]:
        """ACR's record: each image that was built, and what it was built on."""
        return [self._dependency(step, image) for step in self.steps for image in step.built]

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        images = [described(name, digest) for name, digest in self.images.items()]
        return {
            "run": self.id,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "steps": [step.to_json() for step in self.steps],
            "images": images,
            "dependencies": self.dependencies,
        } | ({"error": self.error.to_json()} if self.error else {})

    def _dependency(self, step: StepRun, image: str) -> dict[str, Any]:
        runtime, buildtime = (
            [described(*each) for each in found.items()] for found in (step.runtime, step.buildtime)
        )
        found = {
            "image": described(image, self.images.get(image, "")),
            "runtime-dependency": next(iter(runtime), None),
            "buildtime-dependency": buildtime,
            "git": {"git-head-revision": self.commit} if self.commit else None,
        }
        return {key: value for key, value in found.items() if value}


def described(name: str, digest: str) -> dict[str, str]:
    """An image in parts; the digest is empty while no registry has it."""
    reference = Reference.parse(name)
    return {
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag or "",
        "digest": digest or str(reference.digest or ""),
        "reference": name,
    }
