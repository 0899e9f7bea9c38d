"""Nothing that can be written makes the loader fail otherwise than with a message."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackr.load import LoadOptions, load_project
from stackr.load.emit import yaml_text
from stackr.load.validate import known_keys
from tests.stackr.load.fuzz import OTHERS, SEEDS, fault, inputs
from tests.stackr.load.memory import FOLDER, MemoryFiles

COUNT = int(os.environ.get("STACKR_FUZZ", "1500"))


@pytest.mark.parametrize("data", SEEDS)
def test_what_the_bytes_are_changed_of_loads(data: bytes) -> None:
    files = MemoryFiles(OTHERS | {"compose.yaml": data.decode()})
    assert load_project(LoadOptions(cwd=FOLDER), files)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["80:80", "$A", "${A:-b}", "1m", "a=b", "./x:/y", "service:web", "web", "/"]),
)


def keys(*path: str) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(known_keys(path)), st.text(max_size=5))


def anything(depth: int = 3) -> st.SearchStrategy[object]:
    names = st.sampled_from(
        [*known_keys(("services", "web")), *known_keys(()), "web", "db", "source", "target", "x-a"]
    )
    return st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=6 * depth,
    )


SERVICE = st.dictionaries(keys("services", "web"), anything(), max_size=6)
STACK = st.fixed_dictionaries(
    {"services": st.one_of(st.dictionaries(st.sampled_from(["web", "db"]), SERVICE), anything())},
    optional={name: anything() for name in known_keys(()) if name != "services"},
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(STACK)
def test_any_structure_loads_or_is_refused(stack: dict) -> None:
    assert not fault(yaml_text(stack).encode(errors="surrogatepass"))


def test_changed_bytes_load_or_are_refused() -> None:
    for data in inputs(COUNT, seed=7):
        assert not fault(data), data
