"""What a container's processes may do: capabilities and the seccomp filter."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stackr_schemas.container import ContainerSpec
from stackr_schemas.errors import StackrError

from stackr_engine.capabilities import effective_capabilities, host_capabilities
from stackr_engine.seccomp import (
    compile_profile,
    default_profile,
    docker_profile_to_oci,
    flags,
)
from stackr_engine.spawn.request import Seccomp


@dataclass(frozen=True)
class Privileges:
    """Capabilities by full name; the seccomp filter as an OCI object and compiled."""

    capabilities: tuple[str, ...]
    profile: dict[str, Any] | None
    seccomp: Seccomp


def privileges_for(spec: ContainerSpec, privileged: bool = False) -> Privileges:
    """Decide what a container, or with `privileged` an exec in it, may do."""
    free = privileged or spec.privileged
    return _privileges(spec.cap_add, spec.cap_drop, free, "unconfined" if free else spec.seccomp)


@lru_cache(maxsize=64)
def _privileges(
    add: tuple[str, ...], drop: tuple[str, ...], privileged: bool, seccomp: str
) -> Privileges:
    """Compile a filter once: it takes longer than starting a container."""
    capabilities = effective_capabilities(add, drop, privileged, host_capabilities())
    profile = _profile(seccomp, capabilities)
    if profile is None:
        return Privileges(capabilities, None, Seccomp())
    return Privileges(capabilities, profile, Seccomp(compile_profile(profile), flags(profile)))


def _profile(seccomp: str, capabilities: tuple[str, ...]) -> dict[str, Any] | None:
    if seccomp == "unconfined":
        return None
    if seccomp == "default":
        return default_profile(capabilities)
    try:
        given = json.loads(seccomp)
    except json.JSONDecodeError as error:
        raise StackrError(f"the seccomp profile is not JSON: {error}") from None
    return docker_profile_to_oci(given, capabilities)
