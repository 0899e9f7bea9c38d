"""Turns a seccomp profile in Docker's format into the `linux.seccomp` object of one container."""

import os
import re
from collections.abc import Collection
from typing import Any

from stackr_schemas.errors import StackrError

from stackr_engine.seccomp.architectures import Architecture, native


def docker_profile_to_oci(
    profile: dict[str, Any],
    capabilities: Collection[str],
    arch: str | None = None,
    kernel: str | None = None,
) -> dict[str, Any]:
    """Keep the rules that hold for a container with these capabilities on this machine.

    `arch` is a machine name and `kernel` a release as uname(2) tells them. Raise StackrError for
    a profile that is none.
    """
    if "defaultAction" not in profile:
        raise StackrError("the seccomp profile has no defaultAction")
    own = native(arch)
    release = _version(kernel or os.uname().release)
    oci: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
    oci |= {key: profile[key] for key in ("defaultErrnoRet", "flags") if profile.get(key)}
    oci["architectures"] = _architectures(profile, own)
    oci["syscalls"] = [
        _rule(entry)
        for entry in profile.get("syscalls") or []
        if _applies(entry, frozenset(capabilities), own, release)
    ]
    return oci


def _architectures(profile: dict[str, Any], own: Architecture) -> list[str]:
    if profile.get("architectures"):
        if profile.get("archMap"):
            raise StackrError("a seccomp profile has either architectures or archMap, not both")
        return list(profile["architectures"])
    for entry in profile.get("archMap") or []:
        if entry["architecture"] == own.scmp:
            return [own.scmp, *(entry.get("subArchitectures") or [])]
    return []


def _rule(entry: dict[str, Any]) -> dict[str, Any]:
    if "action" not in entry:
        raise StackrError(f"a rule of the seccomp profile has no action: {entry}")
    names = [*(entry.get("names") or []), *([entry["name"]] if entry.get("name") else [])]
    rule: dict[str, Any] = {"names": names, "action": entry["action"]}
    return rule | {key: entry[key] for key in ("errnoRet", "args") if entry.get(key)}


def _applies(
    entry: dict[str, Any], capabilities: frozenset[str], own: Architecture, release: tuple[int, int]
) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if not capabilities.issuperset(includes.get("caps") or ()):
        return False
    if includes.get("arches") and own.docker not in includes["arches"]:
        return False
    if includes.get("minKernel") and release < _version(includes["minKernel"]):
        return False
    if not capabilities.isdisjoint(excludes.get("caps") or ()):
        return False
    if own.docker in (excludes.get("arches") or ()):
        return False
    return not (excludes.get("minKernel") and release >= _version(excludes["minKernel"]))


def _version(release: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", release)
    if not found:
        raise StackrError(f"{release!r} is no kernel version")
    return int(found[1]), int(found[2])
