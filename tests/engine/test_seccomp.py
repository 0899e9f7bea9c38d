"""Compiled filters answer every call as the profile says, on each architecture."""

import errno
import time
from typing import Any

import pytest
from stackr_engine.capabilities import DEFAULT, NAMES
from stackr_engine.seccomp import (
    bpf,
    compile_profile,
    default_profile,
    docker_profile_to_oci,
    flags,
)
from stackr_engine.seccomp.architectures import BY_NAME, numbers
from stackr_schemas.errors import StackrError

from tests.engine.bpf_machine import run

ALLOW = 0x7FFF0000
KILL = 0
EPERM = 0x50000 | errno.EPERM
ENOSYS = 0x50000 | errno.ENOSYS
BELONGS = {"x86_64": "x86_64", "x86": "x86_64", "x32": "x86_64", "aarch64": "aarch64"}
BELONGS["arm"] = "aarch64"


def allowing(*names: str, **more: Any) -> dict[str, Any]:
    rule = {"names": list(names), "action": "SCMP_ACT_ALLOW", **more}
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}


def default(machine: str, capabilities: tuple[str, ...] = DEFAULT) -> bytes:
    return compile_profile(default_profile(capabilities, machine), machine)


@pytest.mark.parametrize("arch", BELONGS)
def test_every_call_of_every_architecture_gets_its_answer(arch: str) -> None:
    profile = default_profile(DEFAULT, BELONGS[arch])
    program = compile_profile(profile, BELONGS[arch])
    plain = [rule for rule in profile["syscalls"] if "args" not in rule]
    allowed = {
        name for rule in plain if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
    }
    depending = {name for rule in profile["syscalls"] if "args" in rule for name in rule["names"]}
    named = {numbers(arch)[name] for name in allowed | depending if name in numbers(arch)}
    newest = max(number for number in named if number & 0xF0000 == 0)
    for name, number in numbers(arch).items():
        if name in depending or name in ("clone3", "get_tls", "usr26", "usr32"):
            continue
        refused = ENOSYS if number > newest else EPERM
        assert run(program, arch, number) == (ALLOW if name in allowed else refused), name


@pytest.mark.parametrize("arch", BELONGS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("read", ALLOW),
        ("chroot", ALLOW),
        ("ptrace", ALLOW),
        ("unshare", EPERM),
        ("mount", EPERM),
        ("keyctl", EPERM),
        ("bpf", EPERM),
        ("kexec_load", EPERM),
        ("io_uring_setup", EPERM),
        ("open_by_handle_at", EPERM),
        ("clone3", ENOSYS),
    ],
)
def test_well_known_calls(arch: str, name: str, expected: int) -> None:
    assert run(default(BELONGS[arch]), arch, numbers(arch)[name]) == expected


@pytest.mark.parametrize("arch", ["x86_64", "x86", "aarch64", "arm"])
def test_calls_newer_than_the_profile_seem_not_to_exist(arch: str) -> None:
    program = default(BELONGS[arch])
    assert run(program, arch, numbers(arch)["file_setattr"]) == ENOSYS
    assert run(program, arch, 4000) == ENOSYS


@pytest.mark.parametrize("arch", BELONGS)
def test_namespaces_cannot_be_made_by_clone(arch: str) -> None:
    program, clone = default(BELONGS[arch]), numbers(arch)["clone"]
    assert run(program, arch, clone, 0x1200011) == ALLOW
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert run(program, arch, clone, 0x11 | 1 << bit) == EPERM


@pytest.mark.parametrize("arch", BELONGS)
def test_personalities_and_address_families_are_chosen_ones(arch: str) -> None:
    program, table = default(BELONGS[arch]), numbers(arch)
    allowed = {value for value in range(50) if run(program, arch, table["socket"], value) == ALLOW}
    assert {1, 2, 10, 11, 16, 17, 29, 45} < allowed
    assert not allowed & {12, 19, 20, 23, 25, 34, 37, 38, 40, 46, 49}
    assert run(program, arch, table["socket"], 1 << 32 | 2) == EPERM
    personality = table["personality"]
    assert run(program, arch, personality, 0xFFFFFFFF) == ALLOW
    assert run(program, arch, personality, 0x20008) == ALLOW
    assert run(program, arch, personality, 0x0040000) == EPERM
    assert run(program, arch, personality, 1 << 32) == EPERM


