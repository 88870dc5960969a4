"""Which repository of a registry is known to hold a blob: the next one there mounts it (`pushed/1`).

Only a hint: a registry that has lost the blob since refuses the mount, and the blob is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .digest import Json, key_inputs, key_of_inputs
from .store import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .digest import Digest
    from .directory import DirectoryStore

PUSHED = "pushed/1"


class Origins:
    """Repositories by blob, for one registry, kept in the local store."""

    def __init__(self, store: DirectoryStore, registry: str) -> None:
        self._store = store
        self._registry = registry

    def find(self, digest: Digest) -> str | None:
        """A repository that was seen to hold the blob."""
        inputs = self._inputs(digest)
        trace = self._store.get(key_of_inputs(inputs), inputs)
        return str(trace.outputs["repository"]) if trace else None

    def remember(self, digests: Iterable[Digest], repository: str) -> None:
        """The blobs are in `repository` now; the first that was known stays known."""
        for digest in digests:
            if self.find(digest) is None:
                inputs = self._inputs(digest)
                self._store.record(Trace(key_of_inputs(inputs), inputs, {"repository": repository}))

    def _inputs(self, digest: Digest) -> Mapping[str, Json]:
        return key_inputs(PUSHED, {"registry": self._registry, "digest": str(digest)})
