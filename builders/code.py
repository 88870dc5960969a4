"""A job's code: its digest, and a layer of its own on top of the environment's image.

The layer is a function of the files' paths, contents and executable bits, so the same code is the same layer.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cache.digest import Digest
from ..cache.oci import CONFIG, Descriptor, Manifest, to_bytes
from .encode import ENCODERS
from .entry import Entry, Symlink
from .tar import LayerWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..cache.digest import DiffId
    from .push import Image
    from .world import World


def code_digest(folder: Path) -> DiffId:
    """What tells one code from another: the diff_id of its layer, at no place in particular."""
    writer = LayerWriter(ENCODERS["gzip"](lambda _: None))  # of the archive only the digest is wanted
    return writer.write_all(_entries(folder, "")).diff_id


def with_code(image: Image, folder: Path, place: str, compression: str, world: World) -> Image:
    """`image` with the files of `folder` at `place` in a layer on top. Raises StoreError."""
    from .make import store_layer  # with what makes packages: 30 ms that a mounted folder does not need

    layer, _ = store_layer(_entries(folder, f"{place.strip('/')}/"), compression, world)
    data = json.loads(image.config)
    data["rootfs"]["diff_ids"].append(str(layer.diff_id))
    data["history"].append({"created_by": "prebake code"})
    config = to_bytes(data)
    described = Descriptor(CONFIG, Digest.of(config), len(config))
    manifest = Manifest(described, (*image.manifest.layers, layer.descriptor), image.manifest.annotations)
    return replace(image, manifest=manifest, config=config, layers=(*image.layers, layer))


def _entries(folder: Path, place: str) -> Iterator[Entry]:
    for path in folder.rglob("*"):
        name = f"{place}{path.relative_to(folder)}"
        if path.is_symlink():
            yield Entry(name, Symlink(str(path.readlink())), 0)
        elif path.is_file():
            found = path.stat()
            yield Entry(name, path, found.st_size, executable=bool(found.st_mode & 0o100))
