"""A quickly read header is the one that `tarfile` reads."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebake.builders.tar_scan import Scanned

_END = (154, 155)  # of the sum: a zero byte and a space, or the other way round
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, *LINKS, tarfile.DIRTYPE])


@st.composite
def members(draw: st.DrawFn) -> tarfile.TarInfo:
    member = tarfile.TarInfo(draw(NAMES))
    member.type = draw(KINDS)
    if member.type in LINKS:
        member.linkname = draw(NAMES)
    elif member.type != tarfile.DIRTYPE:
        member.size = draw(st.sampled_from([0, 1, 512, 8**11 - 1, 1 << 40]))
    return member


def first(block: bytes | bytearray, kind: type[tarfile.TarInfo]) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(block), tarinfo=kind) as archive:
        member = archive.next()
    assert member
    return member


@settings(deadline=None)
@pytest.mark.parametrize("form", FORMATS)
@given(member=members())
def test_headers_are_read_as_tarfile_reads_them(form: int, member: tarfile.TarInfo) -> None:
    try:
        block = member.tobuf(form)
    except ValueError:  # ustar holds no such name or size
        return
    expected, found = first(block, tarfile.TarInfo), first(block, Scanned)
    fields = ("name", "type", "size", "linkname", "offset_data")
    assert [getattr(found, name) for name in fields] == [getattr(expected, name) for name in fields]


@settings(deadline=None)
@given(st.integers(0, 511).filter(lambda place: place not in _END), st.integers(1, 255))
def test_a_damaged_header_is_refused(place: int, change: int) -> None:
    block = bytearray(tarfile.TarInfo("name").tobuf())
    block[place] ^= change
    with pytest.raises(tarfile.ReadError):
        first(block, Scanned)
