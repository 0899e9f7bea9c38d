"""Control groups of containers: limits, devices, statistics and a sure end, on cgroup v1 and v2."""

from stackr_engine.cgroup.devices import DeviceRule
from stackr_engine.cgroup.hierarchy import Cgroups, Group, Stats
from stackr_engine.cgroup.mounts import open_cgroups

__all__ = ["Cgroups", "DeviceRule", "Group", "Stats", "open_cgroups"]
