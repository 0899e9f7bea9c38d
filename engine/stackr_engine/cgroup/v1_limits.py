"""Limits in the words of cgroup v2 and where version 1 keeps them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from stackr_schemas.container import Resources
from stackr_schemas.errors import StackrError

from stackr_engine.cgroup.hierarchy import read, write_limit

MEMORY = "memory.limit_in_bytes"
MEMORY_SWAP = "memory.memsw.limit_in_bytes"
SHARES = 1024
PERIOD_US = 100_000
UNLIMITED_MEMORY = 1 << 62
"""The kernel shows a limit that is none as the greatest multiple of the page size."""


@dataclass(frozen=True)
class Limit:
    """One file's value; `is_set` is False where it is what a new group has."""

    controller: str
    file: str
    value: str
    is_set: bool


def _limit(file: str, value: object, unlimited: object) -> Limit:
    is_set = value is not None
    return Limit(file.partition(".")[0], file, str(value if is_set else unlimited), is_set)


def limits_for(resources: Resources) -> list[Limit]:
    """Return every file's value for these limits, memory before memory with swap.

    Raise StackrError for a limit of swap without one of memory, which version 1 cannot hold.
    """
    memory, swap = resources.memory_max, resources.memory_swap_max
    if swap is not None and memory is None:
        raise StackrError(
            "swap cannot be limited without memory on cgroup v1", hint="set mem_limit too"
        )
    both = None if memory is None or swap is None else memory + swap
    shares = None if resources.cpu_weight is None else shares_for(resources.cpu_weight)
    return [
        _limit(MEMORY, memory, -1),
        _limit(MEMORY_SWAP, both, -1),
        _limit("memory.soft_limit_in_bytes", resources.memory_low, -1),
        _limit("cpu.cfs_period_us", resources.cpu_period_us, PERIOD_US),
        _limit("cpu.cfs_quota_us", resources.cpu_quota_us, -1),
        _limit("cpu.shares", shares, SHARES),
        _limit("cpuset.cpus", resources.cpuset_cpus, ""),
        _limit("cpuset.mems", resources.cpuset_mems, ""),
        _limit("pids.max", resources.pids_max, "max"),
    ]


def apply(limits: Iterable[Limit], paths: dict[str, str]) -> None:
    """Write limits to a group's folders, given by controller."""
    chosen = {limit.file: limit for limit in limits}
    swap_file = f"{paths.get('memory', '')}/{MEMORY_SWAP}"
    if MEMORY in chosen and os.path.exists(swap_file):
        # Memory with swap may at no time be less than memory: out of the way, and back at the end.
        both = int(read(swap_file))
        chosen.setdefault(MEMORY_SWAP, Limit("memory", MEMORY_SWAP, str(both), True))
        write_limit(swap_file, -1)
    for limit in chosen.values():
        _write(limit, paths)


def _write(limit: Limit, paths: dict[str, str]) -> None:
    folder = paths.get(limit.controller)
    if folder is None or not os.path.isdir(folder):
        if limit.is_set:
            raise StackrError(f"{limit.file} cannot be set: no {limit.controller} controller here")
        return
    value = limit.value
    if limit.controller == "cpuset" and not limit.is_set:
        value = read(f"{os.path.dirname(folder)}/{limit.file}")
    if limit.file == MEMORY_SWAP and not os.path.exists(f"{folder}/{limit.file}"):
        if limit.is_set and len(read("/proc/swaps").splitlines()) > 1:
            raise StackrError(
                "this kernel cannot limit swap", hint="start it with swapaccount=1 to allow that"
            )
        return
    write_limit(f"{folder}/{limit.file}", value)


def read_limits(paths: dict[str, str]) -> Resources:
    """Return a group's limits; None where a file is not there or is as in a new group."""

    def value(file: str, *none: str) -> str | None:
        try:
            text = read(f"{paths.get(file.partition('.')[0], '')}/{file}")
        except FileNotFoundError:
            return None
        return None if text in none else text

    def size(file: str) -> int | None:
        text = value(file)
        return None if text is None or int(text) >= UNLIMITED_MEMORY else int(text)

    memory, both = size(MEMORY), size(MEMORY_SWAP)
    shares = value("cpu.shares", str(SHARES))
    found = {
        "memory_max": memory,
        "memory_swap_max": None if memory is None or both is None else both - memory,
        "memory_low": size("memory.soft_limit_in_bytes"),
        "cpu_quota_us": value("cpu.cfs_quota_us", "-1"),
        "cpu_period_us": value("cpu.cfs_period_us", str(PERIOD_US)),
        "cpu_weight": None if shares is None else weight_for(int(shares)),
        "cpuset_cpus": value("cpuset.cpus", _of_parent(paths, "cpuset.cpus")),
        "cpuset_mems": value("cpuset.mems", _of_parent(paths, "cpuset.mems")),
        "pids_max": value("pids.max", "max"),
    }
    return Resources.model_validate(found)


def _of_parent(paths: dict[str, str], file: str) -> str:
    """What a new cpuset has: all that its parent has."""
    folder = os.path.dirname(paths.get("cpuset", ""))
    try:
        return read(f"{folder}/{file}")
    except FileNotFoundError:
        return ""


def weight_for(shares: int) -> int:
    """Convert shares (2 to 262144) to a weight (1 to 10000), as runc does."""
    return 1 + (shares - 2) * 9999 // 262142


def shares_for(weight: int) -> int:
    """Convert a weight back to shares; of all that give this weight, the roundest number.

    People write 512 or 2048; a conversion by the formula alone would make 500 of 512.
    """
    if weight == 1:
        return 2
    first = 2 + -(-(weight - 1) * 262142 // 9999)
    last = min(262144, 1 + -(-weight * 262142 // 9999))
    return max(range(first, last + 1), key=lambda shares: (shares & -shares, shares))
