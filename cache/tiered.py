"""local -> workspace -> global: what is found above is used below, what is made here is shared.

A look-up asks tier by tier. Of what a remote tier finds, the trace and its small blobs are copied to the
local store; layers travel when something reads them, or at once where `eager` says so. What is recorded goes
to the local store and to the writable tiers, blobs first; global is not one of them (see `promote`).
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING

from ..errors import IntegrityError
from .complete import Complete
from .digest import CHUNK, Digest, canonical, key_of_inputs
from .oci import LAYER_TYPES
from .store import BlobNotFound, DamagedCopy, Miss, Reason, Trace
from .verified import verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .digest import Json, Key
    from .directory import DirectoryStore
    from .inventory import Listed
    from .leases import Leases
    from .oci import Descriptor
    from .single_flight import Busy
    from .store import BlobStore, TraceStore

LOCAL = "local"
MADE = "made"


@dataclass(frozen=True, eq=False, repr=False)
class Tier:
    """A remote tier: its name for people, its bytes, its traces (complete and trusted ones only).

    `listed` is the bare store below both, for prune.
    """

    name: str
    blobs: BlobStore
    traces: TraceStore
    listed: Listed
    writable: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Found:
    """A trace, and the name of the tier it was found in."""

    trace: Trace
    tier: str


@dataclass(frozen=True, eq=False, repr=False)
class Wanted:
    """A trace by key and inputs, how it is made, and which recorded ones serve."""

    key: Key
    inputs: Mapping[str, Json]
    make: Callable[[], Trace]
    accept: Callable[[Trace], bool] = lambda trace: True


@dataclass(frozen=True, eq=False, repr=False)
class Ways:
    """How tiers are used.

    `eager` fetches layers on a hit already; `report` hears of traces that are not believed and of long waits,
    `watch` of traces that are found or made; `check` raises if bytes (and where they are) must not be
    recorded; `leases` are the local store's own unless given.
    """

    eager: bool = False
    report: Callable[[str], None] = lambda message: None
    watch: Callable[[Trace], None] = lambda trace: None
    check: Callable[[bytes, str], None] | None = None
    leases: Callable[[], Leases] | None = None


class Tiers:
    """The local store and the tiers above it, nearest first; those are made when something asks them."""

    def __init__(
        self, local: DirectoryStore, connect: Callable[[], tuple[Tier, ...]] = tuple, ways: Ways | None = None
    ) -> None:
        self.local = local
        self._connect = connect
        self._ways = ways or Ways()
        self._traces = Complete(local, self.missing)

    @functools.cached_property
    def _leases(self) -> Leases:
        if self._ways.leases:
            return self._ways.leases()
        from .leases import Leases  # not on a hit

        return Leases(f"sqlite:///{self.local.root}/leases.db")

    @functools.cached_property
    def remote(self) -> tuple[Tier, ...]:
        """The tiers above the local store."""
        return self._connect()

    def watched(self, watch: Callable[[Trace], None]) -> Tiers:
        """The same tiers; `watch` hears of every trace that is found or made."""
        return Tiers(self.local, lambda: self.remote, replace(self._ways, watch=watch))

    def guarded(self, check: Callable[[bytes, str], None]) -> Tiers:
        """The same tiers; nothing is recorded that `check` refuses by raising."""
        return Tiers(self.local, lambda: self.remote, replace(self._ways, check=check))

    def find(
        self, key: Key, inputs: Mapping[str, Json], accept: Callable[[Trace], bool] = lambda trace: True
    ) -> Found | None:
        """The trace of `key` from the nearest tier that has it, complete, and that `accept` takes."""
        for tier, answer in self.look(key, inputs):
            if isinstance(answer, Trace):
                if not accept(answer):
                    continue
                answer = self._at_hand(answer, tier)
            if isinstance(answer, Trace):
                self._ways.watch(answer)
                return Found(answer, tier.name if tier else LOCAL)
            self._tell(answer, inputs, tier)
        return None

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Iterator[tuple[Tier | None, Trace | Miss]]:
        """What each tier answers, nearest first; None stands for the local store."""
        yield None, self._traces.look(key, inputs)
        for tier in self.remote:
            yield tier, tier.traces.look(key, inputs)

    def obtain(self, wanted: Wanted) -> Found:
        """What is wanted, found or made; waits while another makes it."""
        again = partial(self.find, wanted.key, wanted.inputs, wanted.accept)
        found = again()
        if found:
            return found
        from .single_flight import Told, once  # not on a hit

        self.local.check_writable()
        told = Told(self._ways.report)
        return once(str(wanted.key), self._leases, again, partial(self._make, wanted), told)

    def obtain_now(self, wanted: Wanted) -> Found | Busy:
        """The same for what was looked for already; BUSY at once while another makes it."""
        from .single_flight import try_once

        again = partial(self.find, wanted.key, wanted.inputs, wanted.accept)
        return try_once(str(wanted.key), self._leases, again, partial(self._make, wanted))

    def _make(self, wanted: Wanted) -> Found:
        start = time.monotonic()
        made = wanted.make()
        spent = int(1000 * (time.monotonic() - start))
        trace = replace(made, notes={"at": int(time.time()), "milliseconds": spent, **made.notes})
        self.record(trace)
        self._ways.watch(trace)
        return Found(trace, MADE)

    def record(self, trace: Trace) -> None:
        """Record a trace whose blobs are in the local store, and share both."""
        if self._ways.check:
            self._check(trace, self._ways.check)
        self.local.record(trace)
        for tier in self.remote:
            if tier.writable:
                try:
                    share(trace, self, tier)
                except DamagedCopy as error:  # until an administrator acts, the others do without
                    self._ways.report(f"warning: {tier.name} store: {error}")

    def open(self, digest: Digest) -> IO[bytes]:
        """Stream a blob, checked, from the local store; it is brought there first. Raises BlobNotFound."""
        with contextlib.suppress(BlobNotFound):
            return verified(self.local.open(digest), digest, self.local)
        self._bring(digest)
        return verified(self.local.open(digest), digest, self.local)

    def read(self, digest: Digest) -> bytes:
        """A whole small blob. Raises BlobNotFound, IntegrityError."""
        with contextlib.suppress(BlobNotFound):
            return self.local.read(digest)
        self._bring(digest)
        return self.local.read(digest)

    def missing(self, blobs: Iterable[Descriptor]) -> set[Digest]:
        """The digests of those blobs that no tier holds."""
        asked = list(blobs)
        gone = self.local.missing(asked)
        for tier in self.remote if gone else ():
            if gone:
                gone &= tier.blobs.missing(blob for blob in asked if blob.digest in gone)
        return gone

    def bring(self, blobs: Iterable[Descriptor]) -> None:
        """Have these blobs in the local store."""
        if not self.remote:
            return
        for digest in self.local.claim(blobs):
            self._bring(digest)

    def _at_hand(self, trace: Trace, tier: Tier | None) -> Trace | Miss:
        """The trace, now in the local store with what is small of it; a miss if that is corrupt."""
        if not self.remote:
            return trace  # complete, so all of it is here
        wanted = (
            trace.blobs
            if self._ways.eager
            else [blob for blob in trace.blobs if blob.media_type not in LAYER_TYPES]
        )
        try:
            for digest in self.local.claim(wanted):
                self._copy(digest, tier) if tier else self._bring(digest)
        except IntegrityError as error:
            return Miss(Reason.BLOBS_GONE, str(error))
        if tier:
            self.local.record(trace)
        return trace

    def _check(self, trace: Trace, check: Callable[[bytes, str], None]) -> None:
        """The trace and all its blobs but layers, which are checked as they are written."""
        where = f"the trace of {trace.inputs['recipe']}"
        check(canonical(trace.to_json()), where)
        for blob in trace.blobs:
            if blob.media_type not in LAYER_TYPES:
                check(self.local.read(blob.digest), f"{where}, {blob.media_type}")

    def _tell(self, miss: Miss, inputs: Mapping[str, Json], tier: Tier | None) -> None:
        if miss.reason is not Reason.NEVER:
            name = tier.name if tier else LOCAL
            self._ways.report(f"warning: {name} store: {inputs['recipe']} {key_of_inputs(inputs)}: {miss}")

    def _bring(self, digest: Digest) -> None:
        for tier in self.remote:
            try:
                return self._copy(digest, tier)
            except BlobNotFound:
                continue
            except IntegrityError as error:
                self._ways.report(f"warning: {tier.name} store: {error}")
        raise BlobNotFound(digest, ", ".join([str(self.local), *(str(tier.blobs) for tier in self.remote)]))

    def _copy(self, digest: Digest, tier: Tier) -> None:
        def wrong(found: Digest) -> IntegrityError:
            return IntegrityError("a blob is corrupt", facts={"expected": digest, "found": found})

        try:
            with tier.blobs.open(digest) as stream:
                self.local.put_expected(digest, partial(_pour, stream), wrong)
        except BlobNotFound:
            raise
        except IntegrityError:
            tier.blobs.discard(digest)
            raise


def share(trace: Trace, source: Tiers, tier: Tier) -> None:
    """Put a trace and its blobs into `tier`; what is there already is not sent."""
    _send(trace, source, tier)
    try:
        tier.traces.record(trace)
    except BlobNotFound:  # the tier lost what it was seen to hold a moment ago
        for blob in trace.blobs:
            tier.blobs.discard(blob.digest)
        _send(trace, source, tier)
        tier.traces.record(trace)


def _send(trace: Trace, source: Tiers, tier: Tier) -> None:
    gone = tier.blobs.missing(trace.blobs)
    for blob in trace.blobs:
        if blob.digest in gone:
            tier.blobs.put(blob, partial(source.open, blob.digest))


def _pour(stream: IO[bytes], writer: IO[bytes]) -> None:
    while chunk := stream.read(CHUNK):
        writer.write(chunk)
