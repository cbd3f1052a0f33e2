"""Missing capabilities, namespaces, system calls or cgroups: the check names them, and what can work still works."""

from __future__ import annotations

import platform
import struct
import subprocess
import sys

import pytest

from tests.cli.program import Program
from tests.facts import created_nothing

pytestmark = [pytest.mark.root, pytest.mark.not_in_chroot]

# linux/seccomp.h, linux/filter.h, linux/prctl.h
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
# numbers of x86_64; those above 400 are the same on all architectures
NUMBERS = {"mount": 165, "pivot_root": 155, "unshare": 272, "setns": 308, "open_tree": 428, "move_mount": 429}
NUMBERS |= {"fsopen": 430, "pidfd_open": 434, "clone3": 435, "openat2": 437, "mount_setattr": 442}
NUMBERS |= {"keyctl": 250, "sethostname": 170, "seccomp": 317, "pidfd_send_signal": 424}

# not needed by any container without a pod
CALLS_OF_MEMBERS = ("setns", "pidfd_send_signal", "pidfd_open")

# Blocks system calls and executes a command: NUMBERS... -- COMMAND...
REFUSE = f"""
import ctypes, os, struct, sys
code, *words = sys.argv[1:]
program = bytes.fromhex(code)
buffer = ctypes.create_string_buffer(program)
header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl({PR_SET_NO_NEW_PRIVS}, 1, 0, 0, 0) == 0
assert libc.prctl({PR_SET_SECCOMP}, {SECCOMP_MODE_FILTER}, header, 0, 0) == 0, ctypes.get_errno()
os.execv(words[0], words)
"""


def refusing(error: int, *names: str) -> list[str]:
    """Return the words that run a command with those system calls failing."""
    code = [(0x20, 0, 0, 0)]  # load the number
    for name in names:
        code += [(0x15, 0, 1, NUMBERS[name]), (0x06, 0, 0, RET_ERRNO | error)]
    code.append((0x06, 0, 0, RET_ALLOW))
    program = b"".join(struct.pack("HBBI", *one) for one in code)
    return [sys.executable, "-I", "-S", "-c", REFUSE, program.hex()]


def in_shell(*, options: str = "", script: str) -> list[str]:
    """Return the words that run a command after a script, in a mount namespace of its own."""
    return ["unshare", "--mount", *options.split(), "sh", "-ec", f'{script}\nexec "$@"', "sh"]


def without(*capabilities: str) -> list[str]:
    dropped = ",".join(f"-{one}" for one in capabilities)
    return ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped]


def restricted(engine, prefix: list[str]) -> Program:
    pypod = Program(engine.layout.root)
    pypod.words = [*prefix, *pypod.words]
    return pypod


def missing(pypod: Program) -> tuple[dict[str, str], str]:
    """Return what the check reports as missing, by name, and its last line. The check itself never fails."""
    done = pypod("system", "check")
    assert done.stderr == "", done
    *lines, last = done.stdout.splitlines()
    assert (done.returncode == 0) == (last == "Pods can run here as this user."), last
    rows = [line.split(maxsplit=2) for line in lines if line.startswith("missing")]
    return {name: rest for _, name, rest in rows}, last


def reads(pypod: Program, engine) -> None:
    """Assert that everything that needs no privilege works: create, list, inspect, rename, remove."""
    for words in ("create --rootfs --name made / true", "ps -a", "inspect made", "info", "pod create p", "pod ps"):
        done = pypod(*words.split())
        assert (done.returncode, done.stderr) == (0, ""), words
    for words in ("rename made other", "rm other", "pod rm p"):
        done = pypod(*words.split())
        assert (done.returncode, done.stderr) == (0, ""), words
    assert created_nothing(engine)


def run(pypod: Program, busybox: str, *options: str) -> subprocess.CompletedProcess[str]:
    return pypod("run", "--rm", "--rootfs", *options, busybox, "echo", "it runs")


def is_refused(done: subprocess.CompletedProcess[str], engine) -> None:
    """Assert that a start failed with a single error of ours, and left nothing."""
    assert done.returncode in (125, 126, 127), done
    assert done.stderr.startswith("Error: "), done.stderr
    assert "Traceback" not in done.stderr
    assert engine.containers.list() == []
    for container in engine.containers.list(all=True):
        container.remove(force=True, timeout=0)
    assert created_nothing(engine)


NEEDED = ("sys_admin", "setuid", "setgid", "setpcap", "sys_chroot")
# the option that helps without each of these, which the check must name
WAYS_OUT = {
    "net_admin": "--network host",
    **{name: f"--cap-drop {name.upper()}" for name in ("chown", "dac_override", "fowner", "fsetid", "kill", "setfcap")},
    "net_bind_service": "--cap-drop NET_BIND_SERVICE",
}


def test_capabilities_that_are_needed(engine, busybox, full: bool) -> None:
    for capability in [*NEEDED, *WAYS_OUT] if full else ["sys_admin", "net_admin", "kill"]:
        pypod, name = restricted(engine, without(capability)), f"cap-{capability.replace('_', '-')}"
        rows, last = missing(pypod)
        assert f"CAP_{capability.upper()}" in rows[name]
        assert last.startswith("Pods cannot run here as this user: ")
        assert name in last
        is_refused(run(pypod, busybox, "--network", "none"), engine)
        if capability in WAYS_OUT:
            assert f"start with {WAYS_OUT[capability]} only" in rows[name]
            network = [] if "network" in WAYS_OUT[capability] else ["--network", "none"]
            done = run(pypod, busybox, *network, *WAYS_OUT[capability].split())
            assert (done.returncode, done.stdout) == (0, "it runs\n"), done


