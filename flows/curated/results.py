"""What a prebuild answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..progress import megabytes

if TYPE_CHECKING:
    from ...errors import PrebakeError

PUBLISHED = "published"
UNCHANGED = "unchanged"
BUSY = "busy"
FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one environment: `published`, `unchanged`, `failed`, or `busy` in another prebuild."""

    name: str
    outcome: str
    version: str = ""
    digest: str = ""
    bytes_pushed: int = 0
    error: PrebakeError | None = None

    def __str__(self) -> str:
        moved = megabytes(self.bytes_pushed) if self.bytes_pushed else "nothing"
        told = f" {self.version}, {moved} pushed" if self.version else ""
        return f"{self.name}: {self.outcome}{told}"

    def to_json(self) -> dict[str, Any]:
        """Its line in `curated build --json`."""
        told = {
            "name": self.name,
            "outcome": self.outcome,
            "version": self.version,
            "digest": self.digest,
            "bytes_pushed": self.bytes_pushed,
        }
        return told | ({"error": self.error.to_json()} if self.error else {})


@dataclass(frozen=True)
class Prebuilt:
    """The set after a prebuild; layers are counted once, however many environments share them."""

    outcomes: tuple[Outcome, ...]
    layers: int
    built: int
    seconds: float

    @property
    def bytes_pushed(self) -> int:
        """Of all environments."""
        return sum(each.bytes_pushed for each in self.outcomes)

    @property
    def exit_code(self) -> int:
        """The first failure's; 0 if nothing failed."""
        return next((each.error.exit_code for each in self.outcomes if each.error), 0)

    def __str__(self) -> str:
        counts = [
            f"{count} {kind}"
            for kind in (PUBLISHED, UNCHANGED, BUSY, FAILED)
            if (count := sum(each.outcome == kind for each in self.outcomes))
        ]
        layers = f"{self.built} of {self.layers} layers built"
        moved = megabytes(self.bytes_pushed) if self.bytes_pushed else "nothing"
        return f"{', '.join(counts)}; {layers}, {moved} pushed in {self.seconds:.1f} s"

    def to_json(self) -> dict[str, Any]:
        """The object that `curated build --json` prints."""
        return {
            "environments": [each.to_json() for each in self.outcomes],
            "layers": self.layers,
            "built": self.built,
            "bytes_pushed": self.bytes_pushed,
            "seconds": round(self.seconds, 3),
        }