def test_capabilities_open_what_belongs_to_them() -> None:
    table = numbers("x86_64")

    def answer(name: str, *capabilities: str) -> int:
        return run(default("x86_64", capabilities), "x86_64", table[name])

    assert answer("chroot") == EPERM
    assert answer("mount", "CAP_SYS_ADMIN") == ALLOW
    assert answer("clone3", "CAP_SYS_ADMIN") == ALLOW
    assert answer("bpf", "CAP_BPF") == ALLOW
    assert answer("syslog", "CAP_SYSLOG") == ALLOW
    assert answer("settimeofday", "CAP_SYS_TIME") == ALLOW
    everything = default("x86_64", NAMES)
    assert run(everything, "x86_64", table["clone"], 0x10000000) == ALLOW
    assert run(everything, "x86_64", table["kexec_load"]) == EPERM


def test_a_kernel_that_traces_past_the_filter_may_not_trace() -> None:
    old = compile_profile(default_profile(DEFAULT, "x86_64", "4.7.10"), "x86_64")
    assert run(old, "x86_64", numbers("x86_64")["ptrace"]) == EPERM


def test_other_architectures_end_the_thread() -> None:
    read = numbers("x86_64")["read"]
    only = compile_profile(allowing("read"), "x86_64")
    assert run(only, "x86_64", read) == ALLOW
    assert run(only, "aarch64", read) == KILL
    assert run(only, "x86", numbers("x86")["read"]) == KILL
    assert run(only, "x86_64", numbers("x32")["read"]) == KILL


@pytest.mark.parametrize(
    ("operator", "value", "second", "matching", "others"),
    [
        ("EQ", 5 << 32 | 7, 0, [5 << 32 | 7], [7, 5 << 32, 5 << 32 | 8]),
        ("NE", 5 << 32 | 7, 0, [7, 5 << 32, 5 << 32 | 8], [5 << 32 | 7]),
        ("GT", 5 << 32 | 7, 0, [5 << 32 | 8, 6 << 32], [5 << 32 | 7, 4 << 32 | 9, 9]),
        ("GE", 5 << 32 | 7, 0, [5 << 32 | 7, 6 << 32], [5 << 32 | 6, 4 << 32 | 9]),
        ("LT", 5 << 32 | 7, 0, [5 << 32 | 6, 4 << 32 | 9, 0], [5 << 32 | 7, 6 << 32]),
        ("LE", 5 << 32 | 7, 0, [5 << 32 | 7, 4 << 32 | 9], [5 << 32 | 8, 6 << 32]),
        ("MASKED_EQ", 0xF0 | 1 << 40, 0x50, [0x5F, 0x50], [0x60, 0x50 | 1 << 40]),
    ],
)
def test_arguments_are_compared_in_all_64_bits(
    operator: str, value: int, second: int, matching: list[int], others: list[int]
) -> None:
    arg = {"index": 2, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{operator}"}
    program = compile_profile(allowing("write", args=[arg]), "x86_64")
    assert [run(program, "x86_64", 1, 9, 9, one) for one in matching] == [ALLOW] * len(matching)
    assert [run(program, "x86_64", 1, 9, 9, one) for one in others] == [EPERM] * len(others)


def test_conditions_on_several_arguments_must_all_hold_and_on_one_any() -> None:
    def args(*indexes: int) -> list[dict[str, Any]]:
        return [{"index": i, "value": 3 + n, "op": "SCMP_CMP_EQ"} for n, i in enumerate(indexes)]

    both = compile_profile(allowing("write", args=args(0, 1)), "x86_64")
    assert run(both, "x86_64", 1, 3, 4) == ALLOW
    assert run(both, "x86_64", 1, 3, 9) == EPERM
    either = compile_profile(allowing("write", args=args(0, 0)), "x86_64")
    assert [run(either, "x86_64", 1, value) for value in (3, 4, 5)] == [ALLOW, ALLOW, EPERM]


@pytest.mark.parametrize("length", [1, 255, 256, 5000])
def test_branches_reach_over_blocks_of_any_length(length: int) -> None:
    between = [(0x06, 0, 0, 1)] * length
    program = bpf.assemble(bpf.load(0) + bpf.branch(bpf.JEQ, 7, between, bpf.give(2)))
    assert run(program, "x86_64", 7) == 2
    assert run(program, "x86_64", 8) == 1


def test_actions_and_errno_values_reach_the_kernel() -> None:
    rules = [
        {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["write"], "action": "SCMP_ACT_TRAP"},
        {"names": ["open"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {"names": ["close"], "action": "SCMP_ACT_LOG"},
    ]
    program = compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, "x86_64")
    answers = [run(program, "x86_64", number) for number in (0, 1, 2, 3, 39, 9999)]
    assert answers == [0x80000000, 0x30000, 0x5000D, 0x7FFC0000, ALLOW, ALLOW]


def test_an_unconditional_rule_wins_over_conditions() -> None:
    arg = {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}
    profile = allowing("write", args=[arg])
    profile["syscalls"].append({"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5})
    assert run(compile_profile(profile, "x86_64"), "x86_64", 1, 1) == 0x50005


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "NOTIFY is not supported"),
        ({"defaultAction": "SCMP_ACT_PRAY"}, "unknown seccomp action"),
        (allowing("read", args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]), "index 6"),
        (allowing("read", args=[{"index": 0, "value": 0, "op": "SCMP_CMP_IS"}]), "comparison"),
        (allowing("read", args=[{"index": 0, "value": 0}]), "no op"),
    ],
)
def test_what_cannot_be_compiled_is_refused(profile: dict[str, Any], message: str) -> None:
    with pytest.raises(StackrError, match=message):
        compile_profile(profile, "x86_64")


