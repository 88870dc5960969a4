"""What a solve must know of a base image; `base.py` reads it, traces keep it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cache.digest import Json


@dataclass(frozen=True)
class BaseFacts:
    """What matters of a base image.

    `distribution` is `ID VERSION_ID` of os-release, empty when there is none. `owns_prefix` is a path of
    the image that stands in the prefix's place: at or in it, or a file or link where it needs a folder.
    """

    platform: str = "linux-64"
    glibc: str | None = None
    distribution: str = ""
    owns_prefix: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The facts inside a trace's outputs."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> BaseFacts:
        """Read what `to_json` wrote."""
        glibc, owner = data["glibc"], data["owns_prefix"]
        return cls(
            str(data["platform"]),
            None if glibc is None else str(glibc),
            str(data["distribution"]),
            None if owner is None else str(owner),
        )
