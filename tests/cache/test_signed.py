"""Signed traces: only what a trusted writer signed, bit by bit, is believed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prebake.cache.digest import Digest, Key, key_of
from prebake.cache.memory import MemoryStore
from prebake.cache.oci import Descriptor
from prebake.cache.signed import Signed, Signer, make_key
from prebake.cache.store import Miss, Reason, Trace
from prebake.errors import SettingsError

INPUTS = {"recipe": "pip/1", "inputs": {"a": 1}, "depends": []}
BLOB = Descriptor("text/plain", Digest.of(b"x"), 1, {"note": "x"})
TRACE = Trace(key_of("pip/1", {"a": 1}), INPUTS, {"n": 1}, (BLOB,), {"seconds": 3})
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return make_key(tmp_path / "key.pem")


@pytest.fixture
def signed(signer: Signer) -> Signed:
    return Signed(MemoryStore(), signer, (signer.public_text,))


def doubt(trace: Trace, trusted: tuple[str, ...]) -> str:
    """Why a reader does not believe a trace that stands in a store as it is."""
    store = MemoryStore()
    store.record(trace)
    found = Signed(store, None, trusted).look(trace.key, trace.inputs)
    assert isinstance(found, Miss), "it was believed"
    assert found.reason is Reason.UNTRUSTED
    return found.detail


def test_what_was_signed_is_believed_and_keeps_its_notes(signed: Signed, signer: Signer) -> None:
    signed.record(TRACE)
    found = signed.look(TRACE.key, INPUTS)
    assert isinstance(found, Trace)
    assert replace(found, notes={}) == replace(TRACE, notes={})
    assert found.notes["seconds"] == 3
    assert found.notes["writer"] == signer.public_text


def test_a_key_read_from_its_file_is_the_same_writer(tmp_path: Path, signer: Signer) -> None:
    again = Signer.from_file(tmp_path / "key.pem")
    assert again.sign(TRACE) == signer.sign(TRACE)


@pytest.mark.parametrize(
    "forged",
    [
        {"outputs": {"n": 2}},
        {"blobs": ()},
        {"blobs": (replace(BLOB, size=2),)},
        {"blobs": (replace(BLOB, annotations={}),)},
        {"inputs": {**INPUTS, "recipe": "pip/2"}},
        {"key": Key("0" * 32)},
    ],
)
def test_what_decides_cannot_be_changed(forged: dict[str, object], signer: Signer) -> None:
    trace = replace(signer.sign(TRACE), **forged)  # type: ignore[arg-type]
    assert "is wrong" in doubt(trace, (signer.public_text,))


@pytest.mark.parametrize("signature", ["", "?", "AAAA", "é"])
def test_a_broken_signature_is_no_signature(signature: str, signer: Signer) -> None:
    trace = replace(TRACE, notes={"writer": signer.public_text, "signature": signature})
    assert doubt(trace, (signer.public_text,)) == f"the signature of {signer.public_text} is wrong"


def test_a_stranger_is_named(tmp_path: Path, signer: Signer) -> None:
    stranger = make_key(tmp_path / "stranger.pem")
    assert stranger.public_text in doubt(stranger.sign(TRACE), (signer.public_text,))
    pretended = stranger.sign(TRACE).notes | {"writer": signer.public_text}
    assert "is wrong" in doubt(replace(TRACE, notes=pretended), (signer.public_text,))


@pytest.mark.parametrize("notes", [{}, {"writer": "x"}, {"writer": 1, "signature": []}])
def test_unsigned_is_said(notes: dict[str, object], signer: Signer) -> None:
    assert doubt(replace(TRACE, notes=notes), (signer.public_text,)) == "it is not signed"  # type: ignore[arg-type]


def test_a_float_in_a_store_is_no_reason_to_fail(signer: Signer) -> None:
    store, trace = MemoryStore(), signer.sign(TRACE)
    data = json.dumps(trace.to_json()).replace('{"n": 1}', '{"n": 1.5}')
    store.traces[TRACE.key] = data.encode()
    found = Signed(store, None, (signer.public_text,)).look(TRACE.key, INPUTS)
    assert isinstance(found, Miss)


def test_without_trusted_writers_all_are_believed(signer: Signer) -> None:
    reader = Signed(MemoryStore(), None, ())
    reader.record(TRACE)
    assert reader.look(TRACE.key, INPUTS) == TRACE


def test_a_miss_stays_what_it_was(signed: Signed) -> None:
    assert signed.look(TRACE.key, INPUTS) == Miss(Reason.NEVER)


def test_a_copy_keeps_its_writer(signer: Signer) -> None:
    """Without a signer of its own, a store passes on what another writer signed."""
    copy = Signed(MemoryStore(), None, (signer.public_text,))
    copy.record(signer.sign(TRACE))
    assert isinstance(copy.look(TRACE.key, INPUTS), Trace)


@pytest.mark.parametrize("entry", ["", "ed25519:", "ed25519:AAAA", "rsa:x", "ed25519:" + "é" * 43 + "="])
def test_a_trusted_entry_that_is_no_key_is_named(entry: str, signer: Signer) -> None:
    with pytest.raises(SettingsError) as caught:
        Signed(MemoryStore(), None, (signer.public_text, entry))
    assert caught.value.facts["found"] == entry


def test_a_new_key_is_its_owners_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Signer.from_file(path).public_text == made.public_text
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="exists"):
        make_key(path)
    assert path.read_bytes() == before


def test_a_key_that_cannot_be_used_says_why_and_shows_nothing(tmp_path: Path) -> None:
    sealed = serialization.BestAvailableEncryption(b"word")
    plain = serialization.NoEncryption()
    contents = {
        "no-key": b"s3cret",
        "sealed": Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, sealed),
        "other-kind": ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, plain),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "absent", os.curdir):
        with pytest.raises(SettingsError) as caught:
            Signer.from_file(tmp_path / name)
        assert caught.value.facts["file"] == str(tmp_path / name)
        assert caught.value.facts["reason"]
        assert "s3cret" not in str(caught.value)