def test_too_long_a_profile_is_refused() -> None:
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in range(1000)]
    with pytest.raises(StackrError, match="4096"):
        compile_profile(allowing("read", args=args), "x86_64")


def test_flags_are_speculation_unless_the_profile_says_otherwise() -> None:
    assert flags({}) == 4
    assert flags({"flags": []}) == 0
    assert flags({"flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}) == 3
    with pytest.raises(StackrError, match="FLAG_X"):
        flags({"flags": ["FLAG_X"]})


def test_profiles_in_dockers_format_are_filtered_for_the_container() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_KILL",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.10"}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "5.10"}},
            {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"name": "f", "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
        ],
    }
    oci = docker_profile_to_oci(profile, (), "x86_64", "5.9.0-1")
    assert oci["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert [rule["names"] for rule in oci["syscalls"]] == [["b"], ["f"]]
    oci = docker_profile_to_oci(profile, ("CAP_BPF",), "aarch64", "5.10")
    assert [rule["names"] for rule in oci["syscalls"]] == [["a"], ["c"], ["d"], ["e"]]


def test_a_profile_must_be_one() -> None:
    with pytest.raises(StackrError, match="no action"):
        docker_profile_to_oci({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a"}]}, ())
    with pytest.raises(StackrError, match="defaultAction"):
        docker_profile_to_oci({"services": {}}, ())


def test_numbers_are_those_of_the_kernels_headers() -> None:
    known = {
        "x86_64": {"read": 0, "clone3": 435, "mseal": 462, "uretprobe": 335},
        "x86": {"socketcall": 102, "clock_gettime64": 403, "umount": 22},
        "x32": {"read": 0x40000000, "ptrace": 0x40000000 + 521},
        "aarch64": {"io_setup": 0, "execve": 221, "newfstatat": 79},
        "arm": {"fork": 2, "cacheflush": 0xF0002, "sync_file_range2": 341},
    }
    for arch, calls in known.items():
        assert {name: numbers(arch)[name] for name in calls} == calls


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_default_filter_is_short_and_quick_to_build(machine: str) -> None:
    default(machine)
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        program = default(machine)
        times.append(time.perf_counter() - begin)
    assert len(program) // 8 < 1200
    assert sorted(times)[3] < 0.03


def test_other_machines_are_refused_by_name() -> None:
    assert "riscv64" not in BY_NAME
    with pytest.raises(StackrError, match="riscv64"):
        default_profile(DEFAULT, "riscv64")
