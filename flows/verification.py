"""Verify an image where it is: every digest recomputed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..cache.reference import Reference
from .destination import Destination

if TYPE_CHECKING:
    from ..builders.verify import Report
    from .progress import Progress
    from .wiring import Workspace


def verify(text: str, workspace: Workspace, progress: Progress) -> Report:
    """Recompute the digests of a registry's image or a layout's. Raises when there is no such image."""
    from ..builders.verify import verify_layout, verify_registry

    progress.step(f"verifying {text}")
    if text.startswith("oci:"):
        layout = Destination.parse(text)
        return verify_layout(Path(layout.place), layout.name)
    return verify_registry(workspace.transport, Reference.parse(text))
