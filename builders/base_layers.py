"""Facts of a base image by way of its layers, each of which is read once (`base-layer/1`, local only).

A patched base image shares its big layers with the one before: only what is new of it is downloaded.
"""

from __future__ import annotations

from functools import partial
from typing import IO, TYPE_CHECKING

from ..cache.digest import key_inputs, key_of_inputs
from ..cache.store import Trace
from .base import Changes, facts_of, read_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..cache.digest import Digest
    from ..cache.directory import DirectoryStore
    from ..cache.oci import Descriptor, Manifest
    from .facts import BaseFacts

    OpenBlob = Callable[[Digest], IO[bytes]]

LAYER = "base-layer/1"


def facts_by_layer(
    manifest: Manifest, open_blob: OpenBlob, platform: str, prefix: str, store: DirectoryStore
) -> BaseFacts:
    """Facts of an image. Raises PackageError when a layer is no readable tar."""
    changes = (_changes(layer, open_blob, prefix, store) for layer in manifest.layers)
    return facts_of(changes, platform, prefix)


def _changes(layer: Descriptor, open_blob: OpenBlob, prefix: str, store: DirectoryStore) -> Changes:
    inputs = key_inputs(LAYER, {"layer": str(layer.digest), "prefix": prefix})
    known = store.look(key_of_inputs(inputs), inputs)
    if isinstance(known, Trace):
        return Changes.from_json(known.outputs)
    changes = read_changes(layer.media_type, partial(open_blob, layer.digest), prefix)
    if changes.plain:
        store.record(Trace(key_of_inputs(inputs), inputs, changes.to_json()))
    return changes