def test_what_needs_no_capability(engine) -> None:
    reads(restricted(engine, without("sys_admin", "net_admin", "chown", "mknod", "sys_chroot")), engine)


def test_capabilities_that_one_can_do_without(engine, busybox) -> None:
    for_nothing = ("mknod", "sys_resource", "sys_ptrace")
    pypod = restricted(engine, without(*for_nothing))
    rows, last = missing(pypod)
    assert {f"cap-{name.replace('_', '-')}" for name in for_nothing} <= rows.keys()
    assert last == "Pods can run here as this user."
    done = run(pypod, busybox, "--network", "none")
    assert (done.returncode, done.stdout) == (0, "it runs\n"), done


ERRORS = {"EPERM": 1, "ENOSYS": 38}


def test_system_calls_that_a_filter_refuses(engine, busybox, full: bool) -> None:
    """The check says that pods can run exactly where they can, and names the failing call elsewhere."""
    if platform.machine() != "x86_64":
        pytest.skip("seccomp: the numbers of this processor's calls are not known here")
    for call in (
        NUMBERS if full else ("unshare", "clone3", "fsopen", "pivot_root", "mount_setattr", "seccomp", "keyctl")
    ):
        for error in ERRORS if full else ("EPERM",):
            pypod = restricted(engine, refusing(ERRORS[error], call))
            rows, last = missing(pypod)
            done = run(pypod, busybox, "--network", "none")
            if done.returncode == 0:
                assert done.stdout == "it runs\n"
                assert last == "Pods can run here as this user." or call in CALLS_OF_MEMBERS, f"{call} {last}"
            else:
                is_refused(done, engine)
                assert call in done.stderr or call == "clone3"  # which posix_spawn(3) does not report
                assert last.startswith("Pods cannot run here"), f"{done.stderr} {rows}"
                assert any(call in row for row in rows.values()), rows


LIMITS = {"mnt": "mnt", "pid": "pid", "net": "net", "ipc": "ipc", "uts": "uts", "user": "user", "cgroup": "cgroup"}


def test_limits_of_namespaces_that_are_0(engine, busybox) -> None:
    """The limits are set in a user namespace of its own, so nothing else is affected."""
    script = "for one in mnt pid net ipc uts user cgroup; do echo 0 >/proc/sys/user/max_${one}_namespaces; done"
    pypod = restricted(engine, in_shell(options="--user --map-root-user", script=script))
    rows, last = missing(pypod)
    for kind in LIMITS:
        assert rows[f"namespace-{kind}"].startswith(f"/proc/sys/user/max_{kind}_namespaces is 0: "), rows
    assert last.startswith("Pods cannot run here as this user: ")
    done = pypod("ps", "-a")
    assert (done.returncode, done.stderr) == (0, "")
    is_refused(run(pypod, busybox, "--network", "none"), engine)


WHERE = "grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d' ' -f5 | sort -r | while read where"
READ_ONLY_GROUPS = f'{WHERE}; do mount -o remount,bind,ro "$where"; done'
NO_GROUPS = f'{WHERE}; do umount -l "$where"; done'


@pytest.mark.parametrize(
    ("script", "told"),
    [(READ_ONLY_GROUPS, "no permission to write to /sys/fs/cgroup"), (NO_GROUPS, "no cgroup hierarchy is mounted")],
    ids=["read-only", "none"],
)
def test_cgroups(engine, busybox, script: str, told: str) -> None:
    running = engine.containers.run(["sleep", "1000"], rootfs=busybox, name="running")
    pypod = restricted(engine, in_shell(script=script))
    rows, last = missing(pypod)
    assert told in rows["cgroups"]
    assert "cgroups" in last
    assert "running" in pypod("ps", "--format", "{{.Names}}").stdout
    done = run(pypod, busybox, "--network", "none")
    assert done.returncode in (125, 126), done
    assert done.stderr.startswith("Error: "), done
    assert "cgroup" in done.stderr
    done = pypod("stop", "-t", "0", "running")  # refused: the processes in its cgroup could not be listed or killed
    assert (done.returncode, "cgroup" in done.stderr, done.stderr.count("Error: ")) == (125, True, 1), done
    assert [one.name for one in engine.containers.list()] == (["running"] if running.state().running else [])
    Program(engine.layout.root).ok("stop", "-t", "0", "running")
    assert running.wait(5) == 137
    assert engine.containers.list() == []


HIDDEN = "mount -t proc -o hidepid=invisible proc /proc"


def as_user(user, *steps: str) -> list[subprocess.CompletedProcess[str]]:
    """Return the output of a user's commands where /proc hides the processes of others."""
    done = []
    for step in steps:
        words = user.words(user.python, "-m", "pypod", *step.split())
        command = [*in_shell(script=HIDDEN), *words]
        done.append(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False))
    return done


@pytest.mark.users
def test_a_user_who_sees_nobody_elses_processes(user, plain) -> None:
    """/proc then hides processes with other IDs, including those of containers."""
    check, run, ps, removed = as_user(
        user, "system check", f"run --rootfs --name c {plain} true", "ps -a", "rm -f --ignore c"
    )
    assert check.returncode == 1
    [line] = [line for line in check.stdout.splitlines() if line.split()[1:2] == ["processes"]]
    assert line.startswith("missing")
    assert "/proc is mounted with hidepid=invisible" in line
    assert (run.returncode, run.stdout) == (126, "")
    assert [line.startswith("Error: ") for line in run.stderr.splitlines() if not line.startswith("Note: ")] == [True]
    assert ps.returncode == removed.returncode == 0
