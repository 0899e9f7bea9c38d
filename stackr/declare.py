"""From a loaded project to everything that it wants to exist, with Compose's names and labels."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service
from stackr_schemas.container import ContainerSpec
from stackr_schemas.image import Image
from stackr_schemas.network import IpamPool, NetworkSpec

from stackr.desired import Dependency, Desired, DesiredContainer, DesiredVolume
from stackr.drift import of_user
from stackr.service_spec import spec_for

PREFIX = "com.docker.compose."
VERSION = "0.1.0"


def desired_for(
    project: Project,
    images: Mapping[str, Image],
    *,
    scale: Mapping[str, int] | None = None,
    declared: Iterable[str] = (),
) -> Desired:
    """Return what the project's services want; `images` by service, `scale` over the file's."""
    scale = scale or {}
    containers = tuple(
        desired_container(project, name, number, images[name])
        for name, service in project.services.items()
        for number in range(1, scale.get(name, service.replicas) + 1)
    )
    used = project.without_unused()
    return Desired(
        project=project.name,
        containers=containers,
        networks=tuple(networks(used)),
        volumes=tuple(volumes(used)),
        services=frozenset([*declared, *project.services, *project.disabled]),
        selected=frozenset(project.services),
    )


def desired_container(project: Project, name: str, number: int, image: Image) -> DesiredContainer:
    """Return one replica with its labels; the hash covers the spec without the hash."""
    labels = container_labels(project, name, number, image)
    spec = spec_for(
        project,
        name,
        number,
        image_id=image.id,
        image_health=image.config.healthcheck,
        labels=labels,
    )
    spec.labels[f"{PREFIX}config-hash"] = config_hash(spec)
    return DesiredContainer(name, number, spec, image, tuple(dependencies(project.services[name])))


def config_hash(spec: ContainerSpec) -> str:
    """Return a digest that changes when anything of the spec does, our own labels apart."""
    bare = spec.model_copy(update={"labels": of_user(spec.labels)})
    return hashlib.sha256(bare.model_dump_json().encode()).hexdigest()


def dependencies(service: Service) -> Iterator[Dependency]:
    """Translate `depends_on`."""
    for other, item in service.depends_on.items():
        yield Dependency(other, item.condition, item.restart, item.required)


def container_labels(project: Project, name: str, number: int, image: Image) -> dict[str, str]:
    """Return the labels that Docker Compose gives a container."""
    depends = ",".join(
        f"{other}:{item.condition}:{str(item.restart).lower()}"
        for other, item in project.services[name].depends_on.items()
    )
    labels = {
        "project": project.name,
        "service": name,
        "container-number": str(number),
        "oneoff": "False",
        "depends_on": depends,
        "image": image.id,
        "project.config_files": ",".join(project.files),
        "project.working_dir": project.working_dir,
        "version": VERSION,
    }
    return {f"{PREFIX}{key}": value for key, value in labels.items()}


def networks(project: Project) -> Iterator[NetworkSpec]:
    """Translate the networks that we make; external ones are only looked up."""
    for key, network in project.networks.items():
        if network.external or network.name in ("host", "none"):
            continue
        pools = network.ipam.config if network.ipam else ()
        yield NetworkSpec(
            name=network.name,
            internal=network.internal,
            enable_ipv4=network.enable_ipv4 is not False,
            enable_ipv6=bool(network.enable_ipv6),
            pools=tuple(IpamPool.model_validate(pool.model_dump()) for pool in pools),
            options=network.driver_opts,
            labels={**network.labels, **_labels(project, network=key)},
        )


def volumes(project: Project) -> Iterator[DesiredVolume]:
    """Translate the named volumes that we make."""
    for key, volume in project.volumes.items():
        if not volume.external:
            yield DesiredVolume(volume.name, {**volume.labels, **_labels(project, volume=key)})


def _labels(project: Project, **kind: str) -> dict[str, str]:
    labels = {**kind, "project": project.name, "version": VERSION}
    return {f"{PREFIX}{key}": value for key, value in labels.items()}
