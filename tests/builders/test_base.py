"""What is read of a base image, on layers written here and on the sample image."""

import gzip
import io
import json
import random
import tarfile
import tempfile
import tracemalloc
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
import zstandard

from prebake.builders.base import BaseFacts, Changes, read_changes, read_facts
from prebake.builders.base_layers import facts_by_layer
from prebake.cache.digest import Digest
from prebake.cache.directory import DirectoryStore
from prebake.cache.oci import LAYER_GZIP, LAYER_ZSTD, Descriptor, Manifest
from prebake.errors import PackageError

PREFIX = "/opt/prebake/env"
PLAIN = "application/vnd.oci.image.layer.v1.tar"
DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
LIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"


def libc(version: str) -> bytes:
    banner = f"GNU C Library (Debian GLIBC {version}-9) stable release version {version}.\n"
    return b"\x7fELF\0" + banner.encode()


def layer(*members: tuple[str, bytes | str | None], kind: str = PLAIN) -> tuple[str, partial[IO[bytes]]]:
    """A layer of files (bytes), symlinks (str) and folders (None)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    encode = {PLAIN: bytes, LAYER_GZIP: gzip.compress, LAYER_ZSTD: zstandard.compress}[kind]
    return kind, partial(io.BytesIO, encode(packed.getvalue()))


def facts(*layers: tuple[str, partial[IO[bytes]]], platform: str = "linux-64") -> BaseFacts:
    return read_facts(layers, platform, PREFIX)


@pytest.mark.parametrize("kind", [PLAIN, LAYER_GZIP, LAYER_ZSTD])
def test_libc_and_distribution_in_any_encoding(kind: str) -> None:
    found = facts(layer((LIBC, libc("2.36")), ("etc/os-release", DEBIAN), kind=kind))
    assert found == BaseFacts("linux-64", "2.36", "debian 12", None)


def test_links_are_followed() -> None:
    found = facts(
        layer(
            ("./lib", "usr/lib"),
            ("./lib/x86_64-linux-gnu/libc.so.6", "libc-2.31.so"),
            ("./usr/lib/x86_64-linux-gnu/libc-2.31.so", libc("2.31")),
            ("./etc/os-release", "../usr/lib/os-release"),
            ("./usr/lib/os-release", b"ID=ubuntu\nVERSION_ID='20.04'\n"),
        )
    )
    assert (found.glibc, found.distribution) == ("2.31", "ubuntu 20.04")


def test_a_loop_of_links_ends() -> None:
    assert facts(layer(("lib64/libc.so.6", "libc.so.6"))).glibc is None


def test_the_targets_own_libc_is_taken() -> None:
    both = layer(
        ("lib/libc.so.6", libc("2.17")),
        ("lib/x86_64-linux-gnu/libc.so.6", libc("2.31")),
        ("lib/aarch64-linux-gnu/libc.so.6", libc("2.36")),
    )
    assert (facts(both).glibc, facts(both, platform="linux-aarch64").glibc) == ("2.31", "2.36")


def test_musl_and_empty_images_have_no_glibc() -> None:
    release = b"ID=alpine\nVERSION_ID=3.20.1\n"
    alpine = layer(("lib/ld-musl-x86_64.so.1", b"musl"), ("etc/os-release", release))
    assert facts(alpine) == BaseFacts("linux-64", None, "alpine 3.20.1", None)
    assert facts() == BaseFacts("linux-64", None, "", None)


def test_the_topmost_layer_wins() -> None:
    below, above = layer((LIBC, libc("2.31"))), layer((LIBC, libc("2.36")))
    assert facts(below, above).glibc == "2.36"
    assert facts(above, below).glibc == "2.31"


@pytest.mark.parametrize(
    "whiteout",
    [
        "usr/lib/x86_64-linux-gnu/.wh.libc.so.6",
        "usr/lib/.wh.x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu/.wh..wh..opq",
        ".wh.usr",
        ".wh..wh..opq",
    ],
)
def test_whiteouts_hide_lower_layers(whiteout: str) -> None:
    assert facts(layer((LIBC, libc("2.36"))), layer((whiteout, b""))).glibc is None


def test_a_whiteout_does_not_hide_its_own_layer() -> None:
    replaced = layer((LIBC, libc("2.36")), ("usr/lib/.wh.x86_64-linux-gnu", b""))
    assert facts(layer((LIBC, libc("2.31"))), replaced).glibc == "2.36"


def test_a_link_in_the_place_of_a_folder_hides_what_was_in_it() -> None:
    merged = layer(("lib", "usr/lib"))
    assert facts(layer(("lib/x86_64-linux-gnu/libc.so.6", libc("2.31"))), merged).glibc is None


@pytest.mark.parametrize(
    ("members", "owner"),
    [
        ([("opt", None), ("opt/prebake", None)], None),
        ([("opt/prebake/environment", b"")], None),
        ([("opt/prebake/env", None)], "opt/prebake/env"),
        ([("opt/prebake/env/bin/python", b"")], "opt/prebake/env/bin"),
        ([("opt", "var/opt")], "opt"),
    ],
)
def test_who_owns_the_prefix(members: list[tuple[str, bytes | str | None]], owner: str | None) -> None:
    assert facts(layer(*members)).owns_prefix == owner


def test_a_removed_prefix_is_free() -> None:
    taken = layer(("opt/prebake/env/bin/python", b""))
    assert facts(taken, layer(("opt/prebake/.wh.env", b""))).owns_prefix is None


def test_facts_survive_a_trace() -> None:
    for found in (BaseFacts("linux-64", "2.36", "debian 12", "opt/prebake/env"), BaseFacts()):
        assert BaseFacts.from_json(found.to_json()) == found


@pytest.mark.parametrize("kind", [PLAIN, LAYER_GZIP, LAYER_ZSTD])
def test_a_damaged_layer_is_an_error(kind: str) -> None:
    with pytest.raises(PackageError, match="cannot be read"):
        facts((kind, partial(io.BytesIO, b"no tar at all" * 100)))


@pytest.mark.parametrize("kind", [LAYER_GZIP, LAYER_ZSTD])
def test_a_layer_cut_short_is_an_error(kind: str) -> None:
    _, whole = layer((LIBC, libc("2.36") + random.Random(1).randbytes(200_000)), kind=kind)
    with pytest.raises(PackageError, match="cannot be read"):
        facts((kind, partial(io.BytesIO, whole().read()[:100_000])))


def test_an_altered_layer_is_an_error() -> None:
    kind, whole = layer((LIBC, libc("2.36") * 10_000), kind=LAYER_GZIP)
    data = whole().read()
    with pytest.raises(PackageError, match="cannot be read"):
        facts((kind, partial(io.BytesIO, data[:300] + b"\xff" * 100 + data[400:])))


def test_a_layer_is_read_to_its_end() -> None:
    kind, whole = layer((LIBC, libc("2.36")), kind=LAYER_GZIP)
    trailing = whole().read() + gzip.compress(b"\0" * 5_000_000)
    with tempfile.TemporaryFile() as kept:
        kept.write(trailing)
        kept.seek(0)
        read_facts([(kind, lambda: nullcontext(kept))], "linux-64", PREFIX)  # type: ignore[list-item,return-value]
        assert kept.tell() == len(trailing)


def test_memory_stays_flat() -> None:
    members = [(f"usr/share/doc/{number}/copyright", b"") for number in range(5_000)]
    big = layer(*members)
    tracemalloc.start()
    try:
        facts(big)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_the_sample_image(world: Any) -> None:
    layout = world.root / "base" / "blobs" / "sha256"
    index = json.loads((world.root / "base" / "index.json").read_text())
    named = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}
    entry = next(entry for name, entry in named.items() if name.startswith("debian"))
    manifest = Manifest.from_bytes((layout / Digest.parse(entry["digest"]).hex).read_bytes(), "sample")
    layers = [(blob.media_type, (layout / blob.digest.hex).open) for blob in manifest.layers]
    found = read_facts([(kind, partial(opener, "rb")) for kind, opener in layers], "linux-64", PREFIX)
    assert found == BaseFacts("linux-64", "2.36", "debian 12", None)


def test_what_is_known_of_a_layer_survives_a_trace() -> None:
    for members in (
        [(LIBC, libc("2.36")), ("lib", "usr/lib"), ("etc/os-release", DEBIAN)],
        [("opt/prebake/.wh.env", b""), ("etc/.wh..wh..opq", b""), ("opt/prebake/env/bin/python", b"")],
    ):
        changes = read_changes(*layer(*members), PREFIX)
        assert changes.plain and Changes.from_json(json.loads(json.dumps(changes.to_json()))) == changes
    assert not read_changes(*layer(("opt/prebake/env/b\udcffn", b"")), PREFIX).plain


def test_a_layer_that_images_share_is_read_once(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    images = [layer((LIBC, libc("2.36"))), layer(("etc/os-release", DEBIAN)), layer(("opt/prebake/env", b""))]
    served = {Digest.of(opener().read()): opener for _, opener in images}
    asked: list[Digest] = []

    def open_blob(digest: Digest) -> IO[bytes]:
        asked.append(digest)
        return served[digest]()

    first, second, third = (Descriptor(PLAIN, digest, 1) for digest in served)
    for layers, owner in (((first, second), None), ((first, second, third), "opt/prebake/env")):
        manifest = Manifest(first, layers)
        found = facts_by_layer(manifest, open_blob, "linux-64", PREFIX, store)
        assert found == BaseFacts("linux-64", "2.36", "debian 12", owner)
    assert asked == [first.digest, second.digest, third.digest]
