"""Recompute everything an image claims: digests, sizes, diff_ids, and the order in our own layers.

Invariant: what is wrong with an image is reported, all of it, and nothing of it is raised; only a place that
cannot be read at all raises. One pass per blob, nothing of it kept.

    report = verify_registry(transport, Reference.parse("registry.example.com/team/train:v1"))
    print(report)       # a line per blob
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO, RawIOBase
from typing import IO, TYPE_CHECKING, Any, cast

from ..cache.digest import CHUNK, Digest, Hasher
from ..cache.directory import DirectoryStore
from ..cache.oci import MANIFEST, Descriptor, Manifest, Platform
from ..cache.registry import Repository
from ..errors import IntegrityError, PackageError, RegistryError, SettingsError
from .base import _plain
from .layout import REF_NAME, _read_index
from .tar_check import broken_promises

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..cache.reference import Reference
    from ..cache.transport import Transport
    from .push import Image

Watch = Callable[[int], None]

_PARALLEL = 4


@dataclass(frozen=True)
class BlobReport:
    """What was found about one blob; `kind` is manifest, config, base layer or layer."""

    kind: str
    digest: Digest
    size: int
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.reasons

    def __str__(self) -> str:
        line = f"{'ok' if self.ok else 'BAD':<3}  {self.digest}  {self.size:>12,}  {self.kind}"
        return "\n       ".join([line, *self.reasons])


@dataclass(frozen=True)
class Report:
    """What was found about an image; `reasons` are about the whole of it."""

    name: str
    blobs: tuple[BlobReport, ...]
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the image."""
        return not self.reasons and all(blob.ok for blob in self.blobs)

    def __str__(self) -> str:
        return "\n".join([self.name, *map(str, self.blobs), *self.reasons])

    def to_json(self) -> dict[str, Any]:
        """The report for scripts."""
        blobs = [
            {"kind": blob.kind, "digest": str(blob.digest), "size": blob.size, "reasons": list(blob.reasons)}
            for blob in self.blobs
        ]
        return {"image": self.name, "ok": self.ok, "reasons": list(self.reasons), "blobs": blobs}


def _ignore(_: int) -> None:
    pass


@dataclass(frozen=True)
class _Source:
    """An image somewhere: what it is called, and streams of its manifest and, by digest, of its blobs."""

    name: str
    digest: Digest
    manifest: Callable[[], IO[bytes]]
    open: Callable[[Digest], IO[bytes]]


def verify_registry(
    transport: Transport, reference: Reference, progress: Watch = _ignore, platform: Platform | None = None
) -> Report:
    """Verify what `reference` names. Raises RegistryError when there is no such image, Unreachable."""
    repository = Repository.of(transport, reference)
    document = repository.resolve(reference.selector, platform or Platform())
    if document is None:
        hint = "correct the tag or digest"
        raise RegistryError("the registry has no such image", facts={"image": reference}, hint=hint)
    opener = partial(BytesIO, document.data)
    return _verify(_Source(str(reference), document.digest, opener, repository.open_blob), progress)


def verify_layout(directory: Path, name: str, progress: Watch = _ignore) -> Report:
    """Verify the image called `name` in an OCI layout. Raises SettingsError when there is none."""
    entries = _read_index(directory / "index.json")["manifests"]
    named = {(entry.get("annotations") or {}).get(REF_NAME): entry for entry in entries}
    if name not in named:
        facts = {"folder": directory, "asked": name, "found": ", ".join(filter(None, named)) or "none"}
        raise SettingsError("the layout has no such image", facts=facts, hint="correct folder or name")
    digest = Digest.parse(named[name]["digest"])
    store = DirectoryStore(directory)
    source = _Source(f"oci:{directory}:{name}", digest, partial(store.open, digest), store.open)
    return _verify(source, progress)


def verify_image(transport: Transport, image: Image, progress: Watch = _ignore) -> Report:
    """Verify an image of the local store; the base's layers are read where the base is."""
    theirs = {layer.digest for layer in image.base_layers}
    base = Repository.of(transport, image.base)
    digest = Digest.of(image.manifest.to_bytes())

    def open_blob(each: Digest) -> IO[bytes]:
        return base.open_blob(each) if each in theirs else image.open(each)

    return _verify(_Source(f"store@{digest}", digest, partial(image.open, digest), open_blob), progress)


