"""Run a command in a container of an image that is not delivered yet: without network, in a Docker Engine."""

from __future__ import annotations

import io
import shlex
from typing import TYPE_CHECKING

from ...errors import EngineError
from ..destination import as_image

if TYPE_CHECKING:
    from ...builders.results import ImageResult
    from ..progress import Progress
    from ..wiring import Workspace

_REPOSITORY = "prebake/smoke"
_LAST = 2000  # bytes of output that an error shows


def smoke_test(image: ImageResult, command: str, workspace: Workspace, progress: Progress) -> None:
    """Raises EngineError if the command fails, Unreachable without an engine."""
    from ...builders.docker import connect, load
    from ...builders.docker_run import Command, run
    from ...builders.docker_tags import untag

    name, output = f"{_REPOSITORY}:{image.digest.hex}", io.BytesIO()
    asked = Command(tuple(shlex.split(command)), network="none")
    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        loaded = load(as_image(image, workspace.store(progress.step)), name, engine, workspace.transport)
        try:
            code = run(loaded.image_id, asked, engine, (output, output))
        finally:
            untag(engine, name)
    if code:
        told = output.getvalue()[-_LAST:].decode(errors="replace").strip()
        facts = {"command": command, "exit code": code, "image": image.digest, "output": told}
        raise EngineError("the smoke test failed", facts=facts, hint="the old image stays where it was")
