"""Layers that are stacked agree on every path, and what was compared once is not read again."""

from pathlib import Path

import pytest

from prebake.builders.listings import MARKS, PATHS, check_listings
from prebake.cache.digest import Digest, key_inputs, key_of_inputs
from prebake.cache.directory import DirectoryStore
from prebake.cache.store import Trace
from prebake.cache.tiered import Tiers
from prebake.errors import IntegrityError, PackageError


@pytest.fixture
def store(tmp_path: Path) -> Tiers:
    return Tiers(DirectoryStore(tmp_path))


def listed(store: Tiers, *lines: str) -> Digest:
    """A listing of lines `path content owner`."""
    text = "\n".join(f"{path}\t644\t{mark}\t{owner}" for path, mark, owner in map(str.split, lines))
    return store.local.put_bytes(text.encode())


def test_layers_apart_agree(store: Tiers) -> None:
    check_listings([listed(store, "a/x 1 p", "a/y 2 p"), listed(store, "a/z 1 q", "b/x 1 q")], store)


def test_one_path_with_one_content_is_agreed(store: Tiers) -> None:
    check_listings([listed(store, "a/x 1 p"), listed(store, "a/x 1 q")], store)


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("a/x 1 p", "a/x 2 q", "a/x"),
        ("a/x 1 p", "a/x/y 1 q", "a/x"),
        ("a 1 p", "a/x/y 1 q", "a"),
        ("a/x/y 1 p", "a/x 1 q", "a/x"),
    ],
)
def test_a_clash_is_told_each_time(store: Tiers, one: str, other: str, path: str) -> None:
    listings = [listed(store, one), listed(store, other), listed(store, "z 1 r")]
    for _ in range(2):
        with pytest.raises(PackageError) as raised:
            check_listings(listings, store)
        assert raised.value.facts["file"] == path
        assert set(raised.value.facts["packages"].split(", ")) == {"p", "q"}


def test_two_packages_of_one_layer_must_agree_too(store: Tiers) -> None:
    with pytest.raises(PackageError):
        check_listings([listed(store, "a 1 p", "a 2 q"), listed(store, "b 1 r")], store)


def test_known_listings_are_not_read_again(store: Tiers) -> None:
    known = [listed(store, "a/x 1 p"), listed(store, "a/y 1 q")]
    check_listings(known, store)
    for digest in known:
        store.local.path(digest).write_bytes(b"unreadable")
    check_listings(known, store)
    check_listings([*known, listed(store, "a/z 1 r")], store)
    with pytest.raises(IntegrityError):
        check_listings([*known, listed(store, "a/y 2 r")], store)


def test_damaged_marks_are_made_again(store: Tiers) -> None:
    one, other = listed(store, "a/x 1 p"), listed(store, "a/y 1 q")
    check_listings([one, other], store)
    inputs = key_inputs(PATHS, {"listing": one.hex})
    trace = store.local.look(key_of_inputs(inputs), inputs)
    assert isinstance(trace, Trace) and trace.blobs[0].media_type == MARKS
    store.local.path(trace.blobs[0].digest).write_bytes(b"12345678" * 2)
    with pytest.raises(PackageError):
        check_listings([one, other, listed(store, "a/x 2 r")], store)
