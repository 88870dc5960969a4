"""Push an image: blobs, manifest by digest, read back, tag last.

Invariant: a tag moves only when everything below it was acknowledged and the manifest was read back, so a
push that fails, is cancelled or is killed leaves the tag where it was. Layers of the base come from its own
registry: mounted where that is the target, streamed through otherwise.

    with Uploader(transport, reference) as uploader:
        uploader.start(layer.descriptor, image.open)      # as soon as it is built; others still are
        pushed = uploader.commit(image)
"""

from __future__ import annotations

import functools
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum
from functools import partial
from io import BytesIO
from threading import Event
from typing import IO, TYPE_CHECKING, Self

from ..cache.digest import Digest
from ..cache.oci import INDEX_TYPES, Descriptor, Layer, Manifest
from ..cache.origins import mount
from ..cache.registry import BLOB_GONE, Repository
from ..cache.request import Refused
from ..cache.single_flight import Told

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ..cache.index import Document
    from ..cache.leases import Holder
    from ..cache.origins import Origins
    from ..cache.reference import Reference
    from ..cache.request import Opener, Readable
    from ..cache.transport import Transport

# More do not help: one upload fills a network, and SHA-256 in the registry fills its cores.
_PARALLEL = 4


@dataclass(frozen=True)
class Image:
    """An image to deliver; `open` streams its own layers, `base` is where the base's layers are."""

    manifest: Manifest
    config: bytes
    base: Reference
    base_layers: tuple[Descriptor, ...]
    layers: tuple[Layer, ...]
    open: Callable[[Digest], IO[bytes]]


class Outcome(Enum):
    """How a blob came to be in the target."""

    EXISTING = "existing"
    MOUNTED = "mounted"
    UPLOADED = "uploaded"


@dataclass(frozen=True)
class Progress:
    """Whom to tell: bytes as they are read for sending (repeats included), blobs as they are done, waits."""

    on_bytes: Callable[[int], None] = lambda _: None
    on_blob: Callable[[Descriptor, Outcome], None] = lambda _blob, _outcome: None
    on_wait: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Pushed:
    """What a push did; `reference` has the digest, `bytes_pushed` are those of uploaded blobs."""

    reference: Reference
    bytes_pushed: int = 0
    existing: int = 0
    mounted: int = 0
    uploaded: int = 0


def push(
    transport: Transport,
    image: Image,
    to: Reference,
    progress: Progress | None = None,
    origins: Origins | None = None,
) -> Pushed:
    """Push `image`; if the tag is there already this is one HEAD request."""
    with Uploader(transport, to, progress, origins) as uploader:
        return uploader.commit(image)


