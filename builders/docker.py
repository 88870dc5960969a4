"""A Docker Engine: images are loaded into it without a registry.

Invariant: an image goes as a stream, `docker save`'s archive and an OCI layout in one, so engines from 20.10
on read it and nothing of it is ever whole in memory or on disk. What the engine has is not sent.

    with connect("unix:///var/run/docker.sock") as engine:
        load(image, "train:v1", engine, transport)
"""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from ..cache.digest import CHUNK, Digest, Hasher
from ..cache.directory import LAYOUT
from ..cache.oci import INDEX, Descriptor, to_bytes
from ..cache.reference import Reference
from ..errors import EngineError, IntegrityError, SettingsError, Unreachable
from .layout import _source
from .push import Image, Outcome, Progress
from .tar_header import BLOCK, header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient
    from docker.models.images import Image as EngineImage

    from ..cache.transport import Transport

_GREETING_SECONDS = 10
# An engine is silent while it unpacks a layer.
_SILENCE_SECONDS = 1800
_FIRST_WITH_ZSTD = 23


@dataclass(frozen=True)
class Loaded:
    """An image in an engine: its id there, and the bytes of blobs that were sent."""

    image_id: str
    bytes_sent: int


@contextmanager
def connect(base_url: str | None = None, certificates: Path | None = None) -> Iterator[DockerClient]:
    """A connection; `certificates` holds ca.pem, cert.pem and key.pem. Raises Unreachable."""
    from docker import DockerClient
    from docker.errors import DockerException

    try:
        tls = _tls(certificates) if certificates else False
        engine = DockerClient(base_url=base_url, version="auto", timeout=_GREETING_SECONDS, tls=tls)
    except DockerException as error:
        raise Unreachable(
            "the Docker Engine does not answer",
            facts={"engine": base_url or "the default", "reason": error},
            hint="start it, ask for access to it, or name another in DOCKER_HOST",
        ) from error
    engine.api.timeout = _SILENCE_SECONDS
    with closing(engine):
        yield engine


def _tls(folder: Path) -> Any:
    from docker.tls import TLSConfig

    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)


@contextmanager
def engine_errors(attempt: str, facts: Mapping[str, object]) -> Iterator[None]:
    """Turn what the engine's client raises into EngineError and Unreachable."""
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ImageNotFound as error:
        hint = "build it with the engine as destination, or pull it"
        raise EngineError("the Docker Engine has no such image", facts=facts, hint=hint) from error
    except DockerException as error:
        reason = error.explanation if isinstance(error, APIError) else error
        raise EngineError(f"the Docker Engine cannot {attempt}", facts={**facts, "reason": reason}) from error
    except (RequestException, HTTPError) as error:  # the latter from the middle of a stream
        facts = {**facts, "reason": error}
        raise Unreachable("the Docker Engine fell silent", facts=facts, hint="look into its log") from error


def load(
    image: Image, name: str, engine: DockerClient, transport: Transport, progress: Progress | None = None
) -> Loaded:
    """Bring `image` into the engine under `name`; one that is there already is only tagged.

    Raises EngineError, Unreachable, IntegrityError when a blob is not what its digest says.
    """
    reference = _tagged(name)
    # An image's id is its config's digest, or its manifest's where containerd keeps the images.
    ids = (str(image.manifest.config.digest), str(Digest.of(image.manifest.to_bytes())))
    with engine_errors("load the image", {"image": reference}):
        if found := next(filter(None, (_find(engine, each) for each in ids)), None):
            found.tag(reference.name, reference.tag)
            return Loaded(str(found.id), 0)
        _refuse_zstd(image, engine)
        sent = _send(_Archive(image, reference, transport, progress or Progress()), engine)
        return Loaded(str(engine.images.get(str(reference)).id), sent)


def _tagged(name: str) -> Reference:
    reference = Reference.parse(name)
    if reference.digest:
        hint = "write name:tag; the engine reckons the digest itself"
        raise SettingsError("an image is loaded under a tag", facts={"found": name}, hint=hint)
    return reference


def _find(engine: DockerClient, image_id: str) -> EngineImage | None:
    from docker.errors import ImageNotFound

    try:
        return engine.images.get(image_id)
    except ImageNotFound:
        return None


