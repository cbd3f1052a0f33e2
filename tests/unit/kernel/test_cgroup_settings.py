"""From linux.resources of an OCI configuration to the values written for v1 and v2; parsing of counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.errors import Unsupported
from pypod.kernel.cgroups.none import NoDriver
from pypod.kernel.cgroups.settings import Setting, cpu_weight, io_weight, legacy, unified
from pypod.kernel.cgroups.usage import cpu_stat, io_service_bytes, io_stat, number

DEVICE = {"major": 8, "minor": 16}


def written(settings: tuple[Setting, ...]) -> dict[str, str]:
    return {file: text for setting in settings for file, text in setting.choices[:1]}


# the tables of crun (crun.1.md) and of the runtime specification
@pytest.mark.parametrize(
    ("resources", "v1", "v2"),
    [
        ({"cpu": {"shares": 1024}}, {"cpu.shares": "1024"}, {"cpu.weight": "39"}),
        (
            {"cpu": {"quota": 50_000, "period": 100_000}},
            {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
            {"cpu.max": "50000 100000"},
        ),
        ({"cpu": {"quota": -1}}, {"cpu.cfs_quota_us": "-1"}, {"cpu.max": "max"}),
        ({"cpu": {"cpus": "0-1"}}, {"cpuset.cpus": "0-1"}, {"cpuset.cpus": "0-1"}),
        ({"memory": {"reservation": 5}}, {"memory.soft_limit_in_bytes": "5"}, {"memory.low": "5"}),
        # v1 counts memory and swap together, v2 swap alone
        (
            {"memory": {"limit": 100, "swap": 150}},
            {"memory.limit_in_bytes": "100", "memory.memsw.limit_in_bytes": "150"},
            {"memory.max": "100", "memory.swap.max": "50"},
        ),
        (
            {"memory": {"limit": 100, "swap": -1}},
            {"memory.limit_in_bytes": "100", "memory.memsw.limit_in_bytes": "-1"},
            {"memory.max": "100", "memory.swap.max": "max"},
        ),
        ({"pids": {"limit": 0}}, {"pids.max": "max"}, {"pids.max": "max"}),
        ({"blockIO": {"weight": 10}}, {"blkio.bfq.weight": "10"}, {"io.bfq.weight": "10"}),
        (
            {"blockIO": {"throttleReadBpsDevice": [{**DEVICE, "rate": 1048576}]}},
            {"blkio.throttle.read_bps_device": "8:16 1048576"},
            {"io.max": "8:16 rbps=1048576"},
        ),
        (
            {"blockIO": {"throttleWriteIOPSDevice": [{**DEVICE, "rate": 100}]}},
            {"blkio.throttle.write_iops_device": "8:16 100"},
            {"io.max": "8:16 wiops=100"},
        ),
        (
            {"blockIO": {"weightDevice": [{**DEVICE, "weight": 1000}]}},
            {"blkio.bfq.weight_device": "8:16 1000"},
            {"io.bfq.weight": "8:16 1000"},
        ),
    ],
)
def test_both_versions(resources: dict[str, object], v1: dict[str, str], v2: dict[str, str]) -> None:
    assert written(legacy(resources)) == v1
    assert written(unified(resources)) == v2


@pytest.mark.parametrize(
    ("resources", "flag"),
    [
        ({"memory": {"disableOOMKiller": True}}, "--oom-kill-disable"),
        ({"memory": {"swappiness": 10}}, "--memory-swappiness"),
        ({"cpu": {"realtimeRuntime": 10}}, "--cpu-rt-runtime"),
        ({"cpu": {"realtimePeriod": 10}}, "--cpu-rt-period"),
    ],
)
def test_what_v2_lacks_is_an_error(resources: dict[str, object], flag: str) -> None:
    assert legacy(resources)
    with pytest.raises(Unsupported, match=flag):
        unified(resources)


def test_a_period_alone_keeps_the_quota() -> None:
    assert written(unified({"cpu": {"period": 50_000}}, read={"cpu.max": "20000 100000\n"}.__getitem__)) == {
        "cpu.max": "20000 50000"
    }
    assert written(unified({"cpu": {"period": 50_000}})) == {"cpu.max": "max 50000"}


def test_only_defaults_are_optional() -> None:
    resources = {"pids": {"limit": 2048}, "memory": {"limit": 5}}
    assert {one.flag: one.optional for one in legacy(resources, {"--pids-limit"})} == {
        "--pids-limit": True,
        "--memory": False,
    }


@given(st.integers(0, 1 << 40))
def test_weights_are_in_range_and_in_order(shares: int) -> None:
    assert 1 <= cpu_weight(shares) <= cpu_weight(shares + 1) <= 10_000


@given(st.integers(10, 999))
def test_weights_of_block_devices(weight: int) -> None:
    assert 1 <= io_weight(weight) <= io_weight(weight + 1) <= 10_000
    assert (io_weight(10), io_weight(1000)) == (1, 10_000)


def test_without_groups_every_limit_says_why() -> None:
    driver = NoDriver("the host is not as it should be")
    for resources in ({"memory": {"limit": 5}}, {"pids": {"limit": 5}}, {"cpu": {"shares": 5}}):
        with pytest.raises(Unsupported, match="cannot create cgroups: the host is not as it should be"):
            driver.settings(resources)
    assert driver.settings({"pids": {"limit": 2048}}, {"--pids-limit"}) == ()
    with pytest.raises(Unsupported, match="no statistics"):
        driver.usage("/x")
    with pytest.raises(Unsupported, match="cannot be paused"):
        driver.freeze("/x", True)
    with pytest.raises(Unsupported, match="cannot be paused"):
        driver.freezer_file("/x")


class TestCounters:
    @pytest.mark.parametrize(
        ("text", "value"), [("17\n", 17), ("max\n", None), ("", None), ("9223372036854771712\n", None), ("0\n", 0)]
    )
    def test_numbers(self, text: str, value: int | None) -> None:
        assert number(text) == value

    def test_of_time(self) -> None:
        assert cpu_stat("usage_usec 12\nuser_usec 5\nsystem_usec 7\nnr_periods 0\n") == (12_000, 7_000)
        assert cpu_stat("") == (None, None)

    def test_of_block_devices(self) -> None:
        assert io_stat("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=9 dios=9\n8:16 rbytes=10 wbytes=20\n") == (11, 22)
        assert io_stat("") == (0, 0)
        text = "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\n8:16 Read 10\n8:16 Write 20\nTotal 33\n"
        assert io_service_bytes(text) == (11, 22)
