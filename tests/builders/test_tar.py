"""Layer tars: `tarfile` reads back what was written, whatever the entries and the compression."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip

from prebake.builders.encode import ENCODERS
from prebake.builders.entry import FIXED_MTIME, Entry, Symlink
from prebake.builders.listings import refuse_clobbers
from prebake.builders.tar import LayerWriter, TarResult
from prebake.builders.tar_header import header
from prebake.cache.digest import DiffId, Digest
from prebake.errors import IntegrityError

KIB = 1 << 10


@dataclass(frozen=True)
class Written:
    result: TarResult
    packed: bytes
    tar: bytes

    def members(self) -> list[tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(self.tar)) as archive:
            return archive.getmembers()

    def content(self, path: str) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(self.tar)) as archive:
            stream = archive.extractfile(path)
            assert stream
            return stream.read()


def write(entries: list[Entry], compression: str = "gzip") -> Written:
    packed = bytearray()
    result = LayerWriter(ENCODERS[compression](packed.extend)).write_all(entries)
    return Written(result, bytes(packed), unpack(bytes(packed), compression))


def unpack(packed: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return igzip.decompress(packed)
    return zstandard.ZstdDecompressor().stream_reader(packed).read()


def text_of(size: int) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/")
    return st.text(letters, min_size=1, max_size=size).filter(lambda text: text not in (".", ".."))


# File names end at 255 bytes; four bytes a letter at most.
NAMES = st.one_of(text_of(8), text_of(60), st.integers(90, 255).map(lambda size: "n" * size))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SIZES = st.one_of(
    st.integers(0, 40),
    st.sampled_from([511, 512, 513, 1024, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB + 512]),
)
CONTENTS = st.one_of(
    st.builds(lambda size, seed: bytes([seed]) * size, SIZES, st.integers(0, 255)),
    st.one_of(PATHS, st.just("t" * 130)).map(Symlink),
)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    """Files of one tree: no path is a folder of another."""
    paths = draw(st.lists(PATHS, max_size=6, unique=True))
    apart = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    return [draw(entries_at(path)) for path in apart]


def entries_at(path: str) -> st.SearchStrategy[Entry]:
    def make(content: bytes | Symlink, executable: bool, mtime: int) -> Entry:
        size = 0 if isinstance(content, Symlink) else len(content)
        return Entry(path, content, size, executable, mtime, "owner")

    return st.builds(make, CONTENTS, st.booleans(), st.integers(0, 8**11 - 1))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@settings(max_examples=60, deadline=None)
@given(entries=entry_lists())
def test_tarfile_reads_back_what_was_written(compression: str, entries: list[Entry]) -> None:
    written = write(entries, compression)
    files = [member for member in written.members() if not member.isdir()]
    found = [(m.name, m.linkname, m.size, m.mode, m.mtime) for m in files]
    expected = sorted(entries, key=lambda entry: entry.path)
    assert found == [(e.path, link_of(e), e.size, e.mode, e.mtime) for e in expected]
    for entry in entries:
        if isinstance(entry.content, bytes):
            assert written.content(entry.path) == entry.content


def link_of(entry: Entry) -> str:
    return entry.content.target if isinstance(entry.content, Symlink) else ""


@settings(max_examples=40, deadline=None)
@given(entries=entry_lists(), data=st.data())
def test_a_layer_is_a_function_of_its_entries(entries: list[Entry], data: st.DataObject) -> None:
    written = write(entries)
    assert written.result.diff_id == DiffId.parse(str(Digest.of(written.tar)))
    shuffled = write(data.draw(st.permutations(entries)))
    assert (shuffled.packed, shuffled.result) == (written.packed, written.result)
    members = written.members()
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} <= {(0, 0, "", "")}
    names = [member.name for member in members]
    assert len(set(names)) == len(names)
    parents = {name.rpartition("/")[0] for name in names} - {""}
    folders = [member for member in members if member.isdir()]
    assert {folder.name for folder in folders} == parents
    assert {(folder.mode, folder.mtime) for folder in folders} <= {(0o755, FIXED_MTIME)}
    inner = [name for name in names if "/" in name]
    assert all(names.index(name.rpartition("/")[0]) < names.index(name) for name in inner)


def test_both_compressions_hold_the_same_tar() -> None:
    entries = [Entry("a/b", b"x" * 70_000, 70_000), Entry("a/c", Symlink("b"), 0)]
    assert write(entries, "gzip").result == write(entries, "zstd").result


@pytest.mark.parametrize("size", [0, 1, 511, 512, (1 << 33) - 1, 1 << 33, 1 << 40])
@pytest.mark.parametrize(
    "path", ["a", "ü" * 50, "ü" * 51, "d/" * 70 + "f", "p" * 155 + "/" + "n" * 100, "x" * 256]
)
@pytest.mark.parametrize("link", ["", "l" * 100, "l" * 101, "ö" * 60])
def test_headers_are_what_tarfile_understands(path: str, size: int, link: str) -> None:
    block = header(path, b"2" if link else b"0", 0o755, 0 if link else size, 1_700_000_000, link)
    found = tarfile.TarInfo.frombuf(block[-512:], "utf-8", "surrogateescape")
    assert found.chksum == sum(block[-512:]) - sum(block[-512:][148:156]) + 8 * 0x20
    with tarfile.open(fileobj=io.BytesIO(block + bytes(1024))) as archive:
        member = archive.next()
    assert member
    expected = (path, link, 0 if link else size, 0o755, 1_700_000_000)
    assert (member.name, member.linkname, member.size, member.mode, member.mtime) == expected


def test_times_before_1970_and_after_2242_are_clamped() -> None:
    entries = [Entry("a", b"", 0, mtime=-5), Entry("b", b"", 0, mtime=1 << 40)]
    assert [member.mtime for member in write(entries).members()] == [0, 8**11 - 1]


def test_names_are_utf8_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsencode", lambda name: name.encode("latin-1"))
    assert write([Entry("é", Symlink("ü"), 0)]).tar.startswith("é".encode())


def test_files_are_read_from_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"z" * 3_000_000)
    assert write([Entry("f", tmp_path / "file", 3_000_000)]).content("f") == b"z" * 3_000_000


def test_a_file_that_shrank_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    with pytest.raises(IntegrityError, match="changed while it was read"):
        write([Entry("f", tmp_path / "file", 600)])


def test_equal_entries_of_two_packages_are_written_once_and_listed_twice() -> None:
    one = Entry("share/x", b"same", 4, owner="a-1.0")
    written = write([one, replace(one, owner="b-1.0"), Entry("share/y", b"", 0)])
    assert [member.name for member in written.members()] == ["share", "share/x", "share/y"]
    marks = [line.split("\t")[1:3] for line in written.result.listing.decode().splitlines()[:2]]
    assert marks[0] == marks[1]


def test_the_listing_tells_contents_apart() -> None:
    first, second = (write([Entry("x", data, 1, owner="p")]).result.listing for data in (b"1", b"2"))
    assert first != second and first.split(b"\t")[::3] == second.split(b"\t")[::3] == [b"x", b"p"]


def test_a_path_with_a_line_end_stays_one_line_of_the_listing() -> None:
    listing = write([Entry("a\nb\u2028c", b"", 0, owner="p")]).result.listing
    assert listing.count(b"\n") == 0
    refuse_clobbers([listing, listing])
