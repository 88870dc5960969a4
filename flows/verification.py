"""Verify an image where it is: every digest recomputed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .destination import Destination

if TYPE_CHECKING:
    from ..builders.verify import Report
    from .wiring import Workspace


def verify(text: str, workspace: Workspace) -> Report:
    """Recompute the digests of a registry's image or a layout's. Raises when there is no such image."""
    from ..builders.verify import verify_layout, verify_registry

    place = Destination.parse(text)
    if place.kind == "oci":
        return verify_layout(Path(place.place), place.name)
    return verify_registry(workspace.transport, place.reference())
