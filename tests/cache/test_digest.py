"""Digests and keys: canonical bytes, and what may not enter them."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from prebake.cache.digest import (
    DiffId,
    Digest,
    Hasher,
    Json,
    Key,
    canonical,
    digest_stream,
    key_inputs,
    key_of,
    key_of_inputs,
)
from prebake.errors import IntegrityError

VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def sha256(data: bytes) -> str:
    context = hashes.Hash(hashes.SHA256())
    context.update(data)
    return context.finalize().hex()


@given(st.binary(max_size=4000))
def test_a_digest_is_sha256_however_it_is_fed(data: bytes) -> None:
    hasher = Hasher()
    for start in range(0, len(data), 7):
        hasher.update(memoryview(data)[start : start + 7])
    assert hasher.size == len(data)
    assert hasher.digest() == Digest.of(data) == Digest(sha256(data))
    assert digest_stream(io.BytesIO(data)) == (Digest.of(data), len(data))


def test_digests_are_written_and_read() -> None:
    digest = Digest.of(b"x")
    assert Digest.parse(str(digest)) == digest
    assert str(digest) == f"sha256:{sha256(b'x')}"
    assert DiffId.parse(str(digest)).hex == digest.hex


@pytest.mark.parametrize("text", ["", "sha256:", "md5:0", "0" * 63, "G" * 64, "A" * 64, "../" * 22])
def test_what_is_no_sha256_is_refused(text: str) -> None:
    for read in (Digest.parse, DiffId.parse):
        with pytest.raises(IntegrityError, match="not a sha256 digest"):
            read(text)


def test_kinds_of_digest_are_never_equal() -> None:
    assert Digest(sha256(b"")) != DiffId(sha256(b""))


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 64, "../x"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="not a key"):
        Key(text)


@given(VALUES)
def test_canonical_bytes_are_json_of_the_same_value(value: Json) -> None:
    text = unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False))
    assert json.loads(canonical(value)) == json.loads(text)


@given(VALUES)
def test_canonical_bytes_read_and_written_again_are_the_same(value: Json) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text("abc", max_size=3), st.integers(), max_size=6))
def test_the_order_of_names_does_not_count(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_spellings_of_a_letter_are_one() -> None:
    assert canonical({"é": "é"}) == canonical({"e\u0301": "e\u0301"}) == '{"é":"é"}'.encode()


@pytest.mark.parametrize("value", [1.0, {"x": 0.5}, [b"bytes"], {"x": {1, 2}}, float("nan")])
def test_what_has_no_fixed_text_has_no_place_in_a_key(value: Json) -> None:
    with pytest.raises(TypeError, match="no place in a key"):
        canonical(value)


def test_keys_are_told_apart_by_recipe_inputs_and_dependencies() -> None:
    one, two = key_of("pip/1", {"a": 1}), key_of("pip/2", {"a": 1})
    others = [key_of("pip/1", {"a": 2}), key_of("pip/1", {"a": 1}, [one]), key_of("pip/1", {"a": "1"})]
    assert len({one, two, *others}) == 5


def test_dependencies_are_a_set() -> None:
    one, two = key_of("pip/1", {"a": 1}), key_of("pip/1", {"a": 2})
    expected = key_of("image/1", {}, [one, two])
    assert key_of("image/1", {}, [two, one, two]) == expected
    assert key_of_inputs(key_inputs("image/1", {}, [one, two])) == expected


def test_a_key_is_the_same_for_ever() -> None:
    assert key_of("pip/1", {"wheels": [["a", "b"]], "python": None}).hex == "80a7245220dbf0ac29eb96fa37ebc9b5"
