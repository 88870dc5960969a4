"""Layers that are stacked must agree: the listings of their paths are compared before an image is made.

That is a function of the listings alone, so a set that was found to agree is remembered (`agree/1`), and an
image of the same layers on another base, or with other variables, reads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cache.digest import key_inputs, key_of_inputs
from ..cache.store import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..cache.digest import Digest
    from ..cache.tiered import Tiers

AGREE = "agree/1"


def check_listings(listings: Iterable[Digest], store: Tiers) -> None:
    """Raise PackageError if two layers write the same path and differ."""
    digests = sorted(listings)
    inputs = key_inputs(AGREE, {"listings": [digest.hex for digest in digests]})
    if len(digests) < 2 or isinstance(store.local.look(key_of_inputs(inputs), inputs), Trace):
        return
    refuse_clobbers([store.read(digest) for digest in digests])
    store.local.record(Trace(key_of_inputs(inputs), inputs, {}))


def refuse_clobbers(listings: Sequence[bytes]) -> None:
    """Two layers that write one path must agree on it, and none may put a file where another has a folder.

    Raises PackageError.
    """
    if not _apart(listings):
        _compare(listings)


def _apart(listings: Sequence[bytes]) -> bool:
    """Whether surely no path is written twice or lies below another, as nearly always (10 ms for 25 000)."""
    text = b"\n".join(filter(None, listings)).decode()
    if text.count("\t") != 3 * (text.count("\n") + 1):
        return False  # a path with a tab in it
    paths = text.replace("\n", "\t").split("\t")[::4]
    unique = set(paths)
    return len(unique) == len(paths) and unique.isdisjoint(_folders(unique))


def _compare(listings: Iterable[bytes]) -> None:
    from .conda import clobber_error

    seen: dict[str, tuple[str, str, str]] = {}
    for listing in listings:
        for line in filter(None, listing.decode().split("\n")):
            path, mode, mark, owner = line.rsplit("\t", 3)
            other = seen.setdefault(path, (mode, mark, owner))
            if other[:2] != (mode, mark):
                raise clobber_error(path, (other[2], owner))
    for path in _folders(seen) & seen.keys():
        inside = next(below for below in seen if below.startswith(f"{path}/"))
        raise clobber_error(path, (seen[path][2], seen[inside][2]))


def _folders(paths: Iterable[str]) -> set[str]:
    """Every folder that one of `paths` lies in."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders
