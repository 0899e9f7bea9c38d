"""One inotify instance wakes those whom a change concerns, and nobody else."""

import os
import select
from pathlib import Path

import pytest
from stackr_engine.inotify import IN_CREATE, IN_MODIFY, Inotify, Watcher


def is_readable(fd: int, seconds: float) -> bool:
    return bool(select.select([fd], [], [], seconds)[0])


def test_events_say_what_happened_to_which_name(tmp_path: Path) -> None:
    inotify = Inotify()
    watch = inotify.add(str(tmp_path), IN_CREATE | IN_MODIFY)
    (tmp_path / "a file").write_text("x")
    events = inotify.read()
    os.close(inotify.fd)
    assert [(event.watch, event.mask, event.name) for event in events] == [
        (watch, IN_CREATE, "a file"),
        (watch, IN_MODIFY, "a file"),
    ]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"), Watcher().watch(tmp_path / "nothing"):
        pass


def test_a_change_wakes_all_who_watch_the_folder_and_no_other(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    watcher = Watcher()
    with watcher.watch(here) as one, watcher.watch(here) as two, watcher.watch(there) as other:
        (here / "file").touch()
        assert is_readable(one.fd, 5)
        assert is_readable(two.fd, 5)
        assert not is_readable(other.fd, 0.05)
        one.clear()
        assert not is_readable(one.fd, 0.05)


def test_one_may_leave_while_another_stays(tmp_path: Path) -> None:
    watcher = Watcher()
    with watcher.watch(tmp_path) as one:
        with watcher.watch(tmp_path):
            pass
        (tmp_path / "file").touch()
        assert is_readable(one.fd, 5)


def test_the_end_of_a_folder_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    watcher = Watcher()
    with watcher.watch(folder) as one:
        folder.rmdir()
        assert is_readable(one.fd, 5)
        assert one.is_gone


def test_more_can_watch_than_a_user_has_instances(tmp_path: Path) -> None:
    watcher = Watcher()
    subscriptions = []
    for number in range(300):
        folder = tmp_path / str(number)
        folder.mkdir()
        context = watcher.watch(folder)
        subscriptions.append((folder, context, context.__enter__()))
    for folder, _, _ in subscriptions:
        (folder / "file").touch()
    assert all(is_readable(subscription.fd, 5) for _, _, subscription in subscriptions)
    for _, context, _ in subscriptions:
        context.__exit__(None, None, None)
