from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod.kernel.abi import KINDS
from pypod.kernel.host.checks import Check, check
from pypod.kernel.host.facts import Host
from pypod.kernel.proc import read_text
from tests.hosts import UNSHARE

FILES = {
    "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
    "proc/sys/kernel/hostname": "box\n",
    "proc/sys/kernel/random/boot_id": "0f8fad5b-d9cb-469f-a165-70867728950e\n",
    "proc/sys/kernel/seccomp/actions_avail": "kill_process errno user_notif log allow\n",
    "proc/filesystems": "nodev\tsysfs\nnodev\tcgroup2\n\text4\nnodev\toverlay\n",
    "proc/self/status": "Pid:\t7\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n",
    "proc/self/cgroup": "0::/system.slice/ssh.service\n",
    "proc/self/mountinfo": "28 23 0:25 / {root}/sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
    "sys/fs/cgroup/cgroup.controllers": "pids memory cpu\n",
    "etc/os-release": "# comment\nID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\n\nEMPTY=\n",
    **{f"proc/self/ns/{kind}": "" for kind in KINDS},
    **{f"proc/sys/user/max_{kind}_namespaces": "500\n" for kind in KINDS},
}
Make = Callable[..., Host]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that creates a host from the files above with changes; None leaves a file out."""

    def make(changes: dict[str, str | None] | None = None, fails_with: dict[int, int] | None = None) -> Host:
        for name, text in {**FILES, **(changes or {})}.items():
            if text is not None:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(text.replace("{root}", str(tmp_path)))
        return Host(
            proc=f"{tmp_path}/proc",
            etc=f"{tmp_path}/etc",
            modules=f"{tmp_path}/modules",
            attempt=lambda *call: (fails_with or {}).get(call[0], errno.EINVAL),
        )

    return make


def failed(host: Host) -> dict[str, Check]:
    return {item.name: item for item in check(host) if not item.ok}


def test_facts(make: Make) -> None:
    host = make()
    assert (host.kernel, host.hostname, host.machine) == ("6.1.0-18-amd64", "box", os.uname().machine)
    assert host.boot_id == "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert host.os_release == {"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 12", "VERSION_ID": "12", "EMPTY": ""}
    assert (host.cgroups.mode, host.cgroup_controllers) == ("unified", ("cpu", "memory", "pids"))
    assert host.namespaces == KINDS
    assert host.namespace_limits == dict.fromkeys(KINDS, 500)
    assert (host.uid, host.capabilities, host.seccomp_mode) == (0, (1 << 41) - 1, 0)
    assert host.seccomp_actions == ("kill_process", "errno", "user_notif", "log", "allow")
    assert set(host.syscalls.values()) == {""}


def test_a_complete_host_passes_and_says_why(make: Make) -> None:
    found = check(make())
    assert [item for item in found if not item.ok] == []
    assert all(item.reason and not item.consequence for item in found)
    assert len({item.name for item in found}) == len(found)


def test_os_release_falls_back_to_usr_lib(make: Make) -> None:
    host = make({"etc/os-release": None, "etc/passwd": "", "usr/lib/os-release": "ID=alpine\n"})
    assert host.os_release == {"ID": "alpine"}


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"proc/self/ns/user": None}, "namespace-user", "this kernel is built without user namespaces"),
        ({"proc/self/ns/time": None}, "namespace-time", "this kernel is built without time namespaces"),
        ({"proc/sys/user/max_net_namespaces": "0\n"}, "namespace-net", "/proc/sys/user/max_net_namespaces is 0"),
        (
            {"proc/sys/kernel/unprivileged_userns_clone": "0\n"},
            "unprivileged-user-namespaces",
            "/proc/sys/kernel/unprivileged_userns_clone is 0",
        ),
        (
            {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
            "unprivileged-user-namespaces",
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1",
        ),
        ({"proc/sys/kernel/yama/ptrace_scope": "2\n"}, "yama", "ptrace_scope is 2"),
        ({"proc/filesystems": "\text4\n"}, "overlay", "not in /proc/filesystems"),
        (
            {"proc/self/status": str(FILES["proc/self/status"]).replace("Seccomp:\t0\n", "")},
            "seccomp",
            "this kernel is built without seccomp",
        ),
        (
            {"proc/sys/kernel/seccomp/actions_avail": None},
            "seccomp",
            "this kernel is built without seccomp filters",
        ),
        ({"proc/self/mountinfo": ""}, "cgroups", "no cgroup hierarchy is mounted"),
        (
            {"proc/self/mountinfo": "28 23 0:25 / /nowhere rw - cgroup2 cgroup2 rw\n"},
            "cgroups",
            "unified: no permission to write to /nowhere",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_consequence(
    make: Make, changes: dict[str, str | None], name: str, reason: str
) -> None:
    found = failed(make(changes))
    assert found[name].reason == reason
    assert found[name].consequence
    assert all(other.startswith(("cgroup", "clone3", "unprivileged")) for other in found.keys() - {name})


@pytest.mark.parametrize("value", ["1\n", "2\n"])
def test_a_switch_that_is_on_allows_user_namespaces(make: Make, value: str) -> None:
    on = {
        "proc/sys/kernel/unprivileged_userns_clone": value,
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0",
    }
    assert failed(make({**on, "proc/sys/kernel/yama/ptrace_scope": "1\n"})) == {}


def test_without_user_namespaces_nobody_but_root_can_start(make: Make) -> None:
    assert failed(make({"proc/sys/user/max_user_namespaces": "0\n"})).keys() == {
        "namespace-user",
        "unprivileged-user-namespaces",
    }


def test_overlay_as_a_module(make: Make) -> None:
    changes = {
        "proc/filesystems": "\text4\n",
        "modules/6.1.0-18-amd64/modules.dep": "kernel/fs/overlayfs/overlay.ko.xz:\n",
    }
    overlay = next(item for item in check(make(changes)) if item.name == "overlay")
    assert (overlay.ok, overlay.reason) == (True, "a kernel module")


def test_v1_host(make: Make) -> None:
    host = make(
        {
            "proc/self/cgroup": "2:cpu,cpuacct:/\n1:name=systemd:/\n",
            "proc/self/mountinfo": (
                "26 25 0:24 / /nowhere rw - cgroup cgroup rw,name=systemd\n"
                "27 25 0:25 / {root}/sys/fs/cgroup rw - cgroup cgroup rw,cpu,cpuacct\n"
            ),
        }
    )
    assert (host.cgroups.mode, host.cgroup_controllers) == ("legacy", ("cpu", "cpuacct"))
    found = failed(host)
    assert {name: item.reason for name, item in found.items()} == {
        "cgroup-kill": "no cgroup v2 tree is mounted",
        "cgroup-freeze": "no freezer controller is mounted",
        "clone3-into-cgroup": "no cgroup v2 tree is mounted",
    }


def test_hybrid_host_reports_the_controllers_it_can_use(make: Make) -> None:
    host = make(
        {
            "proc/self/cgroup": "1:freezer:/\n0::/\n",
            "proc/self/mountinfo": str(FILES["proc/self/mountinfo"])
            + "27 25 0:25 / {root}/sys rw - cgroup cgroup rw,freezer\n",
        }
    )
    assert (host.cgroups.mode, host.cgroup_controllers) == ("hybrid", ("freezer",))
    assert failed(host) == {}


@pytest.mark.parametrize(
    ("release", "missing"),
    [
        ("5.1.21", {"cgroup-freeze", "clone3-into-cgroup", "cgroup-kill"}),
        ("5.6.0-rc1", {"clone3-into-cgroup", "cgroup-kill"}),
        ("5.13.19+", {"cgroup-kill"}),
        ("5.14", set()),
        ("10.0", set()),
    ],
)
def test_what_an_old_kernel_lacks(make: Make, release: str, missing: set[str]) -> None:
    assert failed(make({"proc/sys/kernel/osrelease": release})).keys() == missing


def test_cgroup_kill_that_was_ported_back_is_seen(make: Make) -> None:
    host = make({"proc/sys/kernel/osrelease": "5.10.0", "sys/fs/cgroup/init.scope/cgroup.kill": ""})
    assert failed(host) == {}


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (424, "pidfd"), (434, "pidfd"), (437, "openat2"), (428, "mount-api"), (429, "mount-api"), (430, "mount-api"),
        (442, "mount-setattr"), (435, "clone3-into-cgroup"), (UNSHARE[os.uname().machine], "namespace-calls"),
    ],
)  # fmt: skip
def test_a_missing_system_call_is_named(make: Make, number: int, name: str) -> None:
    found = failed(make(fails_with={number: errno.ENOSYS}))
    assert found.keys() == {name}
    assert found[name].reason.endswith(" is missing")


def test_a_blocked_system_call_is_told_from_a_missing_privilege(make: Make) -> None:
    host = make(fails_with=dict.fromkeys((429, 430, 435, 437), errno.EPERM))
    blocked = {
        "clone3": "clone3 is blocked",
        "clone3-into-cgroup": "clone3 is blocked",
        "openat2": "openat2 is blocked",
    }
    assert {name: item.reason for name, item in failed(host).items()} == blocked
    root = {"proc/self/uid_map": "         0          0 4294967295\n"}
    host = make(root, fails_with=dict.fromkeys((429, 430, 435, 437), errno.EPERM))
    assert {name: item.reason for name, item in failed(host).items()} == {
        **blocked,
        "mount-api": "move_mount is blocked",
    }


def test_a_user_without_capabilities(make: Make) -> None:
    status = "Pid:\t7\nUid:\t1000\t1000\t1000\t1000\nGid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\nSeccomp:\t2\n"
    host = make({"proc/self/status": status})
    assert host.uid == 1000
    found = failed(host)
    assert all(name.startswith("cap-") for name in found)
    assert {"cap-sys-admin", "cap-net-admin", "cap-sys-resource"} <= found.keys()
    assert found["cap-sys-admin"].reason == "the caller does not have CAP_SYS_ADMIN"


def test_processes_that_proc_hides(make: Make) -> None:
    status = "Pid:\t7\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\nGroups:\t5 27\nCapEff:\t0000000000000000\n"
    mounted = "22 1 0:21 / /proc rw,nosuid - proc proc rw,{}\n23 1 0:5 / /dev rw - devtmpfs udev rw\n"
    for options, ok in (("hidepid=invisible", False), ("gid=27,hidepid=2", True), ("hidepid=0", True), ("x", True)):
        files = {"proc/self/mountinfo": mounted.format(options)}
        assert ("processes" not in failed(make({**files, "proc/self/status": status}))) == ok, options
        assert "processes" not in failed(make(files))  # root


def test_one_capability_is_one_bit(make: Make) -> None:
    status = str(FILES["proc/self/status"]).replace("1ffffffffff", f"{(1 << 41) - 1 - (1 << 12):x}")
    assert failed(make({"proc/self/status": status})).keys() == {"cap-net-admin"}


def test_an_empty_proc_is_no_crash(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    host = Host(proc=nowhere, etc=nowhere, modules=nowhere, attempt=lambda *_call: errno.ENOSYS)
    assert (host.kernel, host.namespaces, host.cgroups.mode) == ("", (), "none")
    passed = [item.name for item in check(host) if item.ok]
    assert passed == ["clone3", "processes", "yama"]  # without clone3, clone is used


def test_this_host() -> None:
    host = Host()
    assert (host.kernel, host.hostname) == (os.uname().release, os.uname().nodename)
    assert set(host.namespaces) == set(os.listdir("/proc/self/ns")) & set(KINDS)
    assert host.uid == os.geteuid()
    os.close(os.pidfd_open(os.getpid()))
    assert host.syscalls["pidfd_open"] == ""
    assert host.is_at_least(5, 3)  # otherwise the line before would have failed
    assert not host.is_at_least(1000, 0)


AUDITED = """
import os, sys
import ctypes
from pypod.kernel import proc
from pypod.kernel.cgroups import detect
from pypod.kernel.host import checks

events = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# told of a function of a library since Python 3.14; what the call did is asked of the kernel
CALLS = ("ctypes.call_function",) if sys.version_info >= (3, 14) else ()
READS = ("open", "os.listdir", "os.scandir", "import", "exec", "compile", "marshal.loads", "object.__getattr__",
         "sys._getframe", "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.set_errno",
         "ctypes.get_errno", "object.__setattr__", "code.__new__", *CALLS)

def audit(event, arguments):
    if event == "open" and arguments[2] & WRITES or event not in READS:
        events.append((event, arguments))

def seen():
    return os.stat("/proc/self/ns/mnt").st_ino, *sorted((proc.Proc().namespaces("self") or {}).items()), \
        proc.read_text("/proc/self/cgroup"), sorted(os.listdir("/proc/self/fd")), os.getcwd(), \
        proc.read_text("/proc/self/task/%d/children" % os.getpid())

before = seen()
sys.addaudithook(audit)
found = checks.check()
after, events = seen(), list(events)
print(len(found) > 20, events, before == after)
"""


def test_check_changes_nothing() -> None:
    """No write, new file, child, or change of namespace or cgroup is seen by an audit hook or by the kernel."""
    done = subprocess.run([sys.executable, "-S", "-c", AUDITED], check=True, capture_output=True, text=True)
    assert done.stdout == "True [] True\n"


def test_check_mounts_nothing_and_makes_no_group() -> None:
    def seen() -> tuple[object, ...]:
        mounts = read_text("/proc/self/mountinfo")
        places = [line.split()[4] for line in mounts.splitlines() if " - cgroup" in line]
        return mounts, [sorted(os.listdir(place)) for place in places]

    # Other processes may mount and create cgroups in the meantime; changes by check would appear each time.
    for _attempt in range(5):
        before = seen()
        check()
        if before == seen():
            return
    pytest.fail("the mounts or the cgroups differ each time")


def test_a_probe_tells_a_call_that_exists_from_one_that_does_not() -> None:
    code = textwrap.dedent("""
        from pypod.kernel.host import facts
        facts._PROBES["no_such_call"] = (1000, (0,))
        print([name for name, verdict in facts.Host().syscalls.items() if verdict == "missing"])
    """)
    done = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "['no_such_call']\n"
