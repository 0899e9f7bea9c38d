"""The default filter, installed in a child as a container's init does it."""

import ctypes
import errno
import os
import struct
from collections.abc import Callable

import pytest
from stackr_engine.capabilities import DEFAULT
from stackr_engine.seccomp import compile_profile, default_profile, flags
from stackr_engine.seccomp.architectures import native, numbers
from stackr_engine.spawn import syscalls

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = numbers(native().name)
pytestmark = pytest.mark.requires("root")


def call(name: str, *args: int) -> int:
    """Return the errno of a raw call, 0 when it was let through and worked."""
    ctypes.set_errno(0)
    result = LIBC.syscall(
        ctypes.c_long(NUMBERS[name]), *(ctypes.c_long(arg) for arg in (*args, 0, 0, 0, 0, 0, 0)[:6])
    )
    return ctypes.get_errno() if result < 0 else 0


def in_child(probe: Callable[[], int], capabilities: tuple[str, ...] = DEFAULT) -> int:
    """Install the filter by prctl(2) in a child, and return what the probe gives there."""
    profile = default_profile(capabilities)
    program = compile_profile(profile)
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        syscalls.seccomp(flags(profile), program)
        os._exit(probe())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    "name",
    [
        "unshare",
        "mount",
        "umount2",
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "kexec_load",
        "init_module",
        "delete_module",
        "perf_event_open",
        "io_uring_setup",
        "userfaultfd",
        "swapon",
        "reboot",
        "settimeofday",
        "acct",
        "pivot_root",
        "open_by_handle_at",
        "setns",
        "move_mount",
        "fsopen",
        "mount_setattr",
        "lookup_dcookie",
        "quotactl",
        "syslog",
        "iopl" if native().name == "x86_64" else "vhangup",
        "move_pages",
        "mbind",
        "sethostname",
        "nfsservctl",
        "process_madvise",
        "kcmp",
    ],
)
def test_a_forbidden_call_is_not_permitted(name: str) -> None:
    assert in_child(lambda: call(name, 0x7FFFFFFF)) == errno.EPERM
    assert call(name, 0x7FFFFFFF, 1) != 0 or name == "syslog"


def test_clone3_seems_not_to_exist_so_that_clone_is_used() -> None:
    assert in_child(lambda: call("clone3")) == errno.ENOSYS


def test_a_call_newer_than_the_profile_seems_not_to_exist() -> None:
    assert in_child(lambda: call("file_setattr")) == errno.ENOSYS


def test_ordinary_work_goes_on() -> None:
    def work() -> int:
        pid = os.fork()
        if pid == 0:
            os.execv("/bin/sh", ["sh", "-c", "echo $(ls /) | cat >/dev/null; exit 7"])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert in_child(work) == 7


def test_tracing_a_child_is_allowed_as_docker_allows_it() -> None:
    assert in_child(lambda: call("ptrace", 0)) == 0


def test_user_namespaces_cannot_be_cloned() -> None:
    assert in_child(lambda: call("clone", 0x10000000 | 17)) == errno.EPERM


def test_sockets_to_the_hypervisor_and_the_kernels_crypto_are_refused() -> None:
    assert in_child(lambda: call("socket", 40, 1, 0)) == errno.EPERM
    assert in_child(lambda: call("socket", 38, 5, 0)) == errno.EPERM
    assert in_child(lambda: call("socket", 2, 1, 0)) == 0


def test_personality_may_be_asked_but_not_made_weaker() -> None:
    assert in_child(lambda: call("personality", 0xFFFFFFFF)) == 0
    assert in_child(lambda: call("personality", 0x0040000)) == errno.EPERM


def test_a_capability_opens_its_calls() -> None:
    assert in_child(lambda: call("chroot", 0), ()) == errno.EPERM
    assert in_child(lambda: call("chroot", 0)) == errno.EFAULT
    assert in_child(lambda: call("unshare", 0x7FFFFFFF), ("CAP_SYS_ADMIN",)) == errno.EINVAL


def test_the_process_shows_as_filtered() -> None:
    def mode() -> int:
        with open("/proc/self/status") as file:
            return int(file.read().partition("Seccomp:")[2].split()[0])

    assert in_child(mode) == 2
    assert mode() == 0


@pytest.mark.skipif(native().name != "x86_64", reason="int 0x80 is of x86")
def test_the_32_bit_way_in_is_filtered_too() -> None:
    """int 0x80 with the 32-bit numbers of mount (21) and getpid (20)."""

    def enter(number: int) -> int:
        # push rbx; mov eax, number; xor ebx..edi; int 0x80; pop rbx; ret
        code = b"\x53\xb8" + struct.pack("<I", number)
        code += b"\x31\xdb\x31\xc9\x31\xd2\x31\xf6\x31\xff\xcd\x80\x5b\xc3"
        LIBC.mmap.restype = ctypes.c_void_p
        place = LIBC.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0)
        ctypes.memmove(place, code, len(code))
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(place)())

    assert in_child(lambda: -enter(21)) == errno.EPERM
    assert in_child(lambda: int(enter(20) == os.getpid())) == 1
