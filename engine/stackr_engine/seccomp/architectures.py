"""The architectures that a filter can tell apart, and their system call numbers."""

import importlib
import os
from dataclasses import dataclass
from functools import cache

from stackr_schemas.errors import StackrError

X32_BIT = 0x40000000


@dataclass(frozen=True)
class Architecture:
    """One calling convention: `audit` is the AUDIT_ARCH_ number that the kernel reports."""

    name: str
    scmp: str
    docker: str
    audit: int
    subs: tuple[str, ...] = ()


# x32 calls come with the audit number of x86_64 and bit 30 set in the call's number.
ALL = (
    Architecture("x86_64", "SCMP_ARCH_X86_64", "amd64", 0xC000003E, ("x86", "x32")),
    Architecture("x86", "SCMP_ARCH_X86", "x86", 0x40000003),
    Architecture("x32", "SCMP_ARCH_X32", "x32", 0xC000003E),
    Architecture("aarch64", "SCMP_ARCH_AARCH64", "arm64", 0xC00000B7, ("arm",)),
    Architecture("arm", "SCMP_ARCH_ARM", "arm", 0x40000028),
)
BY_NAME = {arch.name: arch for arch in ALL}
BY_SCMP = {arch.scmp: arch for arch in ALL}


def native(machine: str | None = None) -> Architecture:
    """Return this machine's architecture; raise StackrError where we have no numbers for it."""
    machine = machine or os.uname().machine
    if machine not in ("x86_64", "aarch64"):
        raise StackrError(
            f"no seccomp filter can be built for {machine}",
            hint="only x86_64 and aarch64 are supported; use security_opt: [seccomp=unconfined]",
        )
    return BY_NAME[machine]


@cache
def numbers(name: str) -> dict[str, int]:
    """Return an architecture's system call numbers by name."""
    text: str = importlib.import_module(f"stackr_engine.seccomp.tables.{name}").TEXT
    found: dict[str, int] = {}
    following = 0
    for word in text.split():
        if word.isdecimal():
            following = int(word)
        else:
            found[word] = following
            following += 1
    return found
