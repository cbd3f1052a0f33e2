"""What a process in a container has and may do, seen from inside it: as the first process and as a later command."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, LaunchFailed
from pypod.kernel.capabilities import bounding_set, mask
from tests.facts import IS_UML
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot setfcap: containers.conf(5)
PODMANS_ELEVEN = 0x800405FB
NET_ADMIN, CHOWN = 1 << 12, 1 << 0

both = pytest.mark.parametrize("how", ["run", "exec"])


def sets(bounding: int, effective: int) -> dict[str, int]:
    return {"Inh": 0, "Prm": effective, "Eff": effective, "Bnd": bounding, "Amb": 0}


@both
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, sets(PODMANS_ELEVEN, PODMANS_ELEVEN), id="default"),
        pytest.param({"cap_add": ["net_admin"]}, sets(*[PODMANS_ELEVEN | NET_ADMIN] * 2), id="added"),
        pytest.param({"cap_drop": ["CAP_CHOWN"]}, sets(*[PODMANS_ELEVEN & ~CHOWN] * 2), id="dropped"),
        pytest.param({"cap_drop": ["all"]}, sets(0, 0), id="none"),
        pytest.param({"cap_drop": ["all"], "cap_add": ["chown"]}, sets(CHOWN, CHOWN), id="one"),
        pytest.param({"user": "1001"}, sets(PODMANS_ELEVEN, 0), id="user"),
        pytest.param({"user": "alice"}, sets(PODMANS_ELEVEN, 0), id="name"),
        pytest.param({"user": "1001", "privileged": True}, sets(mask(bounding_set()), 0), id="privileged-user"),
        pytest.param({"privileged": True}, sets(*[mask(bounding_set())] * 2), id="privileged"),
    ],
)
def test_capability_sets(box, how: str, options: dict, expected: dict[str, int]) -> None:
    assert box.report(how, **options).capabilities == expected


def test_capabilities_that_the_caller_could_inherit_stay_outside(box) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (Debian: util-linux) is not installed")
    command = [
        "setpriv",
        "--inh-caps",
        "+net_raw,+sys_admin",
        "--ambient-caps",
        "+net_raw",
        sys.executable,
        "-m",
        "pypod",
    ]
    command += ["--root", box.engine.layout.root, "run", "--rm", "--rootfs", f"{box.rootfs}:O", "/probe"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert Report(done.stdout).capabilities == sets(PODMANS_ELEVEN, PODMANS_ELEVEN)


def test_a_privileged_command_in_an_ordinary_container(box) -> None:
    container = box.stay()
    report = Report(execute(container, "/probe", privileged=True))
    assert report.capabilities == sets(*[mask(bounding_set())] * 2)
    assert report.status["Seccomp"] == "0"
    assert Report(execute(container, "/probe")).capabilities == sets(PODMANS_ELEVEN, PODMANS_ELEVEN)


# What podman's profile, the default capabilities and the masked and read-only paths make of each attempt. ENOENT is
# what this kernel does not have; the profile leaves user namespaces and vsock to the host (runtime/data/README.md).
# only the root of a v1 tree has the file, and what a container can mount is its own group
NOT_THERE = {"release_agent in a user namespace"}
REFUSED = {
    "EPERM": """
        socket AF_PACKET|socket raw|unshare mnt|setns|mount tmpfs|remount proc/sys|umount proc/sys|mount cgroup v1
        release_agent in a user namespace|mknod|mknod on /dev|sethostname|bpf|perf_event_open|init_module|kexec_load
        open_by_handle_at|userfaultfd|settimeofday|swapon|reboot|syslog|raise limit|i386 unshare mnt
        i386 socketcall raw|i386 bpf|x32 bpf|read /proc/kmsg""",
    "ENOSYS": "personality",
    "EINVAL": "socket audit",
    "EROFS": """
        write /proc/sys/kernel/core_pattern|write /proc/sys/kernel/hostname|write /proc/sys/vm/drop_caches
        write /proc/irq/default_smp_affinity|write /proc/bus/pci/devices|write /sys/power/state
        write /sys/kernel/mm/transparent_hugepage/enabled|write /sys/fs/cgroup/cgroup.procs
        write /sys/fs/cgroup/unified/cgroup.procs|write /proc/sysrq-trigger|write /proc/fs/ext4/x
        write /proc/sys/fs/binfmt_misc/register""",
    "empty": """
        read /proc/kcore|read /proc/keys|read /proc/timer_list|read /proc/acpi|read /proc/scsi|read /sys/firmware
        read /sys/dev/block|read /sys/devices/virtual/powercap|read /proc/latency_stats|read /proc/sched_debug""",
}
EXPECTED = {name.strip(): error for error, names in REFUSED.items() for name in names.replace("\n", "|").split("|")}
EXPECTED.pop("")


@both
def test_what_must_not_be_possible(box, how: str) -> None:
    outcomes = box.report(how, "attempts").outcomes
    if IS_UML:  # a host's system calls of 32 bits are taken for its own of 64
        outcomes = {name: outcome for name, outcome in outcomes.items() if not name.startswith(("i386", "x32"))}
    is_restricted = Path("/proc/sys/kernel/dmesg_restrict").read_text() != "0\n"
    wrong = {
        name: (outcomes[name], expected)
        for name, expected in EXPECTED.items()
        if name in outcomes
        and (name != "syslog" or is_restricted)  # the profile leaves it to the host
        and outcomes[name]
        not in (expected, "ENOENT" if expected in ("EROFS", "empty") or name in NOT_THERE else expected)
    }
    assert wrong == {}
    on_x86 = sum(name.startswith(("i386", "x32")) for name in EXPECTED)
    assert len(EXPECTED.keys() & outcomes.keys()) >= len(EXPECTED) - on_x86


def test_unmasked_the_same_attempts_find_something(box) -> None:
    """The opposite of the test before: so that it is not the probe that is blind."""
    outcomes = box.report("run", "attempts", security_opt=["unmask=ALL", "seccomp=unconfined"]).outcomes
    assert outcomes["read /proc/timer_list"] == "something"
    assert outcomes["read /sys/firmware"] == ("something" if any(Path("/sys/firmware").iterdir()) else "empty")
    assert outcomes["personality"] == "ok"
    assert outcomes["socket audit"] == "ok"


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
    # and without close_range(2), which this profile denies, nothing of ours stays open
    assert fds(box.report(how, **options)) == {0, 1, 2}


@both
def test_no_new_privileges(box, how: str) -> None:
    assert box.report(how).status["NoNewPrivs"] == "0"
    report = box.report(how, security_opt=["no-new-privileges"], user="alice")
    assert report.status["NoNewPrivs"] == "1"
    assert report.status["Seccomp"] == "2"
    assert report.capabilities == sets(PODMANS_ELEVEN, 0)


def fds(report: Report) -> set[int]:
    return {int(fd) for fd in report.pairs("fd")}


def test_nothing_that_the_caller_has_open_goes_in(box, tmp_path: Path) -> None:
    leaked = [os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(50)]
    ends = os.pipe()
    try:
        for fd in (*leaked, *ends):
            os.set_inheritable(fd, True)
        pod = box.engine.pods.create(ephemeral=True)
        container = pod.run(["/probe", "stay"], rootfs=box.rootfs)
        assert fds(box.report()) == {0, 1, 2}
        assert fds(Report(execute(container, "/probe"))) == {0, 1, 2}
        assert execute(container, "ls", "/proc/1/fd").split() == ["0", "1", "2"]
        state, infra = container.state(), pod.infra.state()
        for pid in (state.pid, state.supervisor_pid, infra.pid):
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert str(tmp_path) not in links
            assert f"pipe:[{os.fstat(ends[0]).st_ino}]" not in links
    finally:
        for fd in (*leaked, *ends):
            os.close(fd)


def test_the_hosts_dev_null_stays_outside(box) -> None:
    """Its inode in the container would let root there change the mode of everybody's /dev/null."""
    container = box.stay()
    # first, so that nothing is harmed where this fails
    for path in ("/proc/self/fd/0", "/proc/1/fd/0", "/dev/null"):
        assert int(execute(container, "stat", "-Lc", "%d", path)) != os.stat("/dev/null").st_dev
    before = os.stat("/dev/null")
    for path in ("/proc/self/fd/0", "/proc/1/fd/0", "/dev/null"):
        assert execute(container, "chmod", "640", path) == ""
    assert os.stat("/dev/null").st_mode == before.st_mode
    # a container that removed its own can still be entered
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
    # the root of the tree is the container's own group
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


def test_no_socket_of_the_engine_is_in_the_pods_network(box) -> None:
    pod = box.engine.pods.create()
    container = pod.run(["/probe", "stay"], rootfs=box.rootfs, interactive=True)
    with closing(container.attach()):
        listed = execute(container, "cat", "/proc/net/unix").splitlines()
    assert len(listed) == 1, f"only the heading: {listed}"


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
