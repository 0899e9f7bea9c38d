"""The file that says what a container was given."""

from pathlib import Path

from stackr.watch.manifest import Kind, Stamp
from stackr.watch.record import UNKNOWN, Record

STAMP = Stamp(Kind.FILE, 0o644, 1, 2, 3)
LINK = Stamp(Kind.LINK, 0, link="a\udcff")


def test_what_was_noted_is_found_again(tmp_path: Path) -> None:
    record = Record(tmp_path / "file")
    record.note("rule", {"a": UNKNOWN, "b": LINK, "gone": STAMP})
    record.note("rule", {"a": STAMP, "gone": None})
    record.begin("empty")
    record.close()
    again = Record(tmp_path / "file")
    again.close()
    assert again.manifests == {"rule": {"a": STAMP, "b": LINK}, "empty": {}}


def test_a_line_that_was_cut_short_ends_the_file(tmp_path: Path) -> None:
    record = Record(tmp_path / "file")
    record.note("rule", {"a": STAMP})
    record.close()
    with (tmp_path / "file").open("a") as stream:
        stream.write('["rule", "b", ["f", 4')
    again = Record(tmp_path / "file")
    again.note("rule", {"c": STAMP})
    again.close()
    last = Record(tmp_path / "file")
    last.close()
    assert last.manifests == {"rule": {"a": STAMP, "c": STAMP}}
