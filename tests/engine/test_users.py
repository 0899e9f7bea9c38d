"""Who a container's process runs as, by the container's own files."""

import os
from pathlib import Path

import pytest
from stackr_engine.spawn.users import Unknown, look_up, user_for

PASSWD = [
    ["root", "x", "0", "0", "root", "/root", "/bin/sh"],
    ["bob", "x", "1000", "1001", "", "/home/bob", "/bin/sh"],
    ["777", "x", "5", "6", "", "/number", ""],
    ["bad", "x", "nan", "0", "", "/", ""],
]
GROUP = [
    ["root", "x", "0", ""],
    ["bob", "x", "1001", ""],
    ["extra", "x", "50", "alice,bob"],
    ["wheel", "x", "10", "root"],
]


@pytest.mark.parametrize(
    ("spec", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, [0, 10], "/root"),
        ("root", 0, 0, [0, 10], "/root"),
        ("bob", 1000, 1001, [1001, 50], "/home/bob"),
        ("1000", 1000, 1001, [1001, 50], "/home/bob"),
        ("bob:extra", 1000, 50, [50], "/home/bob"),
        ("bob:7", 1000, 7, [7], "/home/bob"),
        ("4242", 4242, 0, [0], "/"),
        ("4242:4243", 4242, 4243, [4243], "/"),
        ("777", 5, 6, [6], "/number"),
        (":extra", 0, 50, [50], "/root"),
    ],
)
def test_user_as_docker_reads_it(
    spec: str, uid: int, gid: int, groups: list[int], home: str
) -> None:
    user = user_for(spec, [], PASSWD, GROUP)
    assert (user.uid, user.gid, user.groups, user.home) == (uid, gid, groups, home)


def test_further_groups_by_name_and_number() -> None:
    assert user_for("bob", ["wheel", "99", "extra"], PASSWD, GROUP).groups == [1001, 50, 10, 99]


@pytest.mark.parametrize(
    ("spec", "extra", "text"),
    [
        ("eve", [], "unable to find user eve"),
        ("bob:nogroup", [], "unable to find group nogroup"),
        ("bob", ["nogroup"], "unable to find group nogroup"),
        ("4294967295", [], "in range"),
        ("0:2147483648", [], "in range"),
        ("bad", [], "unable to find user bad"),
        ("-1", [], "unable to find user -1"),
    ],
)
def test_unknown_ones_are_refused(spec: str, extra: list[str], text: str) -> None:
    with pytest.raises(Unknown, match=text):
        user_for(spec, extra, PASSWD, GROUP)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


def find(root: Path, spec: str) -> tuple[int, int, str]:
    fd = os.open(root, os.O_RDONLY)
    try:
        user = look_up(fd, spec, [])
    finally:
        os.close(fd)
    return user.uid, user.gid, user.home


def test_files_with_comments_short_lines_and_bad_bytes(root: Path) -> None:
    (root / "etc/passwd").write_bytes(
        b"# no\n\nshort:x\n\xff\xfe:x:1:1::/:\nbob:x:9:8::/b:/bin/sh\n"
    )
    assert find(root, "bob") == (9, 8, "/b")


def test_no_files_at_all(root: Path) -> None:
    assert find(root, "") == (0, 0, "/")
    assert find(root, "12:13") == (12, 13, "/")


def test_links_of_the_image_do_not_lead_to_the_hosts_files(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("eve:x:666:666::/:\n")
    (root / "etc/passwd").symlink_to(tmp_path / "secret")
    with pytest.raises(Unknown):
        find(root, "eve")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("../../secret")
    with pytest.raises(Unknown):
        find(root, "eve")


def test_link_inside_the_image_is_followed(root: Path) -> None:
    (root / "usr").mkdir()
    (root / "usr/passwd").write_text("eve:x:666:667::/e:\n")
    (root / "etc/passwd").symlink_to("/usr/passwd")
    assert find(root, "eve") == (666, 667, "/e")


@pytest.mark.parametrize("kind", ["pipe", "folder", "zero"])
def test_what_is_no_regular_file_counts_as_empty(root: Path, kind: str) -> None:
    path = root / "etc/passwd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert find(root, "3") == (3, 0, "/")
