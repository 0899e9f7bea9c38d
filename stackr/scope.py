"""What exists of one project on this machine, and what its file wants of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from stackr_engine.engine import Engine
from stackr_schemas.compose.project import Project
from stackr_schemas.errors import NotFound, StackrError
from stackr_schemas.image import Image
from stackr_schemas.network import NetworkState
from stackr_schemas.state import ContainerState

from stackr.desired import Observed
from stackr.pull_policy import Have, Wish


def containers_of(
    engine: Engine, project: str, services: Iterable[str] = (), *, one_off: bool = False
) -> list[ContainerState]:
    """Return a project's containers by service and number; `run`'s too if `one_off`."""
    wanted = set(services)
    found = [
        state
        for state in engine.containers
        if state.label("project") == project
        and (not wanted or state.label("service") in wanted)
        and (one_off or state.label("oneoff") != "True")
    ]
    return sorted(
        found, key=lambda state: (state.label("service"), number_of(state), state.created)
    )


def number_of(state: ContainerState) -> int:
    """Return a replica's number, 0 for what has none."""
    text = state.label("container-number")
    return int(text) if text.isdigit() else 0


def networks_of(engine: Engine, project: str) -> list[NetworkState]:
    """Return the networks that were made for a project."""
    label = "com.docker.compose.project"
    return [state for state in engine.networks.list() if state.spec.labels.get(label) == project]


def observe(engine: Engine, project: str) -> Observed:
    """Read what exists of a project."""
    return Observed(
        containers=tuple(containers_of(engine, project)),
        networks=tuple(engine.networks.list()),
        volumes=frozenset(volume.name for volume in engine.volumes.list()),
    )


def have(engine: Engine, reference: str) -> Have | None:
    """Tell what is known of an image in the store, None if it is not there."""
    try:
        stored = engine.images.get(reference)
    except NotFound:
        return None
    origin = engine.images.origin(reference)
    return Have(stored.platform, origin.checked if origin else None)


def wishes_of(project: Project, policy: str = "") -> dict[str, Wish]:
    """Return the image of each service, and when to pull it; a given policy goes before all."""
    return {
        name: Wish(service.image, policy or service.pull_policy, service.platform)
        for name, service in project.services.items()
    }


def images_for(engine: Engine, project: Project) -> dict[str, Image]:
    """Resolve each service's image, before anything is made; all that are missing are named."""
    images: dict[str, Image] = {}
    missing: list[StackrError] = []
    for name, service in project.services.items():
        try:
            images[name] = engine.images.resolve(service.image, Path(project.working_dir))
        except StackrError as error:
            error.where = project.where(f"services.{name}.image")
            error.message = f"services.{name}.image: {error.message}"
            missing.append(error)
    if missing:
        rest = "".join(f"\n{error}" for error in missing[1:])
        first = missing[0]
        raise StackrError(f"{first}{rest}")
    return images


def check_external(engine: Engine, project: Project) -> None:
    """Refuse to start while a network or volume that somebody else makes is not there."""
    used = project.without_unused()
    networks = {state.spec.name for state in engine.networks.list()} | {"host", "none"}
    volumes = {volume.name for volume in engine.volumes.list()}
    kinds: list[tuple[str, Mapping[str, object], set[str]]] = [
        ("network", used.networks, networks),
        ("volume", used.volumes, volumes),
    ]
    for kind, declared, existing in kinds:
        for key, item in declared.items():
            name = str(getattr(item, "name", key))
            if getattr(item, "external", False) and name not in existing:
                raise StackrError(
                    f"{kind} {name} declared as external, but could not be found",
                    where=project.where(f"{kind}s.{key}"),
                    hint=f"create it, or remove `external: true` to let stackr make the {kind}",
                )
