"""From a container's spec and its image to the OCI runtime-spec config that the spawner runs."""

from stackr_engine.bootstrap.config import LOG, Prepared, oci_config, start_request
from stackr_engine.bootstrap.devices import Device, all_devices, devices_for
from stackr_engine.bootstrap.execution import exec_request
from stackr_engine.bootstrap.privileges import Privileges, privileges_for

__all__ = [
    "LOG",
    "Device",
    "Prepared",
    "Privileges",
    "all_devices",
    "devices_for",
    "exec_request",
    "oci_config",
    "privileges_for",
    "start_request",
]
