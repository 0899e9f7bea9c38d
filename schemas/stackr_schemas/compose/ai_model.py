"""Language models that services use."""

from typing import Annotated

from pydantic import BeforeValidator

from stackr_schemas.compose.forms import Strings, keyed
from stackr_schemas.compose.model import ComposeModel


class Model(ComposeModel):
    """One language model of the project."""

    name: str = ""
    model: str
    context_size: int = 0
    runtime_flags: Strings = ()


class ServiceModel(ComposeModel):
    """Variables that tell a service where its model is."""

    endpoint_var: str = ""
    model_var: str = ""


ServiceModels = Annotated[
    dict[str, ServiceModel | None],
    BeforeValidator(keyed(None), json_schema_input_type=list[str] | dict[str, ServiceModel | None]),
]
