"""A service's mounts: `[SOURCE:]TARGET[:OPTIONS]` or a mapping; configs, secrets and devices."""

import posixpath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stackr_schemas.compose.forms import Pairs
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.types import Bool, Mode, WholeBytes

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


class BindOptions(ComposeModel):
    """What only bind mounts have."""

    selinux: Literal["", "z", "Z"] = ""
    propagation: str = ""
    create_host_path: Bool = False
    recursive: Literal["", "enabled", "disabled", "writable", "readonly"] = ""


class VolumeOptions(ComposeModel):
    """What only volume mounts have."""

    labels: Pairs = Field(default_factory=dict)
    nocopy: Bool = False
    subpath: str = ""


class TmpfsOptions(ComposeModel):
    """What only tmpfs mounts have; `size` in bytes."""

    size: Annotated[WholeBytes, Field(ge=0)] = 0
    mode: Annotated[int, Field(strict=True)] = 0


class ImageOptions(ComposeModel):
    """What only image mounts have."""

    subpath: str = ""


class Mount(ComposeModel):
    """One entry of a service's `volumes`."""

    type: Literal["bind", "volume", "tmpfs", "cluster", "npipe", "image"]
    target: str
    source: str = ""
    read_only: Bool = False
    consistency: str = ""
    bind: Annotated[BindOptions | None, GIVEN] = None
    volume: Annotated[VolumeOptions | None, GIVEN] = None
    tmpfs: Annotated[TmpfsOptions | None, GIVEN] = None
    image: Annotated[ImageOptions | None, GIVEN] = None


class FileMount(ComposeModel):
    """One entry of a service's `configs` or `secrets`."""

    source: str = ""
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: Annotated[Mode | None, GIVEN] = None


class Device(ComposeModel):
    """One host device given to the container."""

    source: str
    target: str = ""
    permissions: str = ""


def parse_mount(spec: str) -> dict[str, Any]:
    """Read the short form; raises ValueError."""
    if len(spec) < 3:
        if not spec:
            raise ValueError("invalid empty mount")
        return {"type": "volume", "target": _clean(spec)}
    parts = _sections(spec)
    if "" in parts:
        raise ValueError(f"invalid mount {spec!r}: empty section between colons")
    if len(parts) > 3:
        raise ValueError(f"invalid mount {spec!r}: too many colons")
    if len(parts) == 1:
        return {"type": "volume", "target": _clean(parts[0]), "volume": {}}
    source, target, options = parts[0], parts[1], parts[2].split(",") if len(parts) == 3 else []
    mount: dict[str, Any] = {"type": "volume", "source": source, "target": _clean(target)}
    mount |= _mount_options(options)
    if is_path(source):
        bind = mount.get("bind", {}) | {"create_host_path": True}
        return mount | {"type": "bind", "bind": bind}
    return {"volume": {}} | mount


def _sections(spec: str) -> list[str]:
    parts, current, depth = [], "", 0
    for index, char in enumerate(spec):
        depth += spec[index : index + 2] == "${"
        depth -= depth > 0 and char == "}"
        is_drive = len(current) == 1 and current.isalpha()
        if char == ":" and not depth and not is_drive:
            parts.append(current)
            current = ""
        else:
            current += char
    return [*parts, current]


def _mount_options(options: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in options:
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy":
            found["volume"] = {"nocopy": True}
        elif option in PROPAGATIONS:
            found.setdefault("bind", {})["propagation"] = option
        elif option in ("z", "Z"):
            found.setdefault("bind", {})["selinux"] = option
    return found


def is_path(source: str) -> bool:
    """Tell a host path from a volume's name: paths begin with `.`, `/`, `~` or a drive letter."""
    return source[:1] in (".", "/", "~") or source.startswith("\\\\") or has_drive(source)


def has_drive(source: str) -> bool:
    """Tell a Windows path by its drive letter."""
    return len(source) > 1 and source[0].isalpha() and source[1] == ":"


def _clean(target: str) -> str:
    if not target:
        return ""
    cleaned = posixpath.normpath(target)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def mount(value: object) -> object:
    """Read one mount in either form."""
    return parse_mount(value) if isinstance(value, str) else value


def file_mount(value: object) -> object:
    """Read one config or secret in either form."""
    return {"source": value} if isinstance(value, str) else value


def device(value: object) -> object:
    """Read `SOURCE[:TARGET[:PERMISSIONS]]` or a mapping."""
    if not isinstance(value, str):
        return value
    source, *rest = value.split(":")
    if len(rest) > 2:
        raise ValueError(f"invalid device {value!r}: write SOURCE:TARGET:PERMISSIONS")
    target, permissions = [*rest, source, "rwm"][:1], [*rest[1:], "rwm"][:1]
    return {"source": source, "target": target[0], "permissions": permissions[0]}


AnyMount = Annotated[Mount, BeforeValidator(mount, json_schema_input_type=str | Mount)]
AnyFileMount = Annotated[
    FileMount, BeforeValidator(file_mount, json_schema_input_type=str | FileMount)
]
AnyDevice = Annotated[Device, BeforeValidator(device, json_schema_input_type=str | Device)]
