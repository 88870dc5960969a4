"""What a build gives: layers and an image that are in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    from ..cache.digest import Digest, Key
    from ..cache.oci import Descriptor, Layer, Manifest
    from .pin import PinnedBase
    from .plan import PlannedLayer

    class Described(Protocol):
        """What messages need of a planned layer; a recalled one has no more."""

        @property
        def step(self) -> str: ...  # noqa: D102
        @property
        def key(self) -> Key: ...  # noqa: D102
        @property
        def title(self) -> str: ...  # noqa: D102
        @property
        def contents(self) -> tuple[str, ...]: ...  # noqa: D102


BUILT = "built"


def hit(tier: str) -> str:
    """The outcome of a layer that was found in `tier`."""
    return f"hit-{tier}"


@dataclass(frozen=True, eq=False, repr=False)
class LayerResult:
    """A layer that is in the store now: how it came there, and what assembling needs of it."""

    planned: Described
    layer: Layer
    outcome: str
    seconds: float
    activates: bool = False
    warnings: tuple[str, ...] = ()
    listing: Digest | None = None

    def to_json(self) -> dict[str, Any]:
        """The layer's line in `build --json`."""
        return {
            "step": self.planned.step,
            "key": str(self.planned.key),
            "digest": str(self.layer.digest),
            "diff_id": str(self.layer.diff_id),
            "size": self.layer.descriptor.size,
            "packages": list(self.planned.contents),
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, eq=False, repr=False)
class StepResult:
    """What became of a planned layer: it makes one, and a Dockerfile as many as it takes.

    `config` is the image config that a Dockerfile makes besides.
    """

    planned: PlannedLayer
    outcome: str
    layers: tuple[LayerResult, ...]
    config: Digest | None = None

    @property
    def size(self) -> int:
        """Bytes of its blobs."""
        return sum(result.layer.descriptor.size for result in self.layers)


@dataclass(frozen=True, eq=False, repr=False)
class ImageResult:
    """An image that is in the store: `blobs` are its manifest, its config and its own layers."""

    key: Key
    base: PinnedBase
    manifest: Manifest
    blobs: tuple[Descriptor, ...]
    layers: tuple[LayerResult, ...]

    @property
    def digest(self) -> Digest:
        """The manifest's digest: the image's identity."""
        return self.blobs[0].digest
