"""Files of /proc and /sys that expose the host: sysrq-trigger, core_pattern, kcore, keys, firmware."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.attempts import attempted, table, unlike

pytestmark = pytest.mark.root

# The outcome of each attempt under podman's masked and read-only paths, which a container cannot undo
EXPECTED = table(
    EROFS="""
        write /proc/sys/kernel/core_pattern|write /proc/sys/kernel/hostname|write /proc/sys/vm/drop_caches
        write /proc/irq/default_smp_affinity|write /proc/bus/pci/devices|write /sys/power/state
        write /sys/kernel/mm/transparent_hugepage/enabled|write /sys/fs/cgroup/cgroup.procs
        write /sys/fs/cgroup/unified/cgroup.procs|write /proc/sysrq-trigger|write /proc/fs/ext4/x
        write /proc/sys/fs/binfmt_misc/register""",
    empty="""
        read /proc/kcore|read /proc/keys|read /proc/timer_list|read /proc/acpi|read /proc/scsi|read /sys/firmware
        read /sys/dev/block|read /sys/devices/virtual/powercap|read /proc/latency_stats|read /proc/sched_debug""",
    EPERM="read /proc/kmsg|remount proc/sys|umount proc/sys|mount_setattr",
)
REFUSED = ("EROFS", "empty", "EPERM", "EACCES", "ENOENT")


@pytest.mark.parametrize("how", ["run", "exec"])
@pytest.mark.parametrize(
    "options",
    [{}, {"read_only": True}, {"cap_add": ["SYS_PTRACE", "DAC_READ_SEARCH"]}, {"pid": "host"}],
    ids=str,
)
def test_each(box, how: str, options: dict) -> None:
    found = attempted(box, how, **options)
    assert unlike(found, EXPECTED, absent="ENOENT") == {}
    assert EXPECTED.keys() <= found.keys()


def test_each_in_a_pod(box) -> None:
    pod = box.engine.pods.create(share="ipc,net,uts,pid")
    assert unlike(attempted(box, pod=pod), EXPECTED, absent="ENOENT") == {}


@pytest.mark.parametrize("options", [{"user": "1001"}, {"cap_drop": ["all"]}], ids=str)
def test_each_by_who_may_open_less_to_begin_with(box, options: dict) -> None:
    found = attempted(box, **options)
    assert {name: found[name] for name in EXPECTED if found[name] not in REFUSED} == {}


def test_unmasked_the_same_attempts_find_something(box) -> None:
    """Sanity check: the probe is not blind."""
    found = attempted(box, security_opt=["unmask=ALL"])
    assert found["read /proc/timer_list"] == "something"
    assert found["read /sys/firmware"] == ("something" if any(Path("/sys/firmware").iterdir()) else "empty")
    privileged = attempted(box, privileged=True)
    assert privileged["write /proc/sys/kernel/core_pattern"] == "ok"
    assert privileged["mount_setattr"] != "EPERM"
