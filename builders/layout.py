"""Deliver an image to an OCI image layout directory, complete: the base's layers are fetched.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
Invariant: a file appears by rename when it is whole and its digest was compared, and `index.json` names a
manifest after its blobs are there. Writers of one directory take turns at `index.json` alone.

    write_layout(transport, image, Path("out"), "v1")     # then: skopeo copy oci:out:v1 ...
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from ..cache.digest import Digest
from ..cache.directory import LAYOUT
from ..cache.files import replacing, store_errors
from ..cache.oci import INDEX, MANIFEST, Descriptor, Manifest, to_bytes
from ..cache.registry import Repository
from ..cache.store import HashingWriter
from ..errors import IntegrityError
from .push import Image, open_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ..cache.transport import Transport

REF_NAME = "org.opencontainers.image.ref.name"
_PARALLEL = 4


@dataclass(frozen=True)
class Written:
    """What was written to a layout; `bytes_written` are those of the `written` blobs."""

    directory: Path
    digest: Digest
    bytes_written: int
    existing: int
    written: int


def write_layout(transport: Transport, image: Image, directory: Path, name: str) -> Written:
    """Write `image` to `directory` under `name`; entries of other names and blobs that are there stay."""
    data = image.manifest.to_bytes()
    blobs = {blob.digest: blob for blob in image.manifest.blobs()}.values()
    with store_errors(directory):
        (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        absent = [blob for blob in blobs if not _has(directory, blob)]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(partial(_write_blob, directory, _source(transport, image)), absent))
        entry = Descriptor(image.manifest.media_type, Digest.of(data), len(data), {REF_NAME: name})
        _write(directory, f"blobs/sha256/{entry.digest.hex}", data)
        _write(directory, "oci-layout", LAYOUT)
        _add_to_index(directory, entry)
    size = sum(blob.size for blob in absent)
    return Written(directory, entry.digest, size, len(blobs) - len(absent), len(absent))


def _source(transport: Transport, image: Image) -> Callable[[Digest], IO[bytes]]:
    base = Repository.of(transport, image.base)
    theirs = {layer.digest for layer in image.base_layers}
    return lambda digest: base.open_blob(digest) if digest in theirs else open_own(image, digest)


def _path(directory: Path, digest: Digest) -> Path:
    return directory / "blobs" / "sha256" / digest.hex


def _has(directory: Path, blob: Descriptor) -> bool:
    path = _path(directory, blob.digest)
    return path.exists() and path.stat().st_size == blob.size


def _write_blob(directory: Path, open_blob: Callable[[Digest], IO[bytes]], blob: Descriptor) -> None:
    path = _path(directory, blob.digest)
    with closing(open_blob(blob.digest)) as source, replacing(path, directory) as target:
        writer = HashingWriter(target)
        shutil.copyfileobj(source, writer, 1 << 20)
        found = writer.hasher.digest()
        if found != blob.digest:
            raise IntegrityError("a blob is corrupt", facts={"expected": blob.digest, "found": found})


def _write(directory: Path, name: str, data: bytes) -> None:
    """Write a small file unless it is there with this content: a second delivery touches nothing."""
    path = directory / name
    if path.exists() and path.read_bytes() == data:
        return
    with replacing(path, directory) as stream:
        stream.write(data)


def _add_to_index(directory: Path, entry: Descriptor) -> None:
    with _locked(directory):
        index = _read_index(directory / "index.json")
        others = [each for each in index["manifests"] if _name_of(each) != entry.annotations[REF_NAME]]
        _write(directory, "index.json", to_bytes(index | {"manifests": [*others, entry.to_json()]}))


def _name_of(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(REF_NAME)


def named(directory: Path) -> dict[str, Digest]:
    """The images of a layout by name, those of which every blob is there; none if there is no layout."""
    found = {}
    with store_errors(directory):
        for entry in _read_index(directory / "index.json")["manifests"]:
            image, name = Descriptor.from_json(entry), _name_of(entry)
            if (
                name
                and image.media_type == MANIFEST
                and all(_has(directory, blob) for blob in (image, *_blobs_of(directory, image)))
            ):
                found[name] = image.digest
    return found


def remove(directory: Path, name: str) -> int:
    """Take a name out of a layout, and the blobs that no other name reaches; returns their bytes.

    They stay in a store (see cache/directory.py), where traces may reach them, and beside an index of several
    platforms, which is not looked into.
    """
    with store_errors(directory), _locked(directory):
        index = _read_index(directory / "index.json")
        staying = [each for each in index["manifests"] if _name_of(each) != name]
        going = [Descriptor.from_json(each) for each in index["manifests"] if _name_of(each) == name]
        _write(directory, "index.json", to_bytes(index | {"manifests": staying}))
        if (directory / "traces").exists() or any(each["mediaType"] != MANIFEST for each in staying):
            return 0
        kept = _reached(directory, map(Descriptor.from_json, staying))
        gone = _reached(directory, going).items() - kept.items()
        for digest, _ in gone:
            _path(directory, digest).unlink(missing_ok=True)
        return sum(size for _, size in gone)


def _reached(directory: Path, images: Iterable[Descriptor]) -> dict[Digest, int]:
    """The blobs of those images with their sizes, manifests included."""
    every = [blob for image in images for blob in (image, *_blobs_of(directory, image))]
    return {blob.digest: blob.size for blob in every}


def _blobs_of(directory: Path, image: Descriptor) -> tuple[Descriptor, ...]:
    """What its manifest points at; nothing for one that is not here, or an index of several platforms."""
    path = _path(directory, image.digest)
    if image.media_type != MANIFEST:
        return ()
    return Manifest.from_bytes(path.read_bytes(), str(path)).blobs() if _has(directory, image) else ()


def _read_index(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    try:
        return empty | dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return empty
    except (ValueError, TypeError) as error:
        raise IntegrityError("not an OCI image layout", facts={"file": path, "reason": error}) from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """An exclusive lock on the directory itself; the system drops it with the process."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
