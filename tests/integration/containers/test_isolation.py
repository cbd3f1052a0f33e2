"""What a process in a container has and may do, seen from inside: as the first process and as a later command."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, LaunchFailed
from tests.integration.inside import execute

pytestmark = pytest.mark.root

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap: containers.conf(5)
PODMANS_ELEVEN = 0x800405FB
NET_ADMIN, CHOWN = 1 << 12, 1 << 0

both = pytest.mark.parametrize("how", ["run", "exec"])


def test_masks_of_the_users_own(box) -> None:
    text = box.shell("ls /bin | wc -l; wc -c < /etc/passwd; cat /proc/timer_list | wc -c",
                     security_opt=["mask=/root:/etc/passwd", "unmask=/proc/timer_list"])  # fmt: skip
    _, passwd, timers = (int(line) for line in text.split())
    assert passwd == 0
    assert timers > 0
    assert box.report(security_opt=["mask=/root"]).mounts["/root"][0].startswith("ro")


@both
@pytest.mark.parametrize(
    ("options", "mode"),
    [({}, "2"), ({"security_opt": ["seccomp=unconfined"]}, "0"), ({"privileged": True}, "0"), ({"user": "1001"}, "2")],
)
def test_seccomp_mode(box, how: str, options: dict, mode: str) -> None:
    assert box.report(how, **options).status["Seccomp"] == mode


@both
def test_a_seccomp_profile_of_the_users_own(box, tmp_path: Path, how: str) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["sethostname", "close_range"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    options = {"security_opt": [f"seccomp={profile}"]}
    assert box.report(how, "attempts", **options).outcomes["sethostname"] == "EBADFD"  # 77
    # and without close_range(2), which this profile denies, none of our descriptors stay open
    assert box.report(how, **options).descriptors == {0, 1, 2}


def test_the_hosts_dev_null_stays_outside(box) -> None:
    """If its inode were in the container, root there could change the mode of the host's /dev/null."""
    container = box.stay()
    # checked first, so that a failure harms nothing
    for path in ("/proc/self/fd/0", "/proc/1/fd/0", "/dev/null"):
        assert int(execute(container, "stat", "-Lc", "%d", path)) != os.stat("/dev/null").st_dev
    before = os.stat("/dev/null")
    for path in ("/proc/self/fd/0", "/proc/1/fd/0", "/dev/null"):
        assert execute(container, "chmod", "640", path) == ""
    assert os.stat("/dev/null").st_mode == before.st_mode
    # a container that has removed its own can still be entered
    assert execute(container, "rm", "/dev/null") == ""
    assert execute(container, "cat", "/proc/self/fd/0") == ""


def test_signal_settings_of_the_caller_stay_outside(box) -> None:
    numbers = (signal.SIGPIPE, signal.SIGUSR1, 34, 60)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        for how in ("run", "exec"):
            status = box.report(how).status
            assert (int(status["SigIgn"], 16), int(status["SigBlk"], 16)) == (0, 0)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        for number, handler in before.items():
            signal.signal(number, handler)


@both
def test_session_umask_and_standard_streams(box, how: str) -> None:
    before = os.umask(0o077)
    try:
        report = box.report(how, tmpfs=["/deep/er/mount"])
        modes = box.shell("stat -c %a /dev /dev/null /dev/mqueue /proc /deep /deep/er", tmpfs=["/deep/er/mount"])
        masked = box.report(how, umask=0o027)
    finally:
        os.umask(before)
    pid, parent, session, group = report.one("ids").split()
    assert session == group == pid
    assert parent == "0"
    assert report.one("umask") == "022"
    assert masked.one("umask") == "027"
    assert modes.split() == ["755", "666", "1777", "555", "755", "755"]
    assert report.pairs("tty") == {"0": "0", "1": "0", "2": "0"}
    assert report.pairs("fd")["0"] == "/dev/null"


@both
def test_resource_limits(box, how: str) -> None:
    report = box.report(how, ulimits=["nofile=300:400", "core=0", "stack=1048576:2097152"])
    limits = report.pairs("limit")
    assert limits[str(resource.RLIMIT_NOFILE)] == "300 400"
    assert limits[str(resource.RLIMIT_CORE)] == "0 0"
    assert limits[str(resource.RLIMIT_STACK)] == "1048576 2097152"


@pytest.mark.parametrize("words", ["nofile", "nofile=2:1", "nosuch=1", "nofile=-2", "nofile=1:x", "=1"])
def test_resource_limits_that_are_none(box, words: str) -> None:
    with pytest.raises(InvalidSpec, match="ulimit"):
        box.run("true", ulimits=[words])


