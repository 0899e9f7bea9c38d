"""What the host must have for containers to run on it."""

import os
import re
from pathlib import Path

from stackr_schemas.errors import StackrError

OLDEST_KERNEL = (5, 15)
"""mount_setattr(2), openat2(2), cgroup.kill and pidfds in all places that we use them in."""


def check_host() -> None:
    """Raise StackrError, with the next step, where containers cannot run."""
    problem = kernel_problem(os.uname().release, Path("/proc/filesystems").read_text())
    if os.geteuid() != 0:
        problem = "stackr's engine needs root", "run it with sudo"
    if problem:
        raise StackrError(problem[0], hint=problem[1])


def kernel_problem(release: str, filesystems: str) -> tuple[str, str] | None:
    """Tell what is wrong with a kernel of this release and file systems, and the next step."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if version < OLDEST_KERNEL:
        return f"Linux {release} is too old: stackr needs 5.15 or newer", "update the kernel"
    if "overlay" not in filesystems.split():
        return "this kernel has no overlayfs", "load it with `modprobe overlay`"
    return None
