"""From a prepared process to the program: identity, privileges, execve."""

from __future__ import annotations

import _signal
import errno
import os
import resource

from stackr_engine.spawn import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from stackr_engine.spawn.users import User

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE"
    " NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO"
    " SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME"
    " SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG"
    " WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
_NUMBERS = {f"CAP_{name}": number for number, name in enumerate(_NAMES.split())}
_SYS_ADMIN = 1 << 21
_SIGNALS = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]
_IGNORED = (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGCHLD)

EXIT_FAILED = 125
EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126


class NotExecuted(OSError):
    """execve(2) failed; `exit_code` is what a shell would exit with."""

    def __init__(self, number: int, text: str, exit_code: int):
        super().__init__(number, text)
        self.exit_code = exit_code


def reset_signals() -> None:
    """Give every signal its default action and unblock all."""
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_DFL)
    for number in (32, 33):
        syscalls.rt_sigaction_default(number)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])


def ignore_signals() -> None:
    """Ignore what would end the spawner or a shim; the kernel reaps the spawner's forks."""
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_IGN)


def restore_signals() -> None:
    """Take back ignore_signals(): what is ignored would stay so after execve(2)."""
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_DFL)


def set_rlimits(limits: list[dict[str, Any]]) -> None:
    """Apply `process.rlimits`."""
    for limit in limits:
        number = getattr(resource, limit["type"])
        pair = (_signed(limit["soft"]), _signed(limit["hard"]))
        try:
            resource.setrlimit(number, pair)
        except ValueError as error:
            raise OSError(errno.EPERM, str(error), limit["type"]) from None


def _signed(value: int) -> int:
    return -1 if value < 0 or value >= (1 << 63) else value


def set_oom_score(value: int) -> None:
    """Write oom_score_adj where it differs: lowering it takes a capability, keeping it none."""
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        if int(os.read(fd, 16)) != value:
            os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def mask_for(names: list[str]) -> int:
    """Turn capability names into a bit mask; names that are not Linux's raise KeyError."""
    return sum(1 << _NUMBERS[name] for name in set(names))


def _bounding_set() -> int:
    mask = 0
    for number in range(64):
        try:
            mask |= syscalls.prctl(syscalls.PR_CAPBSET_READ, number) << number
        except OSError:
            break
    return mask


_BOUNDING = _bounding_set()
"""Asked for once: what is forked inherits it."""


def become(
    user: User, capabilities: dict[str, list[str]], seccomp: tuple[int, bytes] | None, nnp: bool
) -> None:
    """Take the container's identity and privileges; nothing privileged is possible after.

    Without no_new_privs a filter needs CAP_SYS_ADMIN, so that is kept until the filter stands.
    """
    masks = {kind: mask_for(names) & _BOUNDING for kind, names in capabilities.items()}
    permitted = masks.get("permitted", 0)
    inheritable = masks.get("inheritable", 0)
    for number in range(_BOUNDING.bit_length()):
        if _BOUNDING & ~masks.get("bounding", 0) & (1 << number):
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    syscalls.capset(permitted | _SYS_ADMIN, permitted | _SYS_ADMIN, inheritable)
    _raise_ambient(masks.get("ambient", 0))
    if nnp:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if seccomp is not None:
        syscalls.seccomp(*seccomp)
    syscalls.capset(masks.get("effective", 0) & permitted, permitted, inheritable)


def _raise_ambient(mask: int) -> None:
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(mask.bit_length()):
        if mask & (1 << number):
            syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_RAISE, number)


def execute(args: list[str], env: list[str]) -> NoReturn:
    """Replace this process by the program, searched for in the container's PATH."""
    variables = dict(item.partition("=")[::2] for item in env)
    name = args[0]
    if "/" in name:
        _try(name, args, variables)
    denied = False
    for folder in variables.get("PATH", "").split(":") if "/" not in name else ():
        try:
            _try(f"{folder or '.'}/{name}", args, variables)
        except NotExecuted as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise
            denied = denied or error.errno == errno.EACCES
    if denied:
        text = f'exec: "{name}": permission denied'
        raise NotExecuted(errno.EACCES, text, EXIT_NOT_EXECUTABLE)
    text = f'exec: "{name}": executable file not found in $PATH'
    raise NotExecuted(errno.ENOENT, text, EXIT_NOT_FOUND)


def _try(path: str, args: list[str], variables: dict[str, str]) -> NoReturn:
    try:
        os.execve(path, args, variables)
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        code = EXIT_NOT_FOUND if missing else EXIT_NOT_EXECUTABLE
        reason = (error.strerror or "").lower()
        raise NotExecuted(error.errno or 0, f'exec: "{path}": {reason}', code) from None
