"""Patterns as in `.dockerignore` files."""

import pytest

from stackr.watch.ignore import TEMPORARY, Patterns

CASES = [
    ("node_modules", "node_modules", True),
    ("node_modules/", "node_modules/x/y", True),
    ("node_modules", "sub/node_modules", False),
    ("/node_modules", "node_modules", True),
    ("./build", "build/x", True),
    ("**/node_modules", "node_modules", True),
    ("**/node_modules", "a/b/node_modules/c", True),
    ("*.log", "a.log", True),
    ("*.log", "sub/a.log", False),
    ("**/*.log", "sub/a.log", True),
    ("sub/*", "sub/a", True),
    ("sub/*", "sub/a/b", True),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("[a-c]x", "bx", True),
    ("[^a-c]x", "bx", False),
    ("a.c", "abc", False),
    ("\\*x", "*x", True),
    ("\\*x", "ax", False),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("a/**", "a/b/c", True),
    ("a/../b", "b", True),
    ("# comment", "# comment", False),
    ("", "a", False),
    (".", "a", False),
    ("[", "[", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), CASES)
def test_one_pattern(pattern: str, path: str, expected: bool) -> None:
    assert Patterns.of([pattern]).match(path) is expected


def test_the_last_pattern_that_matches_decides() -> None:
    patterns = Patterns.of(["*.md", "!README.md", "docs", "!docs/kept"])
    assert patterns.match("a.md")
    assert not patterns.match("README.md")
    assert patterns.match("docs/a")
    assert not patterns.match("docs/kept/b")
    assert not Patterns.of(["!a", "b"]).match("a")
    assert Patterns.of(["!a", "a"]).match("a")


@pytest.mark.parametrize(
    "name",
    [".a.swp", "4913", "a~", ".#a", "#a#", ".goutputstream-X1", "a___jb_tmp___", ".git", ".a.swx"],
)
def test_what_editors_write_beside_a_file_is_left_out(name: str) -> None:
    patterns = Patterns.of(TEMPORARY)
    assert patterns.match(name)
    assert patterns.match(f"src/{name}")
    assert not patterns.match("src/a.swift")
