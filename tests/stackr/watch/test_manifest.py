"""What differs between two looks at a folder, and which entries a rule is about."""

from stackr.watch.ignore import Patterns
from stackr.watch.manifest import Changes, Kind, Stamp, below, changes_between, stamp_of, topmost
from stackr.watch.rules import Root, Rule

FOLDER = Stamp(Kind.FOLDER, 0o755)


def file(changed: int, mode: int = 0o644) -> Stamp:
    return Stamp(Kind.FILE, mode, 1, changed, 1)


def test_a_removed_folder_is_removed_once() -> None:
    old = {"a": FOLDER, "a/b": file(1), "a-b": file(1), "c": file(1)}
    assert changes_between(old, {"c": file(1)}) == Changes(("a", "a-b"), ())


def test_what_is_new_or_other_is_written_folders_first() -> None:
    old = {"same": file(1), "time": file(1), "mode": file(1), "kind": file(1)}
    new = {"same": file(1), "time": file(2), "mode": file(1, 0o600), "kind": FOLDER}
    new |= {"kind/below": file(1)}
    assert changes_between(old, new) == Changes((), ("kind", "kind/below", "mode", "time"))
    assert not changes_between(old, old)


def test_paths_below_others_are_dropped_by_whole_names() -> None:
    assert topmost(["a/b", "a", "a-", "a/b/c", "b/c"]) == ("a", "a-", "b/c")
    assert topmost(["a", ""]) == ("",)
    assert below({"a": FOLDER, "a/b": file(1), "ab": file(1)}, "a").keys() == {"a", "a/b"}


def test_only_files_folders_and_links_can_be_copied() -> None:
    assert stamp_of(0o104755, 1, 2, 3) == Stamp(Kind.FILE, 0o755, 1, 2, 3)
    assert stamp_of(0o041777, 1, 2, 3) == Stamp(Kind.FOLDER, 0o1777)
    assert stamp_of(0o010644, 0, 2, 3) is None


def rule(**more: object) -> Rule:
    values = {"service": "web", "action": "sync", "folder": "/src", "target": "/app", **more}
    return Rule(**values)  # type: ignore[arg-type]


def test_a_rule_is_about_what_is_below_its_folder() -> None:
    assert rule().relative("/src") == ""
    assert rule().relative("/src/a/b") == "a/b"
    assert rule().relative("/srcs/a") is None
    assert rule().relative("/src/.git/HEAD") is None


def test_ignored_folders_are_not_entered_unless_something_in_them_is_wanted() -> None:
    plain = rule(ignored=(Root("/src", Patterns.of(["out"])),))
    assert not plain.wants("out/a")
    assert not plain.enters("out")
    exceptional = rule(ignored=(Root("/src", Patterns.of(["out", "!out/a"])),))
    assert exceptional.enters("out")
    assert exceptional.wants("out/a")
    outer = rule(ignored=(Root("/", Patterns.of(["src/out"])),))
    assert not outer.wants("out")


def test_with_include_only_what_matches_counts() -> None:
    some = rule(included=Patterns.of(["**/*.py"]))
    assert some.wants("a/b.py")
    assert not some.wants("a/b.txt")
    assert some.enters("a")


def test_one_watched_file_keeps_its_own_name_in_the_target() -> None:
    one = rule(name="a.ini", target_name="b.conf")
    assert one.relative("/src/a.ini") == "a.ini"
    assert one.relative("/src/other") is None
    assert one.placed("a.ini") == "b.conf"
    assert not one.enters("folder")
