"""What the kernel is told, computed without a kernel."""

import pytest
from stackr_engine.cgroup.device_program import program
from stackr_engine.cgroup.devices import DeviceRule, parse_rule
from stackr_engine.cgroup.mounts import v1_hierarchies
from stackr_engine.cgroup.v1_limits import limits_for, shares_for, weight_for
from stackr_schemas.container import Resources
from stackr_schemas.errors import StackrError


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (512, 20), (1000, 39), (1024, 39), (2048, 79), (262144, 10000)]
)
def test_shares_become_the_weight_that_runc_gives(shares: int, weight: int) -> None:
    assert weight_for(shares) == weight


@pytest.mark.parametrize("shares", [2, 64, 128, 256, 512, 1024, 2048, 4096, 262144])
def test_round_shares_survive_the_way_through_weight(shares: int) -> None:
    assert shares_for(weight_for(shares)) == shares


def test_every_weight_survives_the_way_through_shares() -> None:
    assert [weight_for(shares_for(weight)) for weight in range(1, 10001)] == [*range(1, 10001)]


def test_swap_on_v1_counts_memory_too() -> None:
    limits = {limit.file: limit for limit in limits_for(Resources(memory_max=7, memory_swap_max=3))}
    assert limits["memory.memsw.limit_in_bytes"].value == "10"
    assert not limits["pids.max"].is_set
    with pytest.raises(StackrError, match="without memory"):
        limits_for(Resources(memory_swap_max=3))


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("c 1:3 mr", [DeviceRule("c", 1, 3, "mr")]),
        ("b 8:* rwm", [DeviceRule("b", 8, None, "rwm")]),
        ("a *:* rwm", [DeviceRule("c", None, None), DeviceRule("b", None, None)]),
    ],
)
def test_device_rules_are_read_as_compose_writes_them(text: str, rules: list[DeviceRule]) -> None:
    assert sorted(map(str, parse_rule(text))) == sorted(map(str, rules))


@pytest.mark.parametrize("text", ["", "c 1:3", "d 1:3 r", "c 1 r", "c x:3 r", "c 1:3 rx"])
def test_other_device_rules_are_refused(text: str) -> None:
    with pytest.raises(StackrError, match="device rule"):
        parse_rule(text)


def test_rules_for_one_device_are_one_block_of_the_program() -> None:
    split = [DeviceRule("c", 1, 3, "r"), DeviceRule("c", 1, 3, "wm")]
    assert program(split) == program([DeviceRule("c", 1, 3, "rwm")])


def test_hierarchies_are_found_by_controller_wherever_they_are_mounted() -> None:
    text = (
        "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n"
        "32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"
    )
    found = v1_hierarchies(text)
    assert found["cpu"] == found["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert found["memory"] == "/sys/fs/cgroup/memory"
    assert "/sys/fs/cgroup/unified" not in found.values()
