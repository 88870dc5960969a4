"""Nouns of the OCI image specification that this project writes and reads.

https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md : descriptor, manifest, index, config.
All are values; to change one is to make another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import RegistryError
from .digest import DiffId, Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST_TYPES = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
INDEX_TYPES = (INDEX, DOCKER_INDEX)
LAYER_TYPES = (LAYER_GZIP, LAYER_ZSTD, DOCKER_LAYER)

_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
# Docker's schema 2 and OCI differ in names alone; an OCI manifest lists OCI types.
_AS_OCI = {
    DOCKER_LAYER: LAYER_GZIP,
    "application/vnd.docker.container.image.v1+json": CONFIG,
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": _FOREIGN,
}


@dataclass(frozen=True)
class Descriptor:
    """Points at a blob: media type, digest, size in bytes, annotations (OCI image spec, "descriptor")."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as a manifest holds it."""
        plain = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        return plain | ({"annotations": dict(self.annotations)} if self.annotations else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Descriptor:
        """Read a descriptor; Docker's media types become their OCI equals."""
        media_type = str(data["mediaType"])
        return cls(
            _AS_OCI.get(media_type, media_type),
            Digest.parse(data["digest"]),
            int(data["size"]),
            dict(data.get("annotations") or {}),
        )


@dataclass(frozen=True)
class Layer:
    """One filesystem changeset: where its blob is and what it unpacks to."""

    descriptor: Descriptor
    diff_id: DiffId

    @property
    def digest(self) -> Digest:
        """Digest of the compressed blob."""
        return self.descriptor.digest


@dataclass(frozen=True)
class Manifest:
    """An image manifest: a config and layers, bottom first (OCI image spec, "manifest").

    `raw` are the bytes of one that was read and is written otherwise than here, so that it keeps its digest.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = MANIFEST
    raw: bytes = field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """Serialised with sorted keys, so that equal manifests have equal digests."""
        if self.raw:
            return self.raw
        data: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        return to_bytes(data | ({"annotations": dict(self.annotations)} if self.annotations else {}))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Read a manifest found at `where`. Raises RegistryError when it is none."""
        try:
            raw = json.loads(data)
            layers = tuple(Descriptor.from_json(layer) for layer in raw["layers"])
            annotations, media_type = raw.get("annotations") or {}, raw.get("mediaType") or MANIFEST
            found = cls(Descriptor.from_json(raw["config"]), layers, annotations, media_type)
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError("not an image manifest", facts={"where": where, "reason": error}) from error
        return found if found.to_bytes() == data else replace(found, raw=data)

    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything the manifest points at: config, then layers."""
        return (self.config, *self.layers)


def to_bytes(data: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no white space: equal values give equal digests."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Platform:
    """Operating system and architecture in Go's names, as in image configs and indexes."""

    os: str = "linux"
    architecture: str = "amd64"

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"
