import pytest
from stackr_schemas.errors import StackrError

from stackr.load.dotenv import parse_env, parse_format

SHELL = {"HOST": "shell", "EMPTY": ""}


def read(text: str) -> dict[str, str]:
    return parse_env(text, "f.env", SHELL.get, lambda name: None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB = 2\n  C= 3  \n", {"A": "1", "B": "2", "C": "3"}),
        ("# c\n\nexport A=1 # c\nB=a#b", {"A": "1", "B": "a#b"}),
        ("A: x\nB=", {"A": "x", "B": ""}),
        ("A='$X #\n y'\nB=\"a\\nb\\t\\$X\"", {"A": "$X #\n y", "B": "a\nb\t$X"}),
        ("A=1\nB=${A}2\nC=$HOST", {"A": "1", "B": "12", "C": "shell"}),
        ("HOST\nNONE\nA=1", {"HOST": "shell", "A": "1"}),
        ("HOST", {"HOST": "shell"}),
        ("HOST=file", {"HOST": "file"}),
        ("A='x' # c\nB=2", {"A": "x", "B": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A.B-C=1\n1A=2", {"A.B-C": "1"}),
        ("A='it\\'s'", {"A": "it\\'s"}),
        ("A=${N:-d}", {"A": "d"}),
        ("", {}),
    ],
)
def test_variables_are_read(text: str, found: dict[str, str]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB!=2", "f.env:2:1: unexpected character"),
        ("A B=1", "has a space in it"),
        ("A='x", "f.env:1:1: the quote ' is not closed"),
        ("\nA=${N:?why}", "required variable N is missing a value: why"),
    ],
)
def test_mistakes_have_a_line(text: str, message: str) -> None:
    with pytest.raises(StackrError) as caught:
        read(text)
    assert message in str(caught.value)


def test_the_raw_format_takes_values_as_they_are() -> None:
    def raw(text: str) -> dict[str, str]:
        return parse_format(text, "f.env", "raw", SHELL.get, lambda name: None)

    assert raw("A='$X' # c\n# c\nHOST\nNONE\nB=") == {"A": "'$X' # c", "HOST": "shell", "B": ""}
    with pytest.raises(StackrError, match="invalid variable name"):
        raw("A B=1")


def test_other_formats_are_refused() -> None:
    with pytest.raises(StackrError, match="unknown env_file format 'yaml'"):
        parse_format("", "f.env", "yaml", SHELL.get, lambda name: None)
