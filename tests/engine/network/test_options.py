import pytest
from stackr_engine.network.options import BridgeOptions, bridge_options
from stackr_schemas.errors import StackrError
from stackr_schemas.network import NetworkSpec

BRIDGE = "com.docker.network.bridge."


def read(**options: str) -> BridgeOptions:
    return bridge_options(NetworkSpec(name="front", options=options))


def test_dockers_options_are_read() -> None:
    assert read() == BridgeOptions()
    assert read(
        **{
            BRIDGE + "name": "br-mine",
            BRIDGE + "enable_icc": "false",
            BRIDGE + "enable_ip_masquerade": "0",
            BRIDGE + "host_binding_ipv4": "127.0.0.1",
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.container_iface_prefix": "net",
        }
    ) == BridgeOptions("br-mine", False, False, "127.0.0.1", 1400, "net")
    assert read(**{BRIDGE + "host_binding_ipv4": "0.0.0.0"}).host_ip == ""


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (BRIDGE + "inhibit_ipv4", "true", "inhibit_ipv4 is not supported"),
        (BRIDGE + "enable_icc", "maybe", "must be true or false"),
        ("com.docker.network.driver.mtu", "big", "must be a number"),
        (BRIDGE + "name", "a-name-that-is-too-long", "cannot be the name"),
    ],
)
def test_what_is_not_understood_is_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(StackrError, match=message):
        read(**{key: value})
