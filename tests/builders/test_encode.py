"""Deflate data spliced from a zip is the same content as compressed afresh; damaged data is refused."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip

from prebake.builders.encode import DEFLATED, ENCODERS, inflate, read_packed
from prebake.builders.entry import Entry, ZipMember
from prebake.builders.tar import SPLICE_FROM, LayerWriter, TarResult
from prebake.errors import PackageError

SIZES = st.sampled_from([0, 1, SPLICE_FROM - 1, SPLICE_FROM, SPLICE_FROM + 1, 1 << 17, (1 << 20) + 512])
# What compresses well, badly and not at all.
CONTENTS = st.builds(
    lambda size, letters, seed: bytes(random.Random(seed).choices(letters, k=size)),
    SIZES,
    st.sampled_from([b"\0", b"ab", bytes(range(256))]),
    st.integers(0, 99),
)


def zipped(path: Path, contents: list[bytes], level: int = 6, method: int = DEFLATED) -> list[Entry]:
    """Entries whose content lies in the zip at `path`."""
    with zipfile.ZipFile(path, "w", method, compresslevel=level) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"m{number}", content)
        items = archive.infolist()
    return [Entry(item.filename, place_of(path, item), item.file_size, owner="w") for item in items]


def place_of(path: Path, item: zipfile.ZipInfo) -> ZipMember:
    offset = item.header_offset + 30 + len(item.filename)
    return ZipMember(path, item.compress_type, offset, item.compress_size, item.CRC)


def write(entries: list[Entry], compression: str) -> tuple[TarResult, bytes]:
    packed = bytearray()
    return LayerWriter(ENCODERS[compression](packed.extend)).write_all(entries), bytes(packed)


def unpack(packed: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return igzip.decompress(packed)
    return zstandard.ZstdDecompressor().stream_reader(packed).read()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zip") / "wheel.whl"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@settings(max_examples=30, deadline=None)
@given(contents=st.lists(CONTENTS, max_size=4), level=st.sampled_from([1, 6, 9]))
def test_members_equal_freshly_compressed_content(
    archive: Path, compression: str, contents: list[bytes], level: int
) -> None:
    members = zipped(archive, contents, level)
    fresh = [replace(entry, content=data) for entry, data in zip(members, contents, strict=True)]
    (spliced, packed), (compressed, other) = write(members, compression), write(fresh, compression)
    assert spliced == compressed
    assert unpack(packed, compression) == unpack(other, compression)


@pytest.mark.parametrize("compression", sorted(ENCODERS))
@pytest.mark.parametrize("cuts", [[1 << 20], [5, 1 << 20], [700_000] * 3, [4096] * 600], ids=len)
def test_how_bytes_are_cut_into_writes_changes_nothing(cuts: list[int], compression: str) -> None:
    """A read from a file may come back short on any day; the layer's digest must not notice."""
    data = random.Random(1).randbytes(1 << 19) * 5
    whole, pieces = bytearray(), bytearray()
    one, other = ENCODERS[compression](whole.extend), ENCODERS[compression](pieces.extend)
    one.write(data)
    one.close()
    stream = io.BytesIO(data)
    for size in [*cuts, len(data)]:
        other.write(stream.read(size))
    other.close()
    assert pieces == whole
    assert unpack(bytes(pieces), compression) == data


def test_deflate_data_is_taken_over_verbatim(archive: Path) -> None:
    noise = random.Random(1).randbytes(SPLICE_FROM)
    [entry] = zipped(archive, [noise], level=9)
    assert isinstance(entry.content, ZipMember)
    packed = b"".join(read_packed(entry.content))
    assert packed in write([entry], "gzip")[1]


def test_every_reader_takes_the_members(archive: Path) -> None:
    contents = [b"a" * (SPLICE_FROM * 2), b"b", b"c" * SPLICE_FROM]
    _, packed = write(zipped(archive, contents), "gzip")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        found = [stream.read() for member in tar if (stream := tar.extractfile(member))]
    assert found == contents


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, DEFLATED])
@pytest.mark.parametrize("size", [100, SPLICE_FROM + 100])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_wrong_crc_is_refused(archive: Path, method: int, size: int, compression: str) -> None:
    [entry] = zipped(archive, [b"x" * size], method=method)
    assert isinstance(entry.content, ZipMember)
    damaged = replace(entry, content=replace(entry.content, crc=entry.content.crc ^ 1))
    with pytest.raises(PackageError, match="a wheel is corrupt"):
        write([damaged], compression)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7), size=st.sampled_from([50, SPLICE_FROM * 2]))
def test_a_flipped_bit_never_goes_unnoticed(archive: Path, position: int, bit: int, size: int) -> None:
    content = random.Random(2).randbytes(size)
    [entry] = zipped(archive, [content])
    assert isinstance(entry.content, ZipMember)
    data = bytearray(archive.read_bytes())
    data[entry.content.offset + position % entry.content.packed_size] ^= 1 << bit
    archive.write_bytes(data)
    try:
        found = b"".join(inflate(entry.content, size))
    except PackageError:
        return
    assert found == content  # a bit that deflate does not look at, behind its last block


@pytest.mark.parametrize("size", [100, SPLICE_FROM * 2])
def test_a_member_that_ends_early_is_refused(archive: Path, size: int) -> None:
    [entry] = zipped(archive, [random.Random(3).randbytes(size)])
    archive.write_bytes(archive.read_bytes()[: size // 2])
    with pytest.raises(PackageError, match="a wheel is corrupt"):
        write([entry], "gzip")


def test_a_size_that_lies_is_refused(archive: Path) -> None:
    [entry] = zipped(archive, [b"x" * 1000])
    with pytest.raises(PackageError, match="a wheel is corrupt"):
        write([replace(entry, size=999)], "gzip")
