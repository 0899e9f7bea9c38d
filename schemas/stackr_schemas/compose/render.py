"""A project as plain data, in the canonical form that `config` prints."""

from collections.abc import Mapping
from typing import Any

from stackr_schemas.compose.blkio import DeviceRate, DeviceWeight
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service
from stackr_schemas.compose.stack_file import StackFile

SECTIONS = ("services", "networks", "volumes", "secrets", "configs", "models")


def rendered(project: Project, with_extensions: bool = True) -> dict[str, Any]:
    """Write the project in long form.

    Without extensions, only the top-level `x-` keys stay, models are left out, and devices of
    `blkio_config` have capitals: that is the JSON form of Docker Compose.
    """
    sections = SECTIONS if with_extensions else SECTIONS[:-1]
    items = {section: getattr(project, section) for section in sections}
    # One dump of the model that loading has built already: others would be built first, 15 ms.
    dumped = StackFile.model_construct(None, **items).model_dump(exclude_defaults=True)
    found: dict[str, Any] = {"name": project.name, "services": {}}
    for section in sections:
        if items[section]:
            found[section] = _arranged(items[section], dumped[section], with_extensions)
    return found | {key: project.extensions[key] for key in sorted(project.extensions)}


def rendered_service(service: Service) -> dict[str, Any]:
    """Write one service in long form, with extensions."""
    found: dict[str, Any] = _arranged(service, service.model_dump(exclude_defaults=True), True)
    return found


def _arranged(value: object, dumped: Any, with_extensions: bool) -> Any:
    """Sort mappings that the user keys, keep the order of fields, drop extensions."""
    if isinstance(value, ComposeModel):
        if not isinstance(dumped, dict):
            return dumped
        extra = () if with_extensions else (value.model_extra or ())
        if not with_extensions and isinstance(value, DeviceWeight | DeviceRate):
            return {key.capitalize(): item for key, item in value.model_dump().items()}
        return {
            key: _arranged(getattr(value, key, None), item, with_extensions)
            for key, item in dumped.items()
            if key not in extra
        }
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        return {k: _arranged(value[k], dumped[k], with_extensions) for k in sorted(dumped)}
    if isinstance(value, tuple) and isinstance(dumped, tuple | list):
        pairs = zip(value, dumped, strict=True)
        return [_arranged(one, item, with_extensions) for one, item in pairs]
    return list(dumped) if isinstance(dumped, tuple) else dumped
