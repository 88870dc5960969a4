"""A tested image goes to its shelf: by digest, its referrers, its version, the global tier; `latest` last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ...builders.condalock import to_conda_lock
from ...builders.push import Progress as Sending
from ...builders.push import push
from ...builders.recall import remember
from ...builders.referrers import Artifact, attach
from ...cache.oci import Descriptor
from ...cache.reference import Reference
from ..destination import as_image
from ..promote import promote
from ..wiring import Request
from . import provenance, sbom
from .shelf import LATEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...builders.results import ImageResult
    from ..wiring import Workspace
    from .prepare import Prepared
    from .shelf import Shelf
    from .trial import Licences

CONDA_LOCK = "application/vnd.prebake.conda-lock.v1+yaml"


def publish(
    prepared: Prepared, image: ImageResult, licences: Licences, shelf: Shelf, workspace: Workspace
) -> tuple[str, int]:
    """The version it has now, and the bytes that were pushed. Raises RegistryError, Unreachable."""
    repository, data = shelf.repository, image.manifest.to_bytes()
    sent = _push(image, shelf, prepared, workspace)
    subject = Descriptor(image.manifest.media_type, image.digest, len(data))
    attached = shelf.attached(image.digest)  # a prebuild that was killed may have come so far
    for artifact in _artifacts(prepared, image, licences, str(repository)):
        if artifact.artifact_type not in attached:
            sent += attach(subject, artifact, repository)
    version = shelf.next_version(image.digest, time.strftime("%Y%m%d", time.gmtime()))
    repository.put_manifest(version, data, subject.media_type)
    remember(prepared.asked, image, prepared.plan.resolved, prepared.world)
    sent += _promote(prepared, workspace)
    repository.put_manifest(LATEST, data, subject.media_type)
    return version, sent


def _push(image: ImageResult, shelf: Shelf, prepared: Prepared, workspace: Workspace) -> int:
    repository, store = shelf.repository, prepared.world.store
    to = Reference(repository.registry, repository.name)
    origins = workspace.origins(to)
    return push(workspace.transport, as_image(image, store), to, Sending(), origins).bytes_pushed


def _artifacts(
    prepared: Prepared, image: ImageResult, licences: Licences, repository: str
) -> Iterator[Artifact]:
    lock = to_conda_lock(prepared.lock, prepared.curated.definition.name)
    yield Artifact(CONDA_LOCK, lock.encode(), "conda-lock.yml")
    yield Artifact(sbom.MEDIA_TYPE, sbom.sbom(prepared, image, licences), "sbom.cdx.json")
    statement = provenance.provenance(prepared, image, repository)
    yield Artifact(provenance.MEDIA_TYPE, statement, "provenance.intoto.json")


def _promote(prepared: Prepared, workspace: Workspace) -> int:
    """To the global tier, if there is one."""
    if not workspace.settings.global_:
        return 0
    from ..progress import Silent

    return promote(prepared.environment, Request(policy="locked"), workspace, Silent()).bytes_copied
