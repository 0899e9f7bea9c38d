"""Who the program runs as, where, and with what: shared by a container's start and exec."""

from __future__ import annotations

import os

from stackr_engine.spawn import inside, process, users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def drop_privileges(user: users.User, proc: dict[str, Any], request: dict[str, Any]) -> None:
    """Take on what an OCI process object says of privileges."""
    os.umask(proc["user"].get("umask", 0o022))
    filter_ = request.get("seccomp")
    seccomp = (request.get("seccomp_flags", 0), filter_) if filter_ else None
    nnp = bool(proc.get("noNewPrivileges"))
    process.become(user, proc.get("capabilities", {}), seccomp, nnp)


def find_user(root: int, proc: dict[str, Any], request: dict[str, Any]) -> users.User:
    """Find the user by name where a name is given, else take the config's numbers."""
    numbers = proc["user"]
    spec = request.get("user")
    groups = [str(gid) for gid in numbers.get("additionalGids", [])]
    if spec is None:
        spec = f"{numbers['uid']}:{numbers['gid']}"
    return users.look_up(root, spec, [*groups, *request.get("groups", [])])


def with_home(env: list[str], user: users.User) -> list[str]:
    """Add HOME where the environment has none or an empty one."""
    kept = [item for item in env if item != "HOME="]
    has_home = any(item.startswith("HOME=") for item in kept)
    return kept if has_home else [*kept, f"HOME={user.home}"]


def make_cwd(root: int, path: str) -> None:
    """Create the working folder where the image has none."""
    os.close(inside.make_inside(root, path, True))


def enter_cwd(path: str) -> None:
    """Change the working folder, which must be one below the root that is in force."""
    os.chdir(path)
    if not os.getcwd().startswith("/"):
        raise OSError(1, "the working folder is outside of the root", path)
