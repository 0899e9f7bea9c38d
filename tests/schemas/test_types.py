import pytest
from hypothesis import given
from hypothesis import strategies as st
from stackr_schemas.types import (
    format_duration,
    parse_bool,
    parse_bytes,
    parse_duration,
    parse_float,
    parse_int,
    parse_mode,
    text_of,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("64m", 64 << 20),
        ("640kb", 640 << 10),
        ("1.5 GiB", 3 << 29),
        ("2b", 2),
        ("1T", 1 << 40),
        (".5k", 512),
        (4096, 4096),
        (-1, -1),
    ],
)
def test_sizes_are_powers_of_1024(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "-1", "m", "1x", "1kbb", "1 2", "1  m", True, None, [], "9e9p"]
)
def test_other_sizes_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds", "rendered"),
    [
        ("0", 0, "0s"),
        ("10s", 10 * 10**9, "10s"),
        ("1m30s", 90 * 10**9, "1m30s"),
        ("2h45m30s", 9930 * 10**9, "2h45m30s"),
        ("1d", 86400 * 10**9, "24h0m0s"),
        ("1w", 7 * 86400 * 10**9, "168h0m0s"),
        ("1.5h", 5400 * 10**9, "1h30m0s"),
        ("90us", 90_000, "90µs"),
        ("100ms", 10**8, "100ms"),
        ("1.5s", 15 * 10**8, "1.5s"),
        ("-2s", -2 * 10**9, "-2s"),
        ("7ns", 7, "7ns"),
    ],
)
def test_durations_are_read_and_written(text: str, nanoseconds: int, rendered: str) -> None:
    assert parse_duration(text) == nanoseconds
    assert format_duration(nanoseconds) == rendered


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_written_duration_reads_back(nanoseconds: int) -> None:
    assert abs(parse_duration(format_duration(nanoseconds)) - nanoseconds) < 2**12


@pytest.mark.parametrize("text", ["", "10", "s", "1x", "1s ", 10, None, "1e3s", "9" * 30 + "s"])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)


def test_modes_are_octal_when_they_are_text() -> None:
    assert parse_mode("0440") == parse_mode("440") == parse_mode(0o440) == 0o440
    with pytest.raises(ValueError, match="octal"):
        parse_mode("0980")


def test_booleans_take_the_words_of_yaml_1_1_too() -> None:
    assert parse_bool("yes") and parse_bool("On") and parse_bool(True)
    assert not parse_bool("n") and not parse_bool("FALSE")
    for wrong in ("", "1", 1, None):
        with pytest.raises(ValueError, match="invalid boolean"):
            parse_bool(wrong)


def test_numbers_come_as_text_too() -> None:
    assert parse_int("-5") == -5 and parse_int(2.0) == 2
    assert parse_float("0.5") == 0.5
    for wrong in ("", "1.5", True, "0x10", None):
        with pytest.raises(ValueError, match="invalid number"):
            parse_int(wrong)


def test_scalars_are_written_as_the_reference_prints_them() -> None:
    assert [text_of(value) for value in (True, None, 1.0, 1.5, 3)] == ["true", "", "1", "1.5", "3"]
