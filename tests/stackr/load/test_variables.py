import pytest

from stackr.load.interpolate import Interpolation
from stackr.load.parse import parse
from stackr.load.problem import LoadError, Report
from stackr.load.template import TemplateError, substitute

VALUES = {"A": "a", "EMPTY": "", "B": "b", "_x1": "y"}


def filled(text: str) -> str:
    return substitute(text, VALUES.get, lambda name: None)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A ${A} $_x1", "a a y"),
        ("$$A $$ $", "$A $ $"),
        ("$1 $- a$", "$1 $- a$"),
        ("$N|${N}", "|"),
        ("${N:-d} ${N-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
        ("${A:-d} ${A-d}", "a a"),
        ("${A:+x} ${A+x} ${EMPTY:+x} ${EMPTY+x} ${N+x}", "x x  x "),
        ("${N:-${M:-${A}}}", "a"),
        ('${N:-{"k": 1}}', '{"k": 1}'),
        ("${N:-a:b-c?d}", "a:b-c?d"),
        ("${A:?no}${EMPTY?no}", "a"),
        ("pre${A}post$B.x", "preapostb.x"),
        ("${N:-$$x}", "$x"),
    ],
)
def test_variables_are_replaced(text: str, result: str) -> None:
    assert filled(text) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${A", "a brace is not closed"),
        ("${}", "write ${NAME}"),
        ("${1}", "write ${NAME}"),
        ("${A b}", "after the name"),
        ("${N:?set $A}", "required variable N is missing a value: set a"),
        ("${N?}", "required variable N is missing a value"),
        ("${EMPTY:?x}", "required variable EMPTY"),
        ("${N:-" * 60 + "}" * 60, "nested too deeply"),
    ],
)
def test_wrong_and_missing_variables_are_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message.replace("$", r"\$").replace("{", r"\{")):
        filled(text)


def test_a_required_variable_is_required_in_a_default_that_is_not_used_too() -> None:
    with pytest.raises(TemplateError, match="required variable N"):
        filled("${A:-${N:?always}}")


def copied(text: str) -> tuple[object, Report]:
    report = Report()
    tree = parse(text, "f.yaml", report)[0]
    return Interpolation(VALUES.get, report).copy(tree), report


def test_problems_have_the_place_and_the_path() -> None:
    tree, report = copied("a:\n  - $A\n  - ${N:?why}\n")
    assert tree == {"a": ["a", "${N:?why}"]}
    assert str(report.problems[0]) == (
        "f.yaml:3:5: a[1]: required variable N is missing a value: why"
    )


def test_unset_variables_are_warned_of_once() -> None:
    assert copied("a: $N\nb: $N")[1].warnings == [
        'f.yaml:1:1: The "N" variable is not set. Defaulting to a blank string.'
    ]


def test_a_dollar_that_vanishes_in_a_text_is_told_of() -> None:
    assert copied("a: pa$N")[1].warnings[0].endswith("For a dollar sign write $$.")


def test_aliases_are_expanded_each_with_its_own_copy() -> None:
    tree, _ = copied("a: &a {v: $A}\nb: *a")
    assert isinstance(tree, dict) and tree["a"] == tree["b"] and tree["a"] is not tree["b"]


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(LoadError, match="more than 200000 values"):
        copied("\n".join(lines))
