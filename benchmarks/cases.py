"""What is measured, as one walk that every contender goes through in every round."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.contender import IMAGE, PROJECT, BenchmarkError, Contender
from benchmarks.memory import engine_pss

MEMORY_AT = 50


@dataclass(frozen=True)
class Sample:
    """One figure of one contender in one round; `unit` is `ms` or `MiB`."""

    case: str
    contender: str
    value: float
    unit: str = "ms"


def stack_file(services: int) -> bytes:
    """Return a stack of services that only sleep; JSON is YAML."""
    service = {"image": IMAGE, "command": ["sleep", "1000000"], "stop_grace_period": "0s"}
    return json.dumps({"services": {f"s{number}": service for number in range(services)}}).encode()


def walk(contender: Contender, sizes: tuple[int, ...]) -> Iterator[Sample]:
    """Measure everything once; the stack is gone at the end."""
    for size in sizes:
        yield from stack_of(contender, size)


def stack_of(contender: Contender, size: int) -> Iterator[Sample]:
    """Bring one stack up and down; ask it for things in between."""
    file = stack_file(size)

    def timed(case: str, *arguments: str) -> Sample:
        return measure(case, contender, lambda: contender.stack(file, *arguments))

    yield timed(f"up -d, {size} services", "up", "-d")
    running = contender.stack(file, "ps", "-q").split()
    if len(running) != size:
        raise BenchmarkError(f"{contender.name}: {len(running)} of {size} containers run")
    yield timed(f"up -d again, {size} services", "up", "-d")
    yield timed(f"ps, {size} services", "ps")
    if size == MEMORY_AT:
        pss = engine_pss(contender)
        yield Sample(f"memory, {size} services", contender.name, pss, "MiB")
    if size == 1:
        yield from one_offs(contender, file)
    yield timed(f"down, {size} services", "down")


def one_offs(contender: Contender, file: bytes) -> Iterator[Sample]:
    """Run commands beside and inside a running service, and by Docker's shorter way."""
    ways = {
        "exec -T s0 true": ("exec", f"{PROJECT}-s0-1", "true"),
        "run --rm -T s0 true": ("run", "--rm", IMAGE, "true"),
    }
    for case, shorter in ways.items():
        compose = partial(contender.stack, file, *case.split())
        plain = partial(contender.run, *shorter, plain=True) if contender.programs else compose
        yield measure(case, contender, compose)
        yield measure(f"{case} (`docker {shorter[0]}`)", contender, plain)


def measure(case: str, contender: Contender, command: Callable[[], object]) -> Sample:
    """Time one command from its start to its end."""
    start = time.perf_counter()
    command()
    return Sample(case, contender.name, (time.perf_counter() - start) * 1000)
