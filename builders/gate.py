"""The publish gate: nothing that holds a credential in use leaves this machine.

Everything passes: files of a layer as they are written, traces, locks, the image config. Without credentials
there is no gate (`gate_of` gives None), so that nobody pays for it.

    gate = gate_of((*package_secrets(lock_urls, sources), *registry_secrets(used)))
    if gate:
        gate.check(trace.to_json(), "the trace of pip/1")
        for chunk in gate.scanned("site-packages/config.py", chunks):   # per file, as it is written
            encoder.write(chunk)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..cache.digest import Bytes
    from .secrets import Secret


@dataclass(frozen=True)
class Gate:
    """Refuses bytes that hold one of `secrets`."""

    secrets: tuple[Secret, ...]

    def check(self, data: Bytes, where: str) -> None:
        """Raise PackageError if `data`, complete in itself, holds a secret."""
        data = data if isinstance(data, bytes) else bytes(data)
        for secret in self.secrets:
            if any(form in data for form in secret.forms):
                raise _found(secret, self._nameable(where))

    def _nameable(self, where: str) -> str:
        """A file's name may be what holds the secret."""
        forms = (form for secret in self.secrets for form in secret.forms)
        return "a name that holds it" if any(form in where.encode() for form in forms) else where

    def scan(self, where: str) -> Callable[[Bytes], None]:
        """The same for a file that comes in chunks: what lies across a border is found, too."""
        overlap = max(len(form) for secret in self.secrets for form in secret.forms) - 1
        tail = b""

        def feed(chunk: Bytes) -> None:
            nonlocal tail
            data = chunk if isinstance(chunk, bytes) else bytes(chunk)
            if tail:
                self.check(tail + data[:overlap], where)
            self.check(data, where)
            tail = (tail + data)[-overlap:] if len(data) < overlap else data[-overlap:]

        return feed

    def scanned(self, where: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """`chunks` as they come, each of them scanned first."""
        feed = self.scan(where)
        for chunk in chunks:
            feed(chunk)
            yield chunk


def gate_of(secrets: Iterable[Secret]) -> Gate | None:
    """A gate for the credentials in use; None when there are none."""
    found = tuple(secrets)
    return Gate(found) if found else None


def _found(secret: Secret, where: str) -> PackageError:
    return PackageError(
        "a credential would be published",
        facts={"found in": where, "credential of": secret.owner},
        hint="take it out of the package or definition, and replace it: who has the file knows it",
    )
