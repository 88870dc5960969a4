"""Which repository of a registry is known to hold a blob, so that the next one there mounts it (`pushed/1`),
whether that registry mounts at all (`mounts/1`), and who sends a blob there just now (leases of `push/1`).
All is kept in the local store.

Only hints: a registry that has lost the blob since refuses the mount, and the blob is sent.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .digest import Json, key_inputs, key_of_inputs
from .registry import Mount
from .request import Refused
from .store import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .digest import Digest
    from .leases import Holder, Leases
    from .oci import Descriptor
    from .registry import Repository
    from .store import TraceStore

T = TypeVar("T")
PUSHED = "pushed/1"
MOUNTS = "mounts/1"
PUSH = "push/1"
BELIEVED_SECONDS = 7 * 86_400


class Origins:
    """Repositories by blob, for one registry, and what it makes of mounts.

    `tier` is a tier's repository there, if one is: likely to hold what nothing is known of. Without `leases`
    nobody is asked who else sends.
    """

    def __init__(
        self,
        store: TraceStore,
        registry: str,
        tier: str | None = None,
        clock: Callable[[], float] = time.time,
        leases: Leases | None = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._tier = tier
        self._clock = clock
        self._leases = leases

    def find(self, digest: Digest) -> str | None:
        """A repository that was seen to hold the blob, or is likely to."""
        found = self._recall(self._blob(digest))
        return str(found["repository"]) if found else self._tier

    def remember(self, digests: Iterable[Digest], repository: str) -> None:
        """The blobs are in `repository` now; the first that was known stays known."""
        for digest in digests:
            if self._recall(self._blob(digest)) is None:
                self._record(self._blob(digest), {"repository": repository})

    def mounts(self) -> bool | None:
        """Whether the registry was seen to mount in the last days; None if nobody tried."""
        found = self._recall(self._mounting())
        if found is None or self._clock() - int(str(found["at"])) > BELIEVED_SECONDS:
            return None
        return bool(found["mounts"])

    def learn(self, mounts: bool) -> None:
        """The registry was seen to mount, or to decline what it could have mounted."""
        if self.mounts() is not mounts:
            self._record(self._mounting(), {"mounts": mounts, "at": int(self._clock())})

    def bring(
        self,
        place: tuple[str, Digest],
        find: Callable[[], T | None],
        send: Callable[[], T],
        waiting: Callable[[Holder], None],
    ) -> T:
        """What `find` or `send` gives for a blob of a repository; others who send it there are waited for."""
        if self._leases is None:
            return send()
        from .leases import lease_name
        from .single_flight import rather_once

        repository, digest = place
        inputs = {"registry": self._registry, "repository": repository, "digest": str(digest)}
        name = lease_name(key_inputs(PUSH, inputs))
        return rather_once(name, self._leases, find, send, waiting)

    def _recall(self, inputs: Mapping[str, Json]) -> Mapping[str, Json] | None:
        found = self._store.look(key_of_inputs(inputs), inputs)
        return found.outputs if isinstance(found, Trace) else None

    def _record(self, inputs: Mapping[str, Json], outputs: Mapping[str, Json]) -> None:
        self._store.record(Trace(key_of_inputs(inputs), inputs, outputs))

    def _blob(self, digest: Digest) -> Mapping[str, Json]:
        return key_inputs(PUSHED, {"registry": self._registry, "digest": str(digest)})

    def _mounting(self) -> Mapping[str, Json]:
        return key_inputs(MOUNTS, {"registry": self._registry})


def mount(target: Repository, blob: Descriptor, origins: Origins | None, source: str | None = None) -> bool:
    """Take a blob over from `source`, or else where `origins` knows it to be; False if it has to be sent.

    `source` is a repository of the same registry. A registry may decline any mount (distribution spec,
    "Mounting a blob from another repository"); one that declines a blob which `source` still holds is not
    asked again for a week.
    """
    source = source or (origins.find(blob.digest) if origins else None)
    if not source or source == target.name or (origins and origins.mounts() is False):
        return False
    answer = target.mount(blob.digest, source)
    if origins and answer:
        origins.learn(True)
    elif origins and answer is Mount.DECLINED and _readable(replace(target, name=source), blob):
        origins.learn(False)
    return bool(answer)


def _readable(repository: Repository, blob: Descriptor) -> bool:
    with suppress(Refused):  # whoever may not read there was right to be declined
        return repository.has_blob(blob)
    return False
