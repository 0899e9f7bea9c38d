"""Trash: gone at once, deleted later, and nothing else with it."""

import os
import time
from pathlib import Path

from stackr_engine import trash
from stackr_engine.paths import Paths
from stackr_engine.trash import delete_tree


def test_what_is_discarded_is_gone_at_once_and_deleted_soon(paths: Paths, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below/file").write_text("x")
    trash.discard(paths, folder)
    assert not folder.exists()
    trash.wait(paths)
    assert list(paths.trash.iterdir()) == []


def test_deleting_gives_way_to_a_command_but_not_to_who_waits_for_it(
    paths: Paths, tmp_path: Path
) -> None:
    trash.give_way(paths)
    (tmp_path / "folder").mkdir()
    trash.discard(paths, tmp_path / "folder")
    time.sleep(0.1)
    assert list(paths.trash.iterdir()) != []
    began = time.monotonic()
    trash.wait(paths)
    assert list(paths.trash.iterdir()) == []
    assert time.monotonic() - began < 0.8


def test_a_missing_path_is_fine(paths: Paths, tmp_path: Path) -> None:
    trash.discard(paths, tmp_path / "missing")


def test_a_new_process_deletes_what_a_killed_one_left(paths: Paths) -> None:
    (paths.trash / "left/below").mkdir(parents=True)
    trash.resume(paths)
    trash.wait(paths)
    assert list(paths.trash.iterdir()) == []


def test_links_are_deleted_and_not_followed(paths: Paths, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    folder = tmp_path / "folder"
    folder.mkdir()
    os.symlink(outside, folder / "link")
    trash.discard(paths, folder)
    trash.wait(paths)
    assert (outside / "file").exists()


def test_a_very_deep_tree_is_deleted(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    delete_tree(top)
    assert list(tmp_path.iterdir()) == []
