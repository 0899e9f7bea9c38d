"""The `deploy` section of a service."""

from typing import Annotated, Literal

from pydantic import Field

from stackr_schemas.compose.device_request import Reservation
from stackr_schemas.compose.forms import Pairs, Strings
from stackr_schemas.compose.model import GIVEN, ComposeModel
from stackr_schemas.types import Duration, Float, Int, UnitBytes

Order = Literal["", "start-first", "stop-first"]


class UpdateConfig(ComposeModel):
    """How replicas are replaced."""

    parallelism: Annotated[Annotated[Int, Field(ge=0)] | None, GIVEN] = None
    delay: Duration = 0
    failure_action: str = ""
    monitor: Duration = 0
    max_failure_ratio: Float = 0.0
    order: Order = ""


class DiscreteResource(ComposeModel):
    """A countable resource."""

    kind: str = ""
    value: Int = 0


class GenericResource(ComposeModel):
    """A resource that the user defines."""

    discrete_resource_spec: Annotated[DiscreteResource | None, GIVEN] = None


class Limits(ComposeModel):
    """What a container may use at most; `memory` in bytes, 0: no limit."""

    cpus: Float = 0.0
    memory: UnitBytes = 0
    pids: Int = 0


class Reservations(ComposeModel):
    """What a container must be able to use; `memory` in bytes."""

    cpus: Float = 0.0
    memory: UnitBytes = 0
    generic_resources: tuple[GenericResource, ...] = ()
    devices: tuple[Reservation, ...] = ()


class Resources(ComposeModel):
    """Limits and reservations."""

    limits: Annotated[Limits | None, GIVEN] = None
    reservations: Annotated[Reservations | None, GIVEN] = None


class RestartPolicy(ComposeModel):
    """When an ended container is started again."""

    condition: str = ""
    delay: Annotated[Duration | None, GIVEN] = None
    max_attempts: Annotated[Annotated[Int, Field(ge=0)] | None, GIVEN] = None
    window: Annotated[Duration | None, GIVEN] = None


class Preference(ComposeModel):
    """How replicas are spread."""

    spread: str = ""


class Placement(ComposeModel):
    """Where replicas may run."""

    constraints: Strings = ()
    preferences: tuple[Preference, ...] = ()
    max_replicas_per_node: Annotated[Int, Field(ge=0)] = 0


class Deploy(ComposeModel):
    """The `deploy` section of a service."""

    mode: str = ""
    replicas: Annotated[Annotated[Int, Field(ge=0)] | None, GIVEN] = None
    labels: Pairs = Field(default_factory=dict)
    update_config: Annotated[UpdateConfig | None, GIVEN] = None
    rollback_config: Annotated[UpdateConfig | None, GIVEN] = None
    resources: Annotated[Resources | None, GIVEN] = None
    restart_policy: Annotated[RestartPolicy | None, GIVEN] = None
    placement: Annotated[Placement | None, GIVEN] = None
    endpoint_mode: str = ""
