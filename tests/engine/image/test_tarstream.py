"""Tar archives, read as Python's own tarfile wrote them, and written as it reads them."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stackr_engine.image.bytesource import ByteSource, Truncated
from stackr_engine.image.tarheader import BadArchive, parse_header, parse_pax
from stackr_engine.image.tarstream import REGULAR, SYMLINK, TarEntry, TarStream
from stackr_engine.image.tarwriter import END, header_of, padded

from tests.engine.image.archives import entry, folder, link, tar

NAMES = st.binary(min_size=1, max_size=300).filter(
    lambda name: b"\0" not in name and not name.endswith(b"/")
)


def read(data: bytes, chunk: int = 1 << 20) -> list[tuple[TarEntry, bytes]]:
    pieces = (data[at : at + chunk] for at in range(0, len(data), chunk))
    stream = TarStream(ByteSource(pieces))
    return [(found, b"".join(stream.data())) for found in stream]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("chunk", [1, 7, 512, 1 << 20])
def test_entries_are_read_whatever_the_chunks(format: int, chunk: int) -> None:
    data = tar(
        folder("d", mtime=5),
        entry("d/f", b"content" * 100, mode=0o4755, uid=1000, gid=2000),
        link("l", "d/f"),
        entry("d" + "/x" * 60 + "/f", b"long"),
        format=format,
    )
    found = read(data, chunk)
    assert [(one.name.rstrip(b"/"), content) for one, content in found] == [
        (b"d", b""),
        (b"d/f", b"content" * 100),
        (b"l", b""),
        (b"d" + b"/x" * 60 + b"/f", b"long"),
    ]
    file = found[1][0]
    assert (file.mode, file.uid, file.gid, file.type) == (0o4755, 1000, 2000, REGULAR)
    assert found[2][0].link == b"d/f"
    assert found[0][0].mtime_ns == 5_000_000_000


def test_data_that_is_not_asked_for_is_passed_over() -> None:
    stream = TarStream(ByteSource(iter([tar(entry("a", b"x" * 5000), entry("b", b"y"))])))
    assert [found.name for found in stream] == [b"a", b"b"]


def test_extended_headers_count_for_one_entry_and_global_ones_for_all() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"uid": "77"}) as archive:
        for info, content in (entry("a", pax_headers={"gid": "5"}), entry("b")):
            archive.addfile(info, io.BytesIO(content))
    assert [(one.uid, one.gid) for one, _ in read(out.getvalue())] == [(77, 5), (77, 0)]


@given(name=NAMES, link=NAMES, size=st.integers(0, 2000), uid=st.integers(0, 2**32 - 2))
@settings(max_examples=150, deadline=None)
def test_what_we_write_we_and_python_read(name: bytes, link: bytes, size: int, uid: int) -> None:
    body = bytes(size)
    xattrs = {b"user.x": name + b"\n="}
    file = TarEntry(name, REGULAR, 0o640, uid, 7, -1_500_000_001, size, b"", 0, 0, size)
    file.xattrs = xattrs
    other = TarEntry(name, SYMLINK, 0o777, 0, 0, 10**9 + 1, 0, link, 0, 0, 0)
    data = header_of(file) + padded(body) + header_of(other) + END
    [(first, content), (second, _)] = read(data)
    assert (first.name, first.uid, first.size, content) == (name, uid, size, body)
    assert (first.mtime_ns, first.xattrs) == (-1_500_000_001, xattrs)
    assert (second.name, second.link, second.mtime_ns) == (name, link, 10**9 + 1)
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        theirs = archive.getmembers()
    assert theirs[0].name.encode("utf-8", "surrogateescape").strip(b"/") == name.strip(b"/")
    assert theirs[0].uid == uid
    assert theirs[1].linkname.encode("utf-8", "surrogateescape") == link


@given(data=st.binary(min_size=0, max_size=2048))
@settings(max_examples=200, deadline=None)
def test_garbage_ends_with_an_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BadArchive):
        read(data + b"\1" * 512)


@given(at=st.integers(0, 3071), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_damaged_archive_is_read_or_refused(at: int, value: int) -> None:
    data = bytearray(tar(entry("n" * 150, b"x" * 100, pax_headers={"uid": "5", "mtime": "1.5"})))
    data[at] = value
    with contextlib.suppress(BadArchive):
        read(bytes(data))


@given(data=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_extended_records_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadArchive):
        parse_pax(data)


def test_numbers_of_base_256_are_read() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info, _ = entry("n", uid=2**31, mtime=-5)
        archive.addfile(info)
    header = parse_header(out.getvalue()[:512])
    assert header is not None
    assert (header.uid, header.mtime_ns) == (2**31, -5_000_000_000)


def test_an_archive_that_is_cut_is_refused() -> None:
    with pytest.raises(Truncated):
        read(tar(entry("a", b"x" * 1000))[:1000])