def test_device_nodes_are_the_standard_ones(box) -> None:
    assert set(box.report().all("device")) == {
        "null c 1:3 666", "zero c 1:5 666", "full c 1:7 666", "random c 1:8 666", "urandom c 1:9 666", "tty c 5:0 666",
        "fd -> /proc/self/fd", "stdin -> /proc/self/fd/0", "stdout -> /proc/self/fd/1", "stderr -> /proc/self/fd/2",
        "core -> /proc/kcore", "ptmx -> pts/ptmx", "pts/", "mqueue/", "shm/",
    }  # fmt: skip
    with_terminal = set(box.report("exec", terminal=True).all("device"))
    assert {line.split()[1] for line in with_terminal if line.startswith("console ")} == {"c"}


def test_standard_mounts(box) -> None:
    mounts = box.report(shm_size=1 << 20).mounts
    quiet = "nosuid,nodev,noexec"
    assert mounts["/proc"][:2] == [f"rw,{quiet},relatime", "proc"]
    assert mounts["/sys"][:2] == [f"ro,{quiet},relatime", "sysfs"]
    assert mounts["/dev/mqueue"][:2] == [f"rw,{quiet},relatime", "mqueue"]
    assert mounts["/dev/shm"][:3] == [f"rw,{quiet},relatime", "tmpfs", "rw,size=1024k"]
    assert mounts["/dev/pts"][:3] == ["rw,nosuid,noexec,relatime", "devpts", "rw,gid=5,mode=620,ptmxmode=666"]
    assert mounts["/dev"][0].startswith("rw,nosuid")
    assert "nodev" in mounts["/"][0].split(",")
    cgroups = {target: facts for target, facts in mounts.items() if target.startswith("/sys/fs/cgroup")}
    assert cgroups
    assert all(facts[0].split(",")[0] == "ro" for facts in cgroups.values())
    shown = box.engine.cgroups.shown[0]
    assert cgroups[shown][1] == ("cgroup2" if box.engine.cgroups.clones_into_cgroup else "cgroup")
    # the root of the tree is the container's own cgroup
    assert box.shell(f"echo $$; cat {shown}/cgroup.procs").split()[:2] == ["1", "1"]
    default = box.report().mounts["/dev/shm"]
    assert default[2] == "rw,size=64000k"


def test_privileged_may_write_to_sys_and_sees_the_hosts_devices(box) -> None:
    report = box.report(privileged=True)
    assert report.mounts["/sys"][0].startswith("rw")
    assert not any(target.startswith("/proc/") for target in report.mounts)
    hosts = {name for name in os.listdir("/dev") if Path("/dev", name).is_char_device()}
    assert hosts - {"console"} <= {line.split()[0] for line in report.all("device")}


@both
def test_cgroup_namespace_of_its_own(box, how: str) -> None:
    report = box.report(how)
    assert int(report.pairs("ns")["cgroup"]) != os.stat("/proc/self/ns/cgroup").st_ino
    assert all(line.rpartition(":")[2] == "/" for line in report.all("cgroup"))
    assert "/../.." not in box.shell("cat /proc/1/cgroup")


@pytest.mark.parametrize(
    ("key", "value"),
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("kernel.msgmax", "9000"), ("net.ipv4.ip_default_ttl", "77")],
)
def test_sysctls_of_a_container_and_of_a_pod(box, key: str, value: str) -> None:
    path = f"/proc/sys/{key.replace('.', '/')}"
    host = Path(path).read_text()
    assert box.run("cat", path, sysctls={key: value}) == f"{value}\n"
    pod = box.engine.pods.create(sysctls={key: value})
    assert box.run("cat", path, pod=pod) == f"{value}\n"
    assert Path(path).read_text() == host != f"{value}\n"
    with pytest.raises(InvalidSpec, match="is not allowed"):
        box.run("true", pod=pod, sysctls={key: value})


def test_a_sysctl_that_the_kernel_does_not_have(box) -> None:
    with pytest.raises(LaunchFailed, match=r"set sysctl net/nosuch to 1: .*: the kernel has no such setting"):
        box.run("true", sysctls={"net.nosuch": "1"}, network="none")


@pytest.mark.parametrize(
    "key", ["kernel.core_pattern", "vm.swappiness", "net/../kernel/core_pattern", "", "fs.file-max"]
)
def test_sysctls_of_the_host_are_refused(box, key: str) -> None:
    with pytest.raises(InvalidSpec, match="sysctl"):
        box.run("true", sysctls={key: "1"})
