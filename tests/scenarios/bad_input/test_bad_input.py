"""Bad input: one message with the place and the next step, exit status 1, and nothing made."""

import pytest

from tests.scenarios.runner import Stack

CASES = {
    "a file that is not YAML": (
        "services:\n  a:\n    image: x\n   command: y\n",
        ["stack.yaml:4"],
    ),
    "an unknown key": (
        "services:\n  a:\n    image: rootfs:/\n    mem_limt: 1m\n",
        ["stack.yaml:4", "mem_limt", "mem_limit"],
    ),
    "an unknown top-level key": (
        "servces:\n  a:\n    image: rootfs:/\n",
        ["stack.yaml:1", "servces", "services"],
    ),
    "a cycle": (
        "services:\n  a:\n    image: rootfs:/\n    depends_on: [b]\n"
        "  b:\n    image: rootfs:/\n    depends_on: [a]\n",
        ["cycle", "a", "b"],
    ),
    "a port that is none": (
        'services:\n  a:\n    image: rootfs:/\n    ports: ["99999:80"]\n',
        ["stack.yaml:4", "99999"],
    ),
    "a network that is not declared": (
        "services:\n  a:\n    image: rootfs:/\n    networks: [nowhere]\n",
        ["stack.yaml:4", "nowhere"],
    ),
    "a service that is not declared": (
        "services:\n  a:\n    image: rootfs:/\n    depends_on: [nobody]\n",
        ["stack.yaml:4", "nobody"],
    ),
    "neither image nor build": (
        "services:\n  a:\n    command: sleep 1\n",
        ["stack.yaml", "image"],
    ),
    "a variable that must be set": (
        "services:\n  a:\n    image: rootfs:/${TAG:?say which}\n",
        ["stack.yaml:3", "TAG", "say which"],
    ),
    "the same key twice": (
        "services:\n  a:\n    image: rootfs:/\n    image: rootfs:/\n",
        ["stack.yaml:4", "image"],
    ),
    "an empty file": ("", ["stack.yaml", "empty"]),
    "a wrong type": (
        "services:\n  a:\n    image: rootfs:/\n    ports: 80\n",
        ["stack.yaml:4", "ports"],
    ),
    "a memory limit in words": (
        "services:\n  a:\n    image: rootfs:/\n    mem_limit: plenty\n",
        ["stack.yaml:4", "plenty"],
    ),
}


@pytest.mark.requires("root")
@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_place_and_name(stack: Stack, case: str) -> None:
    text, expected = CASES[case]
    (stack.folder / "stack.yaml").write_text(text)
    done = stack.attempt("up", "-d")
    assert done.status == 1
    assert done.out == ""
    for word in expected:
        assert word in done.err
    assert len(done.err.splitlines()) <= 3, done.err
    assert list((stack.paths.state / "containers").iterdir()) == []


@pytest.mark.requires("root")
def test_no_file_at_all(stack: Stack) -> None:
    done = stack.attempt("up", "-d")
    assert done.status == 1
    assert "no stack file found" in done.err
    assert "stack.yaml" in done.err


@pytest.mark.requires("root")
def test_a_file_that_is_not_there(stack: Stack) -> None:
    done = stack.attempt("-f", "nowhere.yaml", "up", "-d")
    assert done.status == 1
    assert "nowhere.yaml" in done.err


@pytest.mark.requires("root")
@pytest.mark.parametrize("verb", ["up", "stop", "start", "restart", "kill", "logs", "down"])
def test_a_service_that_is_not_in_the_file(stack: Stack, verb: str) -> None:
    (stack.folder / "stack.yaml").write_text("services: {a: {image: 'rootfs:/'}}")
    done = stack.attempt(verb, "nobody")
    assert done.status == 1
    assert "no such service: nobody" in done.err


@pytest.mark.requires("root")
def test_an_option_that_does_not_exist(stack: Stack) -> None:
    done = stack.attempt("up", "--detatch")
    assert done.status == 1
    assert "--detatch" in done.err
    assert "--detach" in done.err
