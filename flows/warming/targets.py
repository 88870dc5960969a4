"""Where images are put before jobs need them: a Docker Engine, a layout folder, another registry.

    docker:unix:///var/run/docker.sock     oci:/mnt/node/images     mirror.example.com/team/warm

Each keeps what was put there under a name of ours that is the image's digest, so that what is there can be
asked of the target itself, and nothing else there is ever taken away. A registry deletes an image under all
its tags: give warming a repository of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...cache.digest import Digest
from ...cache.reference import Reference
from ...errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...builders.push import Image
    from ..wiring import Workspace

REPOSITORY = "prebake/warm"
_OURS = re.compile(r"[0-9a-f]{64}")


class Target(Protocol):
    """A place for images; `str` of it names it to people and in the history."""

    def observe(self) -> set[Digest]:
        """The images that were put there and still are."""

    def put(self, image: Image, digest: Digest) -> int:
        """Bring an image there; returns the bytes that this moved."""

    def drop(self, digest: Digest) -> None:
        """Take away what `put` brought."""


def open_target(text: str, workspace: Workspace) -> Target:
    """The target that a setting names. Raises SettingsError."""
    kind, _, rest = text.partition(":")
    if kind == "docker":
        return DockerTarget(rest, workspace)
    if kind == "oci" and rest:
        return LayoutTarget(Path(rest), workspace)
    reference = Reference.parse(text)
    if reference.digest or text != reference.name:
        allowed = "docker:[URL], oci:FOLDER or HOST/REPOSITORY without a tag"
        raise SettingsError("a warm target makes no sense", facts={"found": text, "allowed": allowed})
    return RegistryTarget(reference, workspace)


class DockerTarget:
    """A Docker Engine, by its URL; without one, where DOCKER_HOST points."""

    def __init__(self, url: str, workspace: Workspace) -> None:
        self._url = url or workspace.docker_host
        self._workspace = workspace

    def __str__(self) -> str:
        return f"docker:{self._url or ''}"

    def observe(self) -> set[Digest]:
        """The tags of our repository in the engine."""
        from ...builders.docker import connect
        from ...builders.docker_tags import tags_of

        with connect(self._url, self._workspace.docker_certificates) as engine:
            return _ours(tags_of(engine, REPOSITORY))

    def put(self, image: Image, digest: Digest) -> int:
        """Load it, or only tag it if it is there."""
        from ...builders.docker import connect, load

        with connect(self._url, self._workspace.docker_certificates) as engine:
            name = f"{REPOSITORY}:{digest.hex}"
            return load(image, name, engine, self._workspace.transport).bytes_sent

    def drop(self, digest: Digest) -> None:
        """Take the tag away, and the image if it has no other."""
        from ...builders.docker import connect
        from ...builders.docker_tags import untag

        with connect(self._url, self._workspace.docker_certificates) as engine:
            untag(engine, f"{REPOSITORY}:{digest.hex}")


class LayoutTarget:
    """A folder that is an OCI image layout, or a node's store, which is one too."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self._folder = folder
        self._workspace = workspace

    def __str__(self) -> str:
        return f"oci:{self._folder}"

    def observe(self) -> set[Digest]:
        """The names that are digests, if every blob is there."""
        from ...builders.layout import named

        return _ours(name for name, digest in named(self._folder).items() if name == digest.hex)

    def put(self, image: Image, digest: Digest) -> int:
        """Write what is missing."""
        from ...builders.layout import write_layout

        return write_layout(self._workspace.transport, image, self._folder, digest.hex).bytes_written

    def drop(self, digest: Digest) -> None:
        """Take the name away, and the blobs that no other name reaches."""
        from ...builders.layout import remove

        remove(self._folder, digest.hex)


class RegistryTarget:
    """A repository near the nodes."""

    def __init__(self, reference: Reference, workspace: Workspace) -> None:
        self._reference = reference
        self._workspace = workspace

    def __str__(self) -> str:
        return self._reference.name

    def observe(self) -> set[Digest]:
        """The tags that are digests."""
        return _ours(self._workspace.repository(self._reference).tags())

    def put(self, image: Image, digest: Digest) -> int:
        """Push it; what another repository of the registry has is mounted."""
        from ...builders.push import push

        to = Reference(self._reference.registry, self._reference.repository, digest.hex)
        origins = self._workspace.origins(to)
        return push(self._workspace.transport, image, to, origins=origins).bytes_pushed

    def drop(self, digest: Digest) -> None:
        """Delete its manifest; the registry's collector does the rest."""
        self._workspace.repository(self._reference).delete_manifest(digest)


def _ours(names: Iterable[str]) -> set[Digest]:
    return {Digest(name) for name in names if _OURS.fullmatch(name)}