class Uploader:
    """Uploads in the background to one repository; leaving the context stops what still runs."""

    def __init__(
        self,
        transport: Transport,
        to: Reference,
        progress: Progress | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._origins = origins
        self._transport = transport
        self._to = to
        self._target = Repository.of(transport, to)
        self._progress = progress or Progress()
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="push")
        self._stopped = Event()
        self._blobs: dict[Digest, Future[Outcome]] = {}
        self._outcomes: dict[Digest, tuple[Descriptor, Outcome]] = {}
        self._doubted: set[Digest] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def start(self, blob: Descriptor, open_blob: Callable[[Digest], IO[bytes]]) -> Future[Outcome]:
        """Upload a blob unless it is there; asked twice it is done once."""
        return self._start(blob, partial(self._send_own, blob, partial(open_blob, blob.digest)))

    def start_from(self, blob: Descriptor, base: Reference) -> Future[Outcome]:
        """Bring a base layer from where the base is, unless it is there."""
        return self._start(blob, partial(self._bring, blob, base))

    def commit(self, image: Image) -> Pushed:
        """Bring all blobs of `image` that were not started yet, then put the manifest and move the tag."""
        data = image.manifest.to_bytes()
        pinned = self._to.at(Digest.of(data))
        if not self._blobs:
            current = self._target.head(self._to.tag) if self._to.tag else None
            if current == pinned.digest:
                return Pushed(pinned)
            if current is None:
                self._present = set()
        self._bring_all(image)
        try:
            self._put(data, image.manifest.media_type)
        except Refused as refusal:
            if BLOB_GONE.isdisjoint(refusal.codes):
                raise
            self._bring_again(image, refusal)
            self._put(data, image.manifest.media_type)
        if self._to.tag:
            self._target.put_manifest(self._to.tag, data, image.manifest.media_type)
        if self._origins:
            own = (image.manifest.config.digest, *(layer.digest for layer in image.layers))
            self._origins.remember(own, self._to.repository)
        return self._result(pinned)

    @functools.cached_property
    def _tagged(self) -> Document | None:
        """The manifest at the tag, as it was when the first blob was started."""
        return self._target.manifest(self._to.tag) if self._to.tag else None

    @functools.cached_property
    def _present(self) -> set[Digest]:
        """What the image at the tag consists of: one GET instead of a HEAD for each layer.

        Should the registry have lost one of them, it refuses the manifest and all are asked for.
        """
        found = self._tagged
        if found is None or found.media_type in INDEX_TYPES:
            return set()
        return {blob.digest for blob in Manifest.from_bytes(found.data, str(self._to)).blobs()}

    def _start(self, blob: Descriptor, work: Callable[[], Outcome]) -> Future[Outcome]:
        if blob.digest not in self._blobs:
            self._blobs[blob.digest] = self._pool.submit(self._observed, blob, work)
        return self._blobs[blob.digest]

    def _observed(self, blob: Descriptor, work: Callable[[], Outcome]) -> Outcome:
        there = blob.digest in self._present or self._has(blob)
        outcome = Outcome.EXISTING if there else self._brought_once(blob, work)
        if outcome is not Outcome.EXISTING or blob.digest not in self._outcomes:
            self._outcomes[blob.digest] = (blob, outcome)
        self._progress.on_blob(blob, outcome)
        return outcome

    def _has(self, blob: Descriptor) -> bool:
        return blob.digest not in self._doubted and self._target.has_blob(blob)

    def _brought_once(self, blob: Descriptor, work: Callable[[], Outcome]) -> Outcome:
        """Of many processes that miss a blob, one brings it; the others ask again when that one is done."""
        origins, waited = self._origins, Event()
        if origins is None:
            return work()
        told = Told(self._progress.on_wait, "sends the same layer")

        def waiting(holder: Holder) -> None:
            self._check_running()
            waited.set()
            told(holder)

        def find() -> Outcome | None:
            sent = waited.is_set() or origins.find(blob.digest) == self._target.name
            return Outcome.EXISTING if sent and self._has(blob) else None

        return origins.bring((self._target.name, blob.digest), find, work, waiting)

    def _send_own(self, blob: Descriptor, open_blob: Opener) -> Outcome:
        """Mount what another repository of the registry is known to hold, else send it."""
        if mount(self._target, blob, self._origins):
            return Outcome.MOUNTED
        return self._send(blob, open_blob)

    def _send(self, blob: Descriptor, open_blob: Opener) -> Outcome:
        self._target.upload(blob, lambda: _Watched(open_blob(), self._watch))
        if self._origins:
            self._origins.remember([blob.digest], self._target.name)
        return Outcome.UPLOADED

    def _bring(self, blob: Descriptor, base: Reference) -> Outcome:
        here = base.registry == self._to.registry
        if here and mount(self._target, blob, self._origins, base.repository):
            return Outcome.MOUNTED
        source = Repository.of(self._transport, base)
        return self._send(blob, partial(source.open_blob, blob.digest))

    def _watch(self, size: int) -> None:
        self._check_running()
        self._progress.on_bytes(size)

    def _check_running(self) -> None:
        if self._stopped.is_set():
            raise CancelledError("the push was stopped")

    def _bring_all(self, image: Image) -> None:
        """The biggest first, so that none of them is left to be waited for alone."""
        base = {layer.digest for layer in image.base_layers}
        sources = partial(open_own, image)
        for blob in sorted(image.manifest.blobs(), key=lambda blob: -blob.size):
            if blob.digest in base:
                self.start_from(blob, image.base)
            else:
                self.start(blob, sources)
        self._wait()

    def _wait(self) -> None:
        done, waiting = wait(self._blobs.values(), return_when=FIRST_EXCEPTION)
        if waiting:
            self._stopped.set()
        for future in done:
            future.result()

    def _put(self, data: bytes, media_type: str) -> None:
        self._target.read_back(self._target.put_manifest(str(Digest.of(data)), data, media_type))

    def _bring_again(self, image: Image, refusal: Refused) -> None:
        """Ask for all blobs again; those that the refusal names are sent even if the registry claims them."""
        self._doubted = {blob.digest for blob in image.manifest.blobs() if blob.digest.hex in refusal.detail}
        self._present = set()
        self._blobs.clear()
        self._bring_all(image)

    def _result(self, pinned: Reference) -> Pushed:
        outcomes = [outcome for _, outcome in self._outcomes.values()]
        sent = (blob.size for blob, outcome in self._outcomes.values() if outcome is Outcome.UPLOADED)
        return Pushed(pinned, sum(sent), *(outcomes.count(outcome) for outcome in Outcome))


class _Watched:
    """A stream that tells what is read from it, so that an upload can be followed and stopped."""

    def __init__(self, stream: Readable, watch: Callable[[int], None]) -> None:
        self._stream = stream
        self._watch = watch
        self.close = stream.close

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._watch(len(data))
        return data


def open_own(image: Image, digest: Digest) -> IO[bytes]:
    """Stream the config or a layer that is not the base's."""
    return BytesIO(image.config) if digest == image.manifest.config.digest else image.open(digest)
