"""Signed traces: Ed25519 (RFC 8032) tells whose traces to believe in a store that many may write to.

`record` adds two notes: `writer`, the public key as `ed25519:BASE64`, and `signature`, base64 over the
canonical JSON of key, inputs, outputs and blobs. `look` believes `trusted` writers; all if none is named.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .digest import Json, Key, canonical
from .store import Miss, Reason, Trace, TraceStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PUBLIC = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")


class Signer:
    """A private key; nothing shows it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_text = f"ed25519:{base64.b64encode(private.public_key().public_bytes_raw()).decode()}"

    @classmethod
    def from_file(cls, path: Path) -> Signer:
        """Read an unencrypted Ed25519 key in PEM (PKCS #8). Raises SettingsError."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private: object = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise _unusable(path, error.strerror) from error
        except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise _unusable(path, "not an unencrypted Ed25519 key in PEM (PKCS #8)")
        return cls(private)

    def sign(self, trace: Trace) -> Trace:
        """The trace with the notes that vouch for it."""
        signature = base64.b64encode(self._private.sign(_message(trace))).decode()
        return replace(trace, notes={**trace.notes, "writer": self.public_text, "signature": signature})


def make_key(path: Path) -> Signer:
    """Write a new private key that its owner alone may read. Raises SettingsError; overwrites nothing."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(pem)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    return Signer(private)


def _unusable(path: Path, reason: str | None) -> SettingsError:
    hint = "make one with `prebake cache key FILE`, or correct the path"
    facts = {"file": path, "reason": reason}
    return SettingsError("the signing key cannot be used", facts=facts, hint=hint)


class Signed:
    """TraceStore that signs what it records and believes what `trusted` writers signed."""

    def __init__(self, inner: TraceStore, signer: Signer | None, trusted: tuple[str, ...]) -> None:
        self._inner = inner
        self._signer = signer
        self._trusted = trusted
        for wrong in (entry for entry in trusted if not _PUBLIC.fullmatch(entry)):
            facts = {"found": wrong, "allowed": "ed25519:BASE64"}
            hint = "write what `prebake cache key FILE` printed"
            raise SettingsError("not a public key", facts=facts, hint=hint)

    def __str__(self) -> str:
        return str(self._inner)

    def look(self, key: Key, inputs: Mapping[str, Json]) -> Trace | Miss:
        """The trace of `key`, if a trusted writer signed it."""
        found = self._inner.look(key, inputs)
        doubt = self._doubt(found) if self._trusted and isinstance(found, Trace) else ""
        return Miss(Reason.UNTRUSTED, doubt) if doubt else found

    def record(self, trace: Trace) -> None:
        """Record it, signed if there is a signer; else as it is, whoever signed it."""
        self._inner.record(self._signer.sign(trace) if self._signer else trace)

    def _doubt(self, trace: Trace) -> str:
        """Why not to believe it; empty if there is no reason."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        writer, signature = trace.notes.get("writer"), trace.notes.get("signature")
        if not (isinstance(writer, str) and isinstance(signature, str)):
            return "it is not signed"
        if writer not in self._trusted:
            return f"its writer is {writer[:60]!r}"
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(writer.removeprefix("ed25519:")))
            public.verify(base64.b64decode(signature, validate=True), _message(trace))
        except (InvalidSignature, ValueError, TypeError):  # no base64; a float, which nobody signs
            return f"the signature of {writer} is wrong"
        return ""


def _message(trace: Trace) -> bytes:
    decides: dict[str, Json] = {"key": str(trace.key), "inputs": trace.inputs, "outputs": trace.outputs}
    return canonical({**decides, "blobs": [blob.to_json() for blob in trace.blobs]})
