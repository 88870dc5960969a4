"""Artifacts that speak of an image, attached to it: SBOM, provenance, lock (OCI image spec 1.1, "subject").

Where the registry has the referrers API, putting the manifest is all; elsewhere the index that the
distribution spec's "Referrers Tag Schema" asks for is kept under `sha256-HEX`. Equal artifacts have equal
digests, so attaching twice changes nothing.

    attach(subject, Artifact("application/vnd.cyclonedx+json", data, "sbom.cdx.json"), repository)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..cache.artifacts import EMPTY
from ..cache.digest import Digest
from ..cache.oci import INDEX, MANIFEST, Descriptor, Manifest, to_bytes
from ..errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cache.registry import Repository

_EMPTY_DATA = b"{}"
_TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Artifact:
    """What is attached: type, bytes, a file name for people, annotations that listings show."""

    artifact_type: str
    data: bytes = field(repr=False)
    title: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def blob(self) -> Descriptor:
        """Its bytes as a layer."""
        return Descriptor(self.artifact_type, Digest.of(self.data), len(self.data), {_TITLE: self.title})

    def manifest(self, subject: Descriptor) -> bytes:
        """The manifest that says whom it speaks of."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": self.artifact_type,
            "config": EMPTY.to_json(),
            "layers": [self.blob.to_json()],
            "subject": subject.to_json(),
            "annotations": dict(self.annotations),
        }
        return to_bytes(manifest)


def attach(subject: Descriptor, artifact: Artifact, repository: Repository) -> int:
    """Attach an artifact; returns how many bytes were sent. Raises RegistryError, Unreachable."""
    manifest = artifact.manifest(subject)
    digest = Digest.of(manifest)
    sent = 0 if repository.head(str(digest)) else _push(artifact, manifest, repository)
    if repository.referrers(subject.digest) is None:
        described = Descriptor(MANIFEST, digest, len(manifest), artifact.annotations).to_json()
        sent += _list(subject.digest, described | {"artifactType": artifact.artifact_type}, repository)
    return sent


def referrers(subject: Digest, repository: Repository) -> list[dict[str, Any]]:
    """Descriptors of all that is attached to an image, each with its `artifactType`."""
    found = repository.referrers(subject)
    return _listed(subject, repository) if found is None else found


def read_artifact(digest: Digest, repository: Repository) -> bytes:
    """The bytes of an attached artifact. Raises RegistryError if it is gone or something else."""
    document = repository.manifest(str(digest))
    layers = Manifest.from_bytes(document.data, f"{repository}@{digest}").layers if document else ()
    if not layers:
        facts = {"repository": repository, "manifest": digest}
        raise RegistryError("an artifact is gone or no artifact", facts=facts)
    with repository.open_blob(layers[0].digest) as stream:
        return stream.read()


def _push(artifact: Artifact, manifest: bytes, repository: Repository) -> int:
    """Blobs, then the manifest that names them."""
    sent = len(manifest)
    for blob, data in ((EMPTY, _EMPTY_DATA), (artifact.blob, artifact.data)):
        if not repository.has_blob(blob):
            repository.upload(blob, partial(BytesIO, data))
            sent += len(data)
    repository.read_back(repository.put_manifest(str(Digest.of(manifest)), manifest, MANIFEST))
    return sent


def _list(subject: Digest, described: dict[str, Any], repository: Repository) -> int:
    listed = _listed(subject, repository)
    if described in listed:
        return 0
    others = [each for each in listed if each["digest"] != described["digest"]]
    index = to_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*others, described]})
    repository.put_manifest(_tag(subject), index, INDEX)
    return len(index)


def _listed(subject: Digest, repository: Repository) -> list[dict[str, Any]]:
    document = repository.manifest(_tag(subject))
    return list(json.loads(document.data)["manifests"]) if document else []


def _tag(subject: Digest) -> str:
    return f"sha256-{subject.hex}"
