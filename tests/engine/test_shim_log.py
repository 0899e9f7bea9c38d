"""The writing side of a container's log."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stackr_engine.spawn import log
from stackr_engine.spawn.log import LONGEST, Log


def write(path: Path, chunks: Iterable[bytes], **options: int) -> list[str]:
    """Write chunks as they come from one stream; return the texts of the records."""
    sink = Log(str(path), **options)
    for chunk in chunks:
        sink.write("stdout", chunk)
    sink.finish()
    return texts(path)


def texts(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [json.loads(line)["log"] for line in path.read_bytes().splitlines()]


def test_a_line_in_pieces_is_one_record(tmp_path: Path) -> None:
    assert write(tmp_path / "log", [b"a", b"b\nc", b"\n"]) == ["ab\n", "c\n"]


def test_last_line_without_newline_is_kept(tmp_path: Path) -> None:
    assert write(tmp_path / "log", [b"a\nend"]) == ["a\n", "end"]


def test_streams_do_not_mix(tmp_path: Path) -> None:
    sink = Log(str(tmp_path / "log"))
    for stream, data in (("stdout", b"ou"), ("stderr", b"er\n"), ("stdout", b"t\n")):
        sink.write(stream, data)
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(r["stream"], r["log"]) for r in records] == [("stderr", "er\n"), ("stdout", "out\n")]


def test_long_line_comes_in_parts_of_16_kib(tmp_path: Path) -> None:
    found = write(tmp_path / "log", [b"x" * 40000 + b"\nshort\n"])
    assert [len(text) for text in found] == [LONGEST, LONGEST, 40001 - 2 * LONGEST, 6]


def test_parts_never_cut_a_character(tmp_path: Path) -> None:
    text = "é" * 20000 + "€" * 10000 + "\n"
    found = write(tmp_path / "log", [text.encode()])
    assert "".join(found) == text
    assert max(len(part.encode()) for part in found) <= LONGEST


def test_carriage_returns_and_separators_do_not_end_a_line(tmp_path: Path) -> None:
    text = "a\rb\x0bc\u2028d\n"
    assert write(tmp_path / "log", [text.encode()]) == [text]


def test_a_full_disk_does_not_raise() -> None:
    sink = Log("/dev/full")
    sink.write("stdout", b"lost\n")
    sink.finish()


def test_one_write_for_a_batch_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = log.os.write
    monkeypatch.setattr(log.os, "write", lambda fd, data: calls.append(data) or real(fd, data))
    write(tmp_path / "log", [b"a\n" * 500])
    assert len(calls) == 1


def test_rotation_with_one_file_starts_again(tmp_path: Path) -> None:
    found = write(tmp_path / "log", [b"%04d\n" % n for n in range(100)], max_size=1000)
    assert found[-1] == "0099\n"
    assert (tmp_path / "log").stat().st_size <= 1000
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_size_of_an_existing_log_counts(tmp_path: Path) -> None:
    write(tmp_path / "log", [b"x" * 100 + b"\n"] * 5, max_size=1000, max_file=2)
    write(tmp_path / "log", [b"y" * 100 + b"\n"] * 3, max_size=1000, max_file=2)
    assert (tmp_path / "log.1").exists()


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_every_byte_arrives_in_order(chunks: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = write(Path(folder, "log"), chunks)
    lines = b"".join(chunks).split(b"\n")
    wanted = [line.decode(errors="replace") + "\n" for line in lines[:-1]]
    wanted += [lines[-1].decode(errors="replace")] if lines[-1] else []
    assert found == wanted
