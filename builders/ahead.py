"""While a solver works, Python waits: what is needed after it is imported meanwhile (40 ms elsewhere)."""

from __future__ import annotations

import importlib
from functools import cache
from threading import Thread

# For wheel tags, fetching, hashing and making layers; packages of others, which import nothing of ours.
_NEEDED = (
    "packaging.utils",
    "packaging.tags",
    "urllib3",
    "cryptography.hazmat.primitives.hashes",
    "installer",
)


@cache
def import_ahead() -> None:
    """Start importing, once per process."""
    Thread(target=_import, name="imports", daemon=True).start()


def _import() -> None:
    for name in _NEEDED:
        importlib.import_module(name)
