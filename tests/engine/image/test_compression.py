"""Compressed streams: told by their first bytes, whole, in members, damaged."""

import gzip
import itertools
import sys
from collections.abc import Iterator

import pytest
from stackr_engine.image.compression import compressed, decompressed
from stackr_engine.image.pipeline import Sha256, prefetched
from stackr_engine.image.tarheader import BadArchive

from tests.engine.image.archives import sha256

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b"line %d\n" % number for number in range(50_000))


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def plain(data: bytes, size: int = 1000) -> bytes:
    return b"".join(decompressed(cut(data, size)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["-", "gzip", "zstd"])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_a_stream_is_unpacked_whatever_the_chunks(pack: type[bytes], size: int) -> None:
    text = TEXT if size > 1 else TEXT[:2000]
    assert plain(pack(text), size) == text


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_several_members_make_one_stream(pack: type[bytes]) -> None:
    assert plain(pack(TEXT) + pack(b"") + pack(b"end")) == TEXT + b"end"


def test_zeros_behind_gzip_are_padding() -> None:
    assert plain(gzip.compress(TEXT) + bytes(5000)) == TEXT


def test_a_skippable_zstd_frame_is_skipped() -> None:
    frame = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    assert plain(frame + zstd.compress(TEXT)) == TEXT


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_stream_that_is_cut_or_damaged_is_refused(pack: type[bytes]) -> None:
    data = pack(TEXT)
    with pytest.raises(BadArchive, match="ends too early"):
        plain(data[:-10])
    with pytest.raises(BadArchive, match="damaged"):
        plain(data[: len(data) // 2] + b"garbage" * 10 + data[len(data) // 2 :])


def test_a_bomb_is_unpacked_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    for piece in itertools.islice(decompressed(iter([bomb])), 5):
        assert len(piece) <= 1 << 20


def test_what_is_compressed_is_the_same_at_any_time() -> None:
    packed = b"".join(compressed(cut(TEXT, 1000)))
    assert packed[4:8] == bytes(4)  # where gzip may have the time
    assert gzip.decompress(packed) == TEXT


def test_chunks_pass_through_threads_in_order() -> None:
    digest = Sha256()
    assert b"".join(digest.of(prefetched(cut(TEXT, 777)))) == TEXT
    assert digest.digest() == sha256(TEXT)
    assert digest.size == len(TEXT)


def test_an_error_in_a_thread_reaches_the_reader() -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise BadArchive("broken")

    with pytest.raises(BadArchive, match="broken"):
        list(prefetched(broken()))


def test_a_reader_that_gives_up_ends_the_thread() -> None:
    import threading

    before = threading.active_count()
    stream = prefetched(iter([b"x"] * 1000))
    next(stream)
    stream.close()
    assert threading.active_count() == before
