"""Short ways to say what a test is about."""

from typing import Any

from stackr_schemas.container import ContainerSpec
from stackr_schemas.image import Image, ImageConfig
from stackr_schemas.state import ContainerState, Status

from stackr.desired import Dependency, Desired, DesiredContainer, Observed

IMAGE = Image(id="sha256:1", reference="app", config=ImageConfig(), lowers=("/lower",))
PREFIX = "com.docker.compose."


def wanted(
    service: str, number: int = 1, *, after: dict[str, str] | None = None, **spec: Any
) -> DesiredContainer:
    labels = {f"{PREFIX}service": service, f"{PREFIX}container-number": str(number)}
    labels[f"{PREFIX}depends_on"] = ",".join(f"{k}:{v}:false" for k, v in (after or {}).items())
    container = ContainerSpec(
        name=f"p-{service}-{number}",
        image="app",
        labels={**labels, f"{PREFIX}project": "p", **spec.pop("labels", {})},
        **spec,
    )
    needs = tuple(Dependency(name, condition) for name, condition in (after or {}).items())
    return DesiredContainer(service, number, container, IMAGE, needs)


def desired(*containers: DesiredContainer, **more: Any) -> Desired:
    services = frozenset(one.service for one in containers) | more.pop("services", frozenset())
    return Desired("p", containers, services=services, selected=services, **more)


def state(of: DesiredContainer, status: Status = Status.RUNNING, **changes: Any) -> ContainerState:
    values = {"id": f"id-{of.name}", "spec": of.spec, "image": of.image, "created": 1.0}
    return ContainerState(**{**values, "status": status, "wanted": "running", **changes})


def observed(*states: ContainerState, **more: Any) -> Observed:
    return Observed(tuple(states), **more)