def _verify(source: _Source, progress: Watch) -> Report:
    first, data = _read_small("manifest", Descriptor(MANIFEST, source.digest, 0), source.manifest, progress)
    try:
        manifest = Manifest.from_bytes(data, source.name)
    except (RegistryError, IntegrityError) as error:
        reasons = first.reasons or (error.sentence,)
        return Report(source.name, (replace(first, reasons=reasons),))
    open_config = partial(source.open, manifest.config.digest)
    found, config = _read_small("config", manifest.config, open_config, progress)
    claims = _claims(config)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        work = [_Layer(source, blob, claims, number) for number, blob in enumerate(manifest.layers)]
        layers = pool.map(lambda layer: layer.read(progress), work)
        return Report(source.name, (first, found, *layers), claims.reasons(len(manifest.layers)))


@dataclass(frozen=True)
class _Claims:
    """What the config says: diff_ids, who made each layer, and where the environment is."""

    diff_ids: tuple[str, ...] = ()
    makers: tuple[str, ...] = ()
    prefix: str = ""
    unreadable: str = ""

    def reasons(self, layers: int) -> tuple[str, ...]:
        if self.unreadable:
            return (self.unreadable,)
        counts = {"diff_ids": len(self.diff_ids), "history entries with a layer": len(self.makers)}
        return tuple(f"{layers} layers, {count} {what}" for what, count in counts.items() if count != layers)


def _claims(config: bytes) -> _Claims:
    try:
        raw = json.loads(config)
        history = [entry for entry in raw.get("history", []) if not entry.get("empty_layer")]
        env = dict(item.partition("=")[::2] for item in raw.get("config", {}).get("Env") or [])
        makers = tuple(str(entry.get("created_by", "")) for entry in history)
        return _Claims(tuple(raw["rootfs"]["diff_ids"]), makers, env.get("CONDA_PREFIX", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _Claims(unreadable=f"the config cannot be read: {error!r}")


class _Hashed(RawIOBase):
    """A stream that is hashed and counted as it is read; one that fails its own check ends there."""

    def __init__(self, stream: IO[bytes], progress: Watch = _ignore) -> None:
        super().__init__()
        self._stream = stream
        self._progress = progress
        self.hasher = Hasher()
        self.failure = ""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = b"" if self.failure else self._stream.read(len(buffer))
        except IntegrityError as error:
            self.failure, data = error.sentence, b""
        buffer[: len(data)] = data
        self.hasher.update(data)
        self._progress(len(data))
        return len(data)

    def drain(self) -> None:
        while self.read(CHUNK):
            pass


def _read_small(
    kind: str, blob: Descriptor, opener: Callable[[], IO[bytes]], progress: Watch
) -> tuple[BlobReport, bytes]:
    try:
        with closing(opener()) as stream:
            hashed = _Hashed(stream, progress)
            data = hashed.readall()
    except IntegrityError as error:
        return BlobReport(kind, blob.digest, 0, (error.sentence,)), b""
    # Nothing but its name tells a manifest's size.
    expected = replace(blob, size=blob.size or len(data))
    return BlobReport(kind, blob.digest, len(data), tuple(_differences(hashed, expected))), data


def _differences(hashed: _Hashed, blob: Descriptor) -> Iterator[str]:
    size = hashed.hasher.size
    if hashed.failure:
        yield hashed.failure
    elif size != blob.size:
        yield f"{size} bytes instead of {blob.size}"
    found = hashed.hasher.digest()
    if found != blob.digest and not hashed.failure:
        yield f"its digest is {found}"


@dataclass(frozen=True)
class _Layer:
    """One layer to read, and what the config claims of it."""

    source: _Source
    blob: Descriptor
    claims: _Claims
    number: int

    @property
    def own(self) -> bool:
        makers = self.claims.makers
        return self.number < len(makers) and makers[self.number].startswith("prebake ")

    def read(self, progress: Watch) -> BlobReport:
        kind = "layer" if self.own else "base layer"
        try:
            with closing(self.source.open(self.blob.digest)) as stream:
                packed = _Hashed(stream, progress)
                inside = list(self._unpack(packed))
                packed.drain()
        except IntegrityError as error:
            return BlobReport(kind, self.blob.digest, 0, (error.sentence,))
        reasons = (*_differences(packed, self.blob), *inside)
        return BlobReport(kind, self.blob.digest, packed.hasher.size, reasons)

    def _unpack(self, packed: _Hashed) -> Iterator[str]:
        try:
            with _plain(cast("IO[bytes]", packed), self.blob.media_type) as stream:
                plain = _Hashed(stream)
                yield from broken_promises(cast("IO[bytes]", plain), self.claims.prefix) if self.own else ()
                plain.drain()
        except (tarfile.TarError, OSError, EOFError, ValueError, PackageError) as error:
            yield f"it cannot be unpacked: {error}"
            return
        diff_ids = self.claims.diff_ids
        found = plain.hasher.diff_id()
        if self.number < len(diff_ids) and diff_ids[self.number] != str(found):
            yield f"its diff_id is {found} instead of {diff_ids[self.number]}"