@dataclass(frozen=True)
class _Archive:
    """An image on its way into an engine."""

    image: Image
    reference: Reference
    transport: Transport
    progress: Progress

    def blobs(self, known: int) -> tuple[Descriptor, ...]:
        """Config and layers, without the `known` lowest ones; each once."""
        blobs = (self.image.manifest.config, *self.image.manifest.layers[known:])
        return tuple({blob.digest: blob for blob in blobs}.values())

    def stream(self, known: int) -> Iterator[bytes]:
        """The tar, piece by piece."""
        for path, data in self._documents().items():
            yield header(path, b"0", 0o644, len(data), 0) + data + bytes(-len(data) % BLOCK)
        for blob in self.image.manifest.layers[:known]:
            self.progress.on_blob(blob, Outcome.EXISTING)
        for blob in self.blobs(known):
            yield header(_path(blob), b"0", 0o644, blob.size, 0)
            yield from self._read(blob)
            yield bytes(-blob.size % BLOCK)
            self.progress.on_blob(blob, Outcome.UPLOADED)
        yield bytes(2 * BLOCK)

    def _documents(self) -> dict[str, bytes]:
        """What makes the tar an archive of `docker save` and an OCI layout (image-layout.md)."""
        manifest = self.image.manifest
        data = manifest.to_bytes()
        name = {"io.containerd.image.name": str(self.reference)}
        described = Descriptor(manifest.media_type, Digest.of(data), len(data), name)
        saved = {
            "Config": _path(manifest.config),
            "RepoTags": [str(self.reference)],
            "Layers": [_path(layer) for layer in manifest.layers],
        }
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described.to_json()]}
        return {
            "manifest.json": json.dumps([saved]).encode(),
            "oci-layout": LAYOUT,
            "index.json": to_bytes(index),
            _path(described): data,
        }

    def _read(self, blob: Descriptor) -> Iterator[bytes]:
        hasher = Hasher()
        with closing(_source(self.transport, self.image)(blob.digest)) as stream:
            while chunk := stream.read(CHUNK):
                hasher.update(chunk)
                self.progress.on_bytes(len(chunk))
                yield chunk
        found = hasher.digest()
        if found != blob.digest:
            raise IntegrityError("a blob is corrupt", facts={"expected": blob.digest, "found": found})


def _path(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.hex}"


def _send(archive: _Archive, engine: DockerClient) -> int:
    """Stream what the engine lacks; returns the bytes of the blobs sent."""
    from docker.errors import DockerException

    known = _known_layers(engine, json.loads(archive.image.config)["rootfs"]["diff_ids"])
    try:
        _load(archive, known, engine)
    except DockerException:
        if not known:
            raise
        known = 0  # the image that had the layers may have been removed in the meantime
        _load(archive, known, engine)
    return sum(blob.size for blob in archive.blobs(known))


def _load(archive: _Archive, known: int, engine: DockerClient) -> None:
    engine.images.load(cast("IO[bytes]", archive.stream(known)))  # any iterable is sent in chunks


def _refuse_zstd(image: Image, engine: DockerClient) -> None:
    version = str(engine.version()["Version"])
    packed = any(layer.media_type.endswith("zstd") for layer in image.manifest.layers)
    if packed and int(version.partition(".")[0]) < _FIRST_WITH_ZSTD:
        raise EngineError(
            "the Docker Engine is too old for zstd layers",
            facts={"found": version, "allowed": f"{_FIRST_WITH_ZSTD} and later"},
            hint="build with gzip compression, or upgrade the engine",
        )


def _known_layers(engine: DockerClient, diff_ids: list[str]) -> int:
    """How many of the lowest layers some image in the engine has: `load` does not read their blobs then.

    Not where containerd keeps the images: it wants the compressed blobs, which an image does not tell.
    """
    status = engine.info().get("DriverStatus") or []
    if any("containerd" in str(value) for _, value in status):
        return 0
    chains = [_chain(engine, each) for each in engine.api.images(quiet=True)]
    depths = range(len(diff_ids), 0, -1)
    return next((depth for depth in depths if any(chain[:depth] == diff_ids[:depth] for chain in chains)), 0)


def _chain(engine: DockerClient, image_id: str) -> list[str]:
    image = _find(engine, image_id)  # it may have been removed since it was listed
    return image.attrs["RootFS"].get("Layers") or [] if image else []
