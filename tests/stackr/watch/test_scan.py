"""Reading a watched folder."""

from pathlib import Path

from stackr.watch.ignore import Patterns
from stackr.watch.rules import Root, Rule
from stackr.watch.scan import look, real_places, scan


def test_what_is_heard_of_a_folder_that_became_a_link_is_about_the_link(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    assert real_places(str(tmp_path), {"a/b/c", "link/b/c", "gone/b", ""}) == {
        *("a/b/c", "link", "gone", "")
    }


def test_a_scan_follows_no_links_and_tells_folders_before_reading_them(tmp_path: Path) -> None:
    (tmp_path / "a/empty").mkdir(parents=True)
    (tmp_path / "a/file").write_text("")
    (tmp_path / "link").symlink_to("./a")
    (tmp_path / "left/out").mkdir(parents=True)
    ignored = (Root(str(tmp_path), Patterns.of(["left"])),)
    rule = Rule("web", "sync", str(tmp_path), "/app", ignored=ignored)
    entered: list[str] = []

    def enter(folder: str) -> None:
        entered.append(folder)
        (tmp_path / "a/late").touch()

    assert scan(rule, "", enter).keys() == {"a", "a/empty", "a/file", "a/late", "link"}
    assert set(entered) == {str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/a/empty"}
    assert look(f"{tmp_path}/link").link == "./a"  # type: ignore[union-attr]
    assert look(f"{tmp_path}/gone") is None
