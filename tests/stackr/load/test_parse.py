import pytest

from stackr.load.parse import parse
from stackr.load.problem import Report
from stackr.load.scalar import Timestamp, resolve
from stackr.load.tree import Map, dotted, mark_at, undotted


def tree(text: str) -> Map:
    report = Report()
    found = parse(text, "f.yaml", report)
    assert not report.problems, report.problems
    return found[0]


def problem(text: str) -> str:
    report = Report()
    assert parse(text, "f.yaml", report) == []
    return str(report.problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("22:22", "22:22"),
        ("2021-13-01", "2021-13-01"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("", None),
        ("0o440", 0o440),
        ("0440", 0o440),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("-5", -5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("08", 8.0),
        ("-", "-"),
        ("+", "+"),
        ("9" * 200, "9" * 200),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve(text) == value and type(resolve(text)) is type(value)


@pytest.mark.parametrize("text", ["2021-01-01", "2021-1-1 10:00:00", "2021-01-01T10:00:00.5Z"])
def test_plain_dates_are_not_text(text: str) -> None:
    assert isinstance(resolve(text), Timestamp)
    assert tree(f"a: '{text}'") == {"a": text}


def test_quoted_scalars_are_text() -> None:
    assert tree("a: '1'\nb: \"true\"\nc: !!str 3\nd: !!int '4'") == {
        "a": "1",
        "b": "true",
        "c": "3",
        "d": 4,
    }


def test_every_key_and_item_has_its_place() -> None:
    found = tree("a:\n  b:\n    - x\n    - {c: 1}\n")
    for path, place in (("a.b", (1, 2)), ("a.b[0]", (2, 6)), ("a.b[1].c", (3, 7))):
        mark = mark_at(found, undotted(path))
        assert mark and (mark.line, mark.column) == place and mark.name == "f.yaml"
    assert dotted(undotted("a.b[1].c")) == "a.b[1].c"


def test_duplicate_keys_are_refused_with_both_places() -> None:
    assert problem("a: 1\nb: 2\na: 3") == (
        "f.yaml:3:1: duplicate key 'a', already defined in line 1"
    )


def test_keys_must_be_strings() -> None:
    assert problem("a: {123: x}") == ("f.yaml:1:5: the key 123 is not a string; put it in quotes")
    assert "must be a string" in problem("{[a]: b}")


def test_merge_keys_give_what_is_not_there_and_the_first_wins() -> None:
    found = tree("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}")
    assert found["z"] == {"a": 0, "b": 1, "c": 2}
    assert problem("a: &a x\nb: {<<: *a}") == (
        "f.yaml:2:5: << needs a mapping or a list of mappings"
    )


def test_a_quoted_merge_key_is_a_key() -> None:
    assert tree("a: {'<<': 1}") == {"a": {"<<": 1}}


def test_aliases_are_followed_and_cycles_refused() -> None:
    assert tree("a: &a [1]\nb: *a")["b"] == [1]
    assert "cycle" in problem("a: &a {b: *a}")
    assert "undefined alias" in problem("a: *b")


def test_an_alias_below_its_own_use_is_refused_as_compose_does() -> None:
    assert "cycle" in problem("s:\n  u: &x {i: a}\n  t: *x\n  t.o: *x\n")


def test_reset_and_override_are_noted_and_reset_values_are_gone() -> None:
    found = tree("a: !reset null\nb: !override [1]\nc: [1, !reset 2]\nd: !reset {x: y}")
    assert found == {"b": [1], "c": [1]}
    assert found.resets == {"a", "b", "d"} and found.overrides == {"b"}


def test_several_documents_are_several_trees() -> None:
    assert parse("a: 1\n---\nb: 2\n", "f", Report()) == [{"a": 1}, {"b": 2}]


def test_syntax_errors_have_a_place() -> None:
    assert problem("a: [1\nb: 2").startswith("f.yaml:2:")
    assert "\x00" not in problem("a: \x00")
    assert problem("- a") == "f.yaml:1:1: the top level must be a mapping; begin with `services:`"


def test_deep_nesting_is_refused() -> None:
    assert "nested more than 100" in problem("a: " + "[" * 101 + "]" * 101)
    assert problem("[" * 100_000)
