"""The `process` object of an OCI config."""

import posixpath
from typing import Any

from stackr_schemas.container import ContainerSpec
from stackr_schemas.errors import StackrError
from stackr_schemas.image import Image

from stackr_engine.bootstrap.privileges import Privileges

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def arguments(spec: ContainerSpec, image: Image) -> list[str]:
    """Decide what runs: an entrypoint of the spec's own drops the image's command too."""
    if spec.entrypoint is None:
        entrypoint, command = image.config.entrypoint, image.config.cmd
    else:
        entrypoint, command = spec.entrypoint, ()
    found = [*entrypoint, *(command if spec.command is None else spec.command)]
    if not found or not found[0]:
        raise StackrError(
            f"container {spec.name}: neither it nor its image {spec.image} says what to run",
            hint="set `command`",
        )
    return found


def environment(spec: ContainerSpec, image: Image, hostname: str) -> list[str]:
    """List the variables as NAME=value: defaults, the image's, the spec's; later ones win."""
    variables = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if spec.tty:
        variables["TERM"] = "xterm"
    for item in image.config.env:
        name, _, value = item.partition("=")
        variables[name] = value
    variables |= spec.environment
    return [f"{name}={value}" for name, value in variables.items()]


def working_dir(spec: ContainerSpec, image: Image) -> str:
    """Return the working folder as an absolute path without "..", so that "/" is its root."""
    return absolute(spec.working_dir or image.config.working_dir)


def absolute(path: str) -> str:
    """Return a path of the container in its shortest form."""
    return posixpath.normpath(posixpath.join("/", path)).replace("//", "/")


def process(
    spec: ContainerSpec, image: Image, hostname: str, privileges: Privileges
) -> dict[str, Any]:
    """Return the `process` object; user names are left to the container's own files."""
    limits = [
        {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft, "hard": limit.hard}
        for limit in spec.rlimits
    ]
    return {
        "terminal": spec.tty,
        "user": {"uid": 0, "gid": 0},
        "args": arguments(spec, image),
        "env": environment(spec, image, hostname),
        "cwd": working_dir(spec, image),
        "capabilities": capability_sets(privileges.capabilities),
        "rlimits": limits,
        "noNewPrivileges": spec.no_new_privileges,
        "oomScoreAdj": spec.oom_score_adj or 0,
    }


def capability_sets(names: tuple[str, ...]) -> dict[str, list[str]]:
    """Fill three of the five sets; inheritable ones would come back on executing a file that
    has them (CVE-2022-29162), and ambient ones make a non-root user privileged."""
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def user_spec(spec: ContainerSpec, image: Image) -> str:
    """Return the user as `user[:group]`, "" for root."""
    return image.config.user if spec.user is None else spec.user
