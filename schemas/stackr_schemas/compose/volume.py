"""Named volumes of the project."""

from pydantic import Field, model_validator

from stackr_schemas.compose.forms import DriverOptions, Pairs
from stackr_schemas.compose.model import ComposeModel
from stackr_schemas.types import Bool


class Volume(ComposeModel):
    """One named volume."""

    name: str = ""
    driver: str = ""
    driver_opts: DriverOptions = Field(default_factory=dict)
    external: Bool = False
    labels: Pairs = Field(default_factory=dict)

    @model_validator(mode="after")
    def _external_has_only_a_name(self) -> "Volume":
        more = self.model_fields_set - {"name", "external"} - (self.model_extra or {}).keys()
        if self.external and more:
            raise ValueError(f"an external volume has only a name: remove {min(more)}")
        return self
