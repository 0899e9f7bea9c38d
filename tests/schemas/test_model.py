import subprocess
import sys

from pydantic import ValidationError
from pytest import raises
from stackr_schemas.compose.service import Healthcheck, Service

START = """
import sys
from stackr_schemas.compose.stack_file import StackFile
StackFile.model_validate({"services": {"web": {"image": "a"}}})
print("importlib.metadata" in sys.modules)
from pydantic.plugin._loader import get_plugins, PYDANTIC_ENTRY_POINT_GROUP
print(PYDANTIC_ENTRY_POINT_GROUP)
"""


def test_a_start_does_not_look_for_plugins_and_the_real_loader_is_still_there() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", START]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "pydantic"]


def test_models_are_frozen_and_keep_extensions() -> None:
    service = Service.model_validate({"image": "a", "x-note": 1})
    assert service.model_extra == {"x-note": 1}
    with raises(ValidationError, match="frozen"):
        service.image = "b"


def test_an_optional_field_refuses_an_explicit_null() -> None:
    assert Service.model_validate({"image": "a"}).healthcheck is None
    with raises(ValidationError):
        Service.model_validate({"image": "a", "healthcheck": None})
    with raises(ValidationError):
        Healthcheck.model_validate({"retries": None})
