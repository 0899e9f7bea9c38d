"""What a volume is."""

from pydantic import Field

from stackr_schemas.container import Frozen


class Volume(Frozen):
    """A folder of the host that outlives the containers which mount it."""

    name: str
    created: float
    """Seconds since the epoch."""
    labels: dict[str, str] = Field(default_factory=dict)
