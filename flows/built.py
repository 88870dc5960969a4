"""What a build answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..builders.results import ImageResult
    from .destination import Delivered


@dataclass(frozen=True, eq=False, repr=False)
class Built:
    """An image that is where it was asked to be."""

    image: ImageResult
    delivered: Delivered
    seconds: float

    @property
    def reference(self) -> str:
        """Where it is, with its digest."""
        return self.delivered.reference

    def summary(self) -> str:
        """For people: what was reused, made and moved."""
        return summary(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The object that `build --json` prints."""
        return {
            "reference": self.delivered.reference,
            "digest": str(self.image.digest),
            "key": str(self.image.key),
            "seconds": round(self.seconds, 3),
            "bytes_pushed": self.delivered.bytes_pushed,
            "layers": [layer.to_json() for layer in self.image.layers],
        }


def summary(built: Mapping[str, Any]) -> str:
    """The same of a build elsewhere, which `Built.to_json` describes."""
    made = sum(layer["outcome"] == "built" for layer in built["layers"])
    hits, moved = len(built["layers"]) - made, megabytes(built["bytes_pushed"])
    return f"{hits} layers reused, {made} built, {moved} pushed in {built['seconds']:.2f} s"
