"""A loaded stack: all names resolved, every value in its long form."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from stackr_schemas.compose.ai_model import Model
from stackr_schemas.compose.file_object import Config, Secret
from stackr_schemas.compose.network import Network
from stackr_schemas.compose.service import Service
from stackr_schemas.compose.volume import Volume
from stackr_schemas.errors import NotFound, Where

Locate = Callable[[str], Where | None]


def _nowhere(path: str) -> None:
    return None


class Project(BaseModel):
    """One stack as it is wanted; services whose profile is not active are in `disabled`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    working_dir: str
    files: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    """The variables that the files were interpolated with."""
    profiles: tuple[str, ...] = ()
    services: dict[str, Service] = Field(default_factory=dict)
    disabled: dict[str, Service] = Field(default_factory=dict)
    networks: dict[str, Network] = Field(default_factory=dict)
    volumes: dict[str, Volume] = Field(default_factory=dict)
    secrets: dict[str, Secret] = Field(default_factory=dict)
    configs: dict[str, Config] = Field(default_factory=dict)
    models: dict[str, Model] = Field(default_factory=dict)
    values: dict[str, str] = Field(default_factory=dict)
    """The values of secrets and configs that come from variables, by `secrets.NAME`."""
    extensions: dict[str, Any] = Field(default_factory=dict)
    """The top-level `x-` keys."""
    warnings: tuple[str, ...] = ()
    _locate: Locate = PrivateAttr(default_factory=lambda: _nowhere)

    def located_by(self, locate: Locate) -> "Project":
        """Attach the places of the project's keys in its files."""
        self._locate = locate
        return self

    def where(self, path: str) -> Where | None:
        """Tell the place of a path like `services.web.ports[0]`, or of what is nearest above it."""
        return self._locate(path)

    def changed(self, **changes: Any) -> "Project":
        """Return a copy with other fields."""
        return self.model_copy(update=changes)

    def enable(self, names: Iterable[str]) -> "Project":
        """Activate the profiles of services that are asked for by name."""
        wanted = [self.disabled[name] for name in names if name in self.disabled]
        profiles = {profile for service in wanted for profile in service.profiles}
        return self.with_profiles([*self.profiles, *sorted(profiles)]) if wanted else self

    def with_profiles(self, profiles: Iterable[str]) -> "Project":
        """Sort the services into enabled and disabled ones; `*` activates every profile."""
        active = tuple(dict.fromkeys(profile for profile in profiles if profile))
        services = self.disabled | self.services
        on = {k: v for k, v in services.items() if _is_active(v, active)}
        off = {k: v for k, v in services.items() if k not in on}
        return self.changed(services=on, disabled=off, profiles=active)

    def select(self, names: Iterable[str], with_dependencies: bool = True) -> "Project":
        """Keep the services asked for (all if none is) and what they depend on.

        A service asked for by name is enabled whatever its profiles. Raises NotFound.
        """
        wanted = list(names)
        if not wanted:
            return self
        enabled = self.enable(wanted)
        chosen = enabled._closure(wanted, with_dependencies)
        services = {
            name: _depending_on(service, chosen)
            for name, service in enabled.services.items()
            if name in chosen
        }
        rest = {k: v for k, v in enabled.services.items() if k not in chosen}
        return enabled.changed(services=services, disabled=enabled.disabled | rest)

    def _closure(self, names: list[str], with_dependencies: bool) -> set[str]:
        chosen: set[str] = set()
        waiting = [(name, True) for name in names]
        while waiting:
            pattern, is_required = waiting.pop()
            found = [name for name in self.services if fnmatchcase(name, pattern)]
            if not found and is_required:
                raise NotFound(f"no such service: {pattern}", hint=self._known())
            for name in set(found) - chosen:
                chosen.add(name)
                depends = self.services[name].depends_on if with_dependencies else {}
                waiting += [(other, item.required) for other, item in depends.items()]
        return chosen

    def _known(self) -> str:
        return f"services: {', '.join(sorted(self.services | self.disabled)) or 'none'}"

    def without_unused(self) -> "Project":
        """Drop networks, volumes, secrets, configs and models that no service refers to."""
        used = [_references(service) for service in self.services.values()]
        kinds = ("networks", "volumes", "secrets", "configs", "models")
        return self.changed(
            **{
                kind: _only(getattr(self, kind), {name for one in used for name in one[kind]})
                for kind in kinds
            }
        )


def _is_active(service: Service, profiles: tuple[str, ...]) -> bool:
    return not service.profiles or "*" in profiles or not set(profiles).isdisjoint(service.profiles)


def _depending_on(service: Service, names: set[str]) -> Service:
    if service.depends_on.keys() <= names:
        return service
    return service.model_copy(update={"depends_on": _only(service.depends_on, names)})


def _only(items: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: item for name, item in items.items() if name in names}


def _references(service: Service) -> dict[str, set[str]]:
    built = service.build.secrets if service.build else ()
    return {
        "networks": set(service.networks),
        "volumes": {m.source for m in service.volumes if m.type == "volume" and m.source},
        "secrets": {secret.source for secret in (*service.secrets, *built)},
        "configs": {config.source for config in service.configs},
        "models": set(service.models),
    }
