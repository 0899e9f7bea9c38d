import pytest
from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service
from stackr_schemas.compose.stack_file import StackFile
from stackr_schemas.errors import NotFound


def project(**services: dict) -> Project:
    stack = StackFile.model_validate(
        {
            "services": {name: {"image": "x"} | keys for name, keys in services.items()},
            "networks": {"a": {}, "b": {}},
            "volumes": {"v": {}, "w": {}},
        }
    )
    found = Project(
        name="p", working_dir="/p", services=stack.services, networks=stack.networks,
        volumes=stack.volumes,
    )  # fmt: skip
    return found.with_profiles(())


def needs(name: str, required: bool = True) -> dict:
    return {"depends_on": {name: {"condition": "service_started", "required": required}}}


def test_services_of_inactive_profiles_are_disabled() -> None:
    found = project(web={}, debug={"profiles": ["dev"]})
    assert list(found.services) == ["web"] and list(found.disabled) == ["debug"]
    assert list(found.with_profiles(["dev"]).services) == ["debug", "web"]
    assert not found.with_profiles(["*"]).disabled


def test_selecting_takes_dependencies_along() -> None:
    found = project(web=needs("db"), db=needs("disk"), disk={}, other={})
    assert set(found.select(["web"]).services) == {"web", "db", "disk"}
    assert set(found.select(["web"]).disabled) == {"other"}
    assert set(found.select([]).services) == {"web", "db", "disk", "other"}


def test_selecting_without_dependencies_forgets_them() -> None:
    found = project(web=needs("db"), db={}).select(["web"], with_dependencies=False)
    assert set(found.services) == {"web"} and not found.services["web"].depends_on


def test_a_service_asked_for_by_name_is_enabled_with_its_profile() -> None:
    found = project(debug={"profiles": ["dev"]}, more={"profiles": ["dev"]}, web={})
    assert set(found.select(["debug"]).services) == {"debug"}


def test_a_dependency_that_is_not_required_may_be_disabled() -> None:
    found = project(web=needs("db", required=False), db={"profiles": ["x"]})
    assert set(found.select(["web"]).services) == {"web"}


def test_unknown_services_are_refused_by_name() -> None:
    with pytest.raises(NotFound, match="no such service: wbe"):
        project(web={}).select(["wbe"])


def test_unused_resources_are_dropped() -> None:
    mount = {"type": "volume", "source": "v", "target": "/v"}
    found = project(web={"networks": {"a": None}, "volumes": [mount]}).without_unused()
    assert set(found.networks) == {"a"} and set(found.volumes) == {"v"}


def test_replicas_come_from_scale_then_deploy() -> None:
    assert Service(image="x").replicas == 1
    assert Service.model_validate({"image": "x", "deploy": {"replicas": 3}}).replicas == 3
    assert Service.model_validate({"image": "x", "scale": "0"}).replicas == 0
