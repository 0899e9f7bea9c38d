"""Linux capabilities: names, numbers and what a container gets.

Numbers are those of <linux/capability.h>; the default set is Docker's.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

from stackr_schemas.errors import StackrError


def _full(names: str) -> tuple[str, ...]:
    return tuple(f"CAP_{name}" for name in names.split())


# In the order of their numbers: CAP_CHOWN is 0.
NAMES = _full(
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE"
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}
DEFAULT = _full(
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW "
    "SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP"
)


def capability(name: str) -> str:
    """Return the full name of a capability written in any case, with or without CAP_.

    Raise StackrError for a name that no kernel knows.
    """
    full = "CAP_" + name.upper().removeprefix("CAP_")
    if full not in NUMBERS:
        close = difflib.get_close_matches(full, NAMES, 1)
        hint = f"did you mean {close[0].removeprefix('CAP_')}?" if close else None
        raise StackrError(f'unknown capability "{name}"', hint=hint)
    return full


def effective_capabilities(
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    privileged: bool = False,
    available: Iterable[str] = NAMES,
) -> tuple[str, ...]:
    """Return what a container gets, in numerical order: the default, less `drop`, plus `add`.

    ALL stands for every capability. As Docker does: privileged containers get all of them and
    neither list counts; a name in both lists is added; with ALL added, only `drop` takes away.
    Nobody gets what is not `available` (see `host_capabilities`).
    """
    given = set(available)
    added, dropped = _names(add), _names(drop)
    if privileged:
        wanted = set(NAMES)
    elif "ALL" in added:
        wanted = set(NAMES) - (dropped - {"ALL"})
    elif "ALL" in dropped:
        wanted = added
    else:
        wanted = (set(DEFAULT) - dropped) | added
    return tuple(name for name in NAMES if name in wanted & given)


def _names(names: Iterable[str]) -> set[str]:
    words = [name.upper() for name in names]
    return {"ALL" if word in ("ALL", "CAP_ALL") else capability(word) for word in words}


def host_capabilities() -> tuple[str, ...]:
    """Return what this process may hand on: its bounding set, without numbers we cannot name."""
    status = Path("/proc/self/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return _names_in(int(bounding.split()[1], 16))


def _names_in(mask: int) -> tuple[str, ...]:
    return tuple(name for name, number in NUMBERS.items() if mask >> number & 1)
