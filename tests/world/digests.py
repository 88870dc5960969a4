"""Hex digests of bytes and files, by `cryptography` as everywhere in this project.

>>> sha256(b"")[:8]
'e3b0c442'
"""

from pathlib import Path

from cryptography.hazmat.primitives import hashes

_CHUNK = 1 << 20


def sha256(data: bytes) -> str:
    return _hex(hashes.SHA256(), data)


def md5(data: bytes) -> str:
    # conda's records carry md5 beside sha256 for old clients
    return _hex(hashes.MD5(), data)


def sha256_file(path: Path) -> str:
    digest = hashes.Hash(hashes.SHA256())
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.finalize().hex()


def _hex(algorithm: hashes.HashAlgorithm, data: bytes) -> str:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize().hex()
