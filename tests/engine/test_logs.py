"""Logs are read from both ends and followed through rotation, with each line once."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stackr_engine import logs
from stackr_engine.logs import Record, Span, reading, stamp_for
from stackr_engine.logs.following import Cursor
from stackr_engine.logs.records import parse
from stackr_engine.spawn.log import Log

START = 1_700_000_000_000_000_000


def line(text: str, second: int = 0, stream: str = "stdout") -> str:
    escaped = text.replace("\n", "\\n")
    time = stamp_for(START + second * 1_000_000_000)
    return f'{{"log":"{escaped}","stream":"{stream}","time":"{time}"}}\n'


def texts(records: Iterator[Record]) -> list[str]:
    return [record.text for record in records]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def stop() -> Iterator[int]:
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    yield fd
    os.close(fd)


def test_no_file_is_an_empty_log(log: Path) -> None:
    assert texts(logs.read(log)) == []
    assert texts(logs.read(log, tail=3)) == []


def test_records_carry_time_stream_and_text(log: Path) -> None:
    log.write_text(line("a\n", 1, "stderr"))
    assert list(logs.read(log)) == [Record("2023-11-14T22:13:21.000000000Z", "stderr", "a\n")]


def test_reading_goes_through_rotated_files_oldest_first(log: Path) -> None:
    for name, text in (("log.2", "a\n"), ("log.1", "b\n"), ("log", "c\n")):
        log.with_name(name).write_text(line(text))
    assert texts(logs.read(log)) == ["a\n", "b\n", "c\n"]
    assert texts(logs.read(log, tail=2)) == ["b\n", "c\n"]


@pytest.mark.parametrize("tail", [0, 1, 2, 999, 1000, 1500, 5000])
def test_tail_gives_the_last_lines_also_across_blocks(log: Path, tail: int) -> None:
    filling = "x" * 300
    lines = [f"{number} {filling}\n" for number in range(3000)]
    log.with_name("log.1").write_text("".join(line(text) for text in lines[:1500]))
    log.write_text("".join(line(text) for text in lines[1500:]))
    assert texts(logs.read(log, tail=tail)) == (lines[-tail:] if tail else [])


def test_tail_of_a_huge_log_reads_only_its_end(log: Path) -> None:
    with log.open("wb") as file:
        file.truncate(20 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + (line("before\n") + line("last\n")).encode())
    assert texts(logs.read(log, tail=1)) == ["last\n"]


def test_parts_of_a_long_line_are_one_line_and_one_of_the_tail(log: Path) -> None:
    parts = [line("a"), line("from elsewhere\n", stream="stderr"), line("b"), line("c\n")]
    log.write_text(line("before\n") + "".join(parts) + line("after\n"))
    assert texts(logs.read(log)) == ["before\n", "from elsewhere\n", "abc\n", "after\n"]
    assert texts(logs.read(log, tail=1)) == ["after\n"]


def test_the_last_words_without_newline_are_given_at_the_end(log: Path) -> None:
    log.write_text(line("a\n") + line("prompt> "))
    assert texts(logs.read(log)) == ["a\n", "prompt> "]


def test_since_and_until_bound_the_time(log: Path) -> None:
    log.write_text("".join(line(f"{second}\n", second) for second in range(5)))
    span = Span(stamp_for(START + 1_000_000_000), stamp_for(START + 3_000_000_000))
    assert texts(logs.read(log, span=span)) == ["1\n", "2\n", "3\n"]


def test_a_line_cut_off_by_a_killed_writer_costs_only_itself(log: Path) -> None:
    cut = line("lost\n")[:20]
    log.write_text(line("a\n") + cut + line("b\n") + "garbage\n" + line("c\n") + cut)
    assert texts(logs.read(log)) == ["a\n", "b\n", "c\n"]
    assert parse(b"{}\n") is None


class Follower:
    """Follows in a thread, as commands do."""

    def __init__(self, log: Path, stop: int, tail: int | None = None):
        self.texts: list[str] = []
        self.grew = threading.Condition()
        self.stop = stop
        self.thread = threading.Thread(target=self._run, args=(log, tail))
        self.thread.start()

    def _run(self, log: Path, tail: int | None) -> None:
        for record in logs.follow(log, self.stop, tail):
            with self.grew:
                self.texts.append(record.text)
                self.grew.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self.grew:
            assert self.grew.wait_for(lambda: len(self.texts) >= count, timeout=10), self.texts
        return self.texts

    def end(self) -> list[str]:
        os.eventfd_write(self.stop, 1)
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.texts


def test_a_follower_gets_old_lines_then_new_ones(log: Path, stop: int) -> None:
    log.write_text(line("a\n") + line("b\n"))
    follower = Follower(log, stop, tail=1)
    assert follower.wait_for(1) == ["b\n"]
    with log.open("a") as file:
        file.write(line("c\n"))
    assert follower.wait_for(2) == ["b\n", "c\n"]
    assert follower.end() == ["b\n", "c\n"]


def test_a_follower_waits_for_a_file_that_comes_later(log: Path, stop: int) -> None:
    follower = Follower(log, stop)
    log.write_text(line("a\n"))
    assert follower.wait_for(1) == ["a\n"]
    follower.end()


def test_what_was_written_before_the_stop_is_complete(log: Path, stop: int) -> None:
    os.eventfd_write(stop, 1)
    log.write_text(line("a\n") + line("no end"))
    assert texts(logs.follow(log, stop)) == ["a\n", "no end"]


def test_a_follower_ends_when_the_folder_goes_away(tmp_path: Path, stop: int) -> None:
    folder = tmp_path / "container"
    folder.mkdir()
    log = folder / "log"
    log.write_text(line("a\n"))
    follower = Follower(log, stop)
    follower.wait_for(1)
    folder.rename(tmp_path / "trash")
    follower.thread.join(10)
    assert not follower.thread.is_alive()


def test_a_follower_of_no_folder_ends_at_once(tmp_path: Path, stop: int) -> None:
    assert texts(logs.follow(tmp_path / "nowhere" / "log", stop)) == []


def test_a_follower_ends_when_until_is_over(log: Path, stop: int) -> None:
    log.write_text(line("a\n") + line("b\n", 10))
    assert texts(logs.follow(log, stop, span=Span(until=stamp_for(START)))) == ["a\n"]
    assert texts(logs.follow(log, stop, span=Span(until=stamp_for(START + 11 * 10**9)))) == [
        "a\n",
        "b\n",
    ]


@pytest.mark.parametrize("max_file", [2, 3, 5])
def test_followers_lose_and_double_nothing_while_the_writer_rotates(
    log: Path, max_file: int
) -> None:
    count = 3000
    stops = [os.eventfd(0, os.EFD_CLOEXEC) for _ in range(3)]
    followers = [Follower(log, stop) for stop in stops]
    writer = Log(str(log), max_size=40_000, max_file=max_file)
    for number in range(count):
        writer.write("stdout", f"{number}\n".encode())
        if number % 100 == 0:  # a follower may be one file behind, not all of them
            for follower in followers:
                follower.wait_for(number - 100)
    writer.finish()
    expected = [f"{number}\n" for number in range(count)]
    for follower in followers:
        assert follower.end() == expected
    for stop in stops:
        os.close(stop)


def rotated(log: Path, text: str, keep: int) -> None:
    for number in range(keep - 1, 0, -1):
        older = log if number == 1 else log.with_name(f"log.{number - 1}")
        if older.exists():
            older.rename(log.with_name(f"log.{number}"))
    log.write_text(line(text))


def test_one_who_is_several_files_behind_gets_them_all_in_order(log: Path) -> None:
    log.write_text(line("a\n"))
    with Cursor(log) as cursor:
        assert len(list(cursor.begin(None))) == 1
        with log.open("a") as file:
            file.write(line("b\n"))
        for text in ("c\n", "d\n", "e\n"):
            rotated(log, text, keep=5)
        assert [parse(one).text for one in cursor.new_lines()] == ["b\n", "c\n", "d\n", "e\n"]  # type: ignore[union-attr]
        assert list(cursor.new_lines()) == []


def test_one_whose_file_was_thrown_away_goes_on_with_the_oldest(log: Path) -> None:
    log.write_text(line("a\n"))
    with Cursor(log) as cursor:
        list(cursor.begin(None))
        for text in ("b\n", "c\n", "d\n"):
            rotated(log, text, keep=2)
        assert [parse(one).text for one in cursor.new_lines()] == ["c\n", "d\n"]  # type: ignore[union-attr]


def test_a_file_renamed_while_the_log_is_opened_is_read_once(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_text(line("a\n"))
    opening = reading._open

    def open_and_rotate(name: str) -> int | None:
        fd = opening(name)
        if name == str(log):
            rotated(log, "b\n", keep=3)
        return fd

    monkeypatch.setattr(reading, "_open", open_and_rotate)
    assert texts(logs.read(log)) == ["a\n"]


def test_a_follower_goes_on_in_a_file_that_was_emptied(log: Path, stop: int) -> None:
    log.write_text(line("a\n") + line("b\n"))
    follower = Follower(log, stop)
    follower.wait_for(2)
    log.write_text(line("c\n"))
    assert follower.wait_for(3) == ["a\n", "b\n", "c\n"]
    follower.end()
