"""Where an image goes: `host/repo:tag` (a registry), `oci:FOLDER[:TAG]`, `docker:NAME[:TAG]`, or the store.

>>> Destination.parse("oci:out:v1")
Destination(kind='oci', place='out', name='v1')
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache.reference import Reference
from ..errors import SettingsError

if TYPE_CHECKING:
    from ..builders.push import Image
    from ..builders.results import ImageResult
    from ..cache.tiered import Tiers
    from .progress import Progress
    from .wiring import Workspace

_PLACES = "HOST/REPO:TAG, oci:FOLDER[:TAG] or docker:NAME[:TAG]"


@dataclass(frozen=True)
class Destination:
    """A parsed destination."""

    kind: str
    place: str
    name: str = "latest"

    @classmethod
    def parse(cls, text: str | None) -> Destination:
        """Read `--to`. Raises SettingsError."""
        if text is None:
            return cls("store", "")
        kind, colon, rest = text.partition(":")
        if text in ("", "docker:"):
            raise SettingsError(f"`{text}` names no destination", hint=f"write {_PLACES}")
        if colon and kind == "docker":
            Reference.parse(rest)
            return cls("docker", rest if ":" in rest.rpartition("/")[2] else f"{rest}:latest")
        if colon and kind == "oci":
            folder, _, name = rest.rpartition(":") if ":" in rest.rpartition("/")[2] else (rest, "", "latest")
            if not folder:
                raise SettingsError(f"`{text}` names no folder", hint="write oci:FOLDER or oci:FOLDER:TAG")
            return cls("oci", folder, name)
        reference = Reference.parse(text)
        if reference.digest:
            raise SettingsError(f"`{text}` is pinned to a digest", hint="name a tag to push to")
        return cls("registry", str(reference))

    @property
    def text(self) -> str:
        """What `parse` reads; empty for the store."""
        return {"store": "", "registry": self.place, "docker": f"docker:{self.place}"}.get(
            self.kind, f"{self.kind}:{self.place}:{self.name}"
        )

    def reference(self) -> Reference:
        """The registry reference."""
        return Reference.parse(self.place)


STORE = Destination("store", "")


@dataclass(frozen=True, eq=False, repr=False)
class Delivered:
    """Where the image is now, and how many bytes that took."""

    reference: str
    bytes_pushed: int = 0
    image_id: str = ""


def deliver(result: ImageResult, to: Destination, workspace: Workspace, progress: Progress) -> Delivered:
    """Bring an image that is in the store to its destination; what is there is not sent again."""
    pinned = f"@{result.digest}"
    if to.kind == "store":
        workspace.store(progress.step).bring(result.blobs)
        return Delivered(f"store{pinned}")
    if to.kind == "registry":
        return _push(result, to.reference(), workspace, progress)
    if to.kind == "oci":
        from ..builders.layout import write_layout

        written = write_layout(
            workspace.transport, as_image(result, workspace.store(progress.step)), Path(to.place), to.name
        )
        return Delivered(f"oci:{to.place}:{to.name}{pinned}", written.bytes_written)
    return _load(result, to, workspace, progress)


def _load(result: ImageResult, to: Destination, workspace: Workspace, progress: Progress) -> Delivered:
    from ..builders.docker import connect, load
    from ..builders.push import Progress as Sending

    with connect(workspace.docker_host, workspace.docker_certificates) as engine:
        image = as_image(result, workspace.store(progress.step))
        loaded = load(image, to.place, engine, workspace.transport, Sending(progress.sent))
    return Delivered(f"docker:{to.place}@{result.digest}", loaded.bytes_sent, loaded.image_id)


def _push(result: ImageResult, to: Reference, workspace: Workspace, progress: Progress) -> Delivered:
    """One HEAD when the tag is there already; the uploader is imported only when it is not."""
    if workspace.registries.head(to) == result.digest:
        return Delivered(str(to.at(result.digest)))
    from ..builders.push import Progress as Sending
    from ..builders.push import push

    image, origins = as_image(result, workspace.store(progress.step)), workspace.origins(to)
    sending = Sending(progress.sent, on_wait=progress.step)
    pushed = push(workspace.transport, image, to, sending, origins)
    return Delivered(str(pushed.reference), pushed.bytes_pushed)


def as_image(result: ImageResult, store: Tiers) -> Image:
    """What destinations take."""
    from ..builders.push import Image

    base = result.base
    return Image(
        result.manifest,
        store.read(result.manifest.config.digest),
        base.source,
        base.manifest.layers,
        tuple(each.layer for each in result.layers),
        store.open,
    )
