"""The only way to hash anything: one type per meaning.

- `Digest`: SHA-256 of bytes as stored (OCI image spec, "Digests"; conda and PyPI demand it too).
- `DiffId`: SHA-256 of the uncompressed layer tar (OCI image config, `rootfs.diff_ids`).
- `Key`: xxh3_128 of a step's canonical inputs. A name, not a proof: a trace's inputs are compared on a hit.

    >>> Digest.of(b"").hex[:8]
    'e3b0c442'
    >>> key_of("pip/1", {"b": 1, "a": "x"}) == key_of("pip/1", {"a": "x", "b": 1})
    True
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xxhash

from ..errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

CHUNK = 1 << 20
Bytes = bytes | bytearray | memoryview
_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True, slots=True)
class _Sha256:
    hex: str

    def __post_init__(self) -> None:
        if not _HEX64.fullmatch(self.hex):
            raise IntegrityError("not a sha256 digest", facts={"found": self.hex, "allowed": "64 hex digits"})

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    def __hash__(self) -> int:
        return hash(self.hex)  # which the text remembers; the generated one makes a tuple each time


class Digest(_Sha256):
    """SHA-256 of bytes as they are stored."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:HEX`. Raises IntegrityError for any other algorithm or form."""
        return cls(text.removeprefix("sha256:"))

    @classmethod
    def of(cls, data: Bytes) -> Digest:
        """Digest of bytes in memory."""
        hasher = Hasher()
        hasher.update(data)
        return hasher.digest()


class DiffId(_Sha256):
    """SHA-256 of a layer's uncompressed tar."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> DiffId:
        """Read `sha256:HEX`. Raises IntegrityError for any other form."""
        return cls(text.removeprefix("sha256:"))


@dataclass(frozen=True, order=True, slots=True)
class Key:
    """xxh3_128 of a step's canonical inputs, 32 hex digits."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX32.fullmatch(self.hex):
            raise IntegrityError("not a key", facts={"found": self.hex, "expected": "32 hex digits"})

    def __str__(self) -> str:
        return self.hex


class Hasher:
    """A running SHA-256 that also counts bytes."""

    def __init__(self) -> None:
        # Imported here: OpenSSL costs 25 ms to load and a hit hashes nothing with it.
        from cryptography.hazmat.primitives import hashes

        self._context = hashes.Hash(hashes.SHA256())
        self.size = 0

    def update(self, data: Bytes) -> None:
        """Feed bytes. Large buffers release the GIL."""
        self._context.update(data)
        self.size += memoryview(data).nbytes

    def digest(self) -> Digest:
        """The digest; the hasher cannot be used afterwards."""
        return Digest(self._context.finalize().hex())

    def diff_id(self) -> DiffId:
        """The same for an uncompressed layer."""
        return DiffId(self._context.finalize().hex())


def digest_stream(stream: IO[bytes]) -> tuple[Digest, int]:
    """Digest and size of all that is left in `stream`."""
    hasher = Hasher()
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
    return hasher.digest(), hasher.size


Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """Canonical JSON: sorted keys, no white space, UTF-8, NFC strings, no floats.

    Raises TypeError for a float, whose text differs between writers, and for names that are one in NFC.
    """
    return as_recorded(_normal(value))


def as_recorded(value: Json) -> bytes:
    """The same for a value that was read from canonical JSON; another than that gives other bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _normal(value: Json) -> Json:
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        normal = {str(_normal(name)): _normal(item) for name, item in value.items()}
        if len(normal) != len(value):
            raise TypeError(f"two names of {sorted(value)} are one in NFC")
        return normal
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    if value is None or isinstance(value, int):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a key: {value!r}")


def key_inputs(recipe: str, inputs: Mapping[str, Json], depends: Iterable[Key] = ()) -> Mapping[str, Json]:
    """What a key is made of, as `explain` prints it; dependencies are a set."""
    return {"recipe": recipe, "inputs": dict(inputs), "depends": sorted({str(key) for key in depends})}


def key_of_inputs(inputs: Mapping[str, Json]) -> Key:
    """The key of what `key_inputs` returned."""
    return Key(xxhash.xxh3_128_hexdigest(canonical(inputs)))


def key_of(recipe: str, inputs: Mapping[str, Json], depends: Iterable[Key] = ()) -> Key:
    """Key of a step: xxh3_128 over the canonical bytes of recipe, inputs and dependencies."""
    return key_of_inputs(key_inputs(recipe, inputs, depends))
