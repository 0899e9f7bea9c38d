"""Containers get Docker's capabilities, and what their file adds and drops."""

import ctypes
from pathlib import Path

import pytest
from stackr_engine.capabilities import (
    DEFAULT,
    NAMES,
    NUMBERS,
    capability,
    effective_capabilities,
    host_capabilities,
)
from stackr_schemas.errors import StackrError


def test_numbers_are_the_kernels() -> None:
    known = {"CAP_CHOWN": 0, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SETFCAP": 31}
    assert {name: NUMBERS[name] for name in known} == known
    assert NUMBERS["CAP_CHECKPOINT_RESTORE"] == 40


def test_the_default_is_dockers_fourteen() -> None:
    assert len(DEFAULT) == 14
    assert sum(1 << NUMBERS[name] for name in effective_capabilities()) == 0xA80425FB


@pytest.mark.parametrize("name", ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"])
def test_the_prefix_and_the_case_do_not_matter(name: str) -> None:
    assert capability(name) == "CAP_NET_ADMIN"


def test_an_unknown_name_is_refused_with_a_proposal() -> None:
    with pytest.raises(StackrError, match=r'"NET_ADMN" \(did you mean NET_ADMIN\?\)'):
        effective_capabilities(add=["NET_ADMN"])


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["NET_ADMIN"], [], {*DEFAULT, "CAP_NET_ADMIN"}),
        ([], ["CHOWN"], {*DEFAULT} - {"CAP_CHOWN"}),
        ([], ["ALL"], set()),
        (["CHOWN"], ["all"], {"CAP_CHOWN"}),
        (["CHOWN"], ["CHOWN"], {*DEFAULT}),
        (["ALL"], ["SYS_ADMIN"], {*NAMES} - {"CAP_SYS_ADMIN"}),
    ],
)
def test_adding_and_dropping(add: list[str], drop: list[str], expected: set[str]) -> None:
    assert set(effective_capabilities(add, drop)) == expected


def test_privileged_is_everything_that_the_host_has() -> None:
    assert effective_capabilities(drop=["CHOWN"], privileged=True) == NAMES
    available = ("CAP_CHOWN", "CAP_KILL")
    assert effective_capabilities(privileged=True, available=available) == available


def test_the_host_has_what_its_bounding_set_says() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    libc = ctypes.CDLL(None)
    bounding = {number for number in range(last + 1) if libc.prctl(23, number, 0, 0, 0) == 1}
    assert {NUMBERS[name] for name in host_capabilities()} == bounding & set(NUMBERS.values())
