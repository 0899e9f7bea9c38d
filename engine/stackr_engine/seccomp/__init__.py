"""Seccomp filters: Docker's default profile, its profile format, and a compiler to classic BPF."""

from stackr_engine.seccomp.compiler import compile_profile, flags
from stackr_engine.seccomp.default import default_profile
from stackr_engine.seccomp.docker import docker_profile_to_oci

__all__ = ["compile_profile", "default_profile", "docker_profile_to_oci", "flags"]
