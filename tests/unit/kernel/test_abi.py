from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from pypod.errors import InvalidSpec
from pypod.kernel import abi

# Modules that take milliseconds to import; the hot modules of the kernel layer load none of them.
SLOW = {"argparse", "contextlib", "ctypes", "dataclasses", "enum", "functools", "json", "pathlib", "re", "select",
        "signal", "socket", "subprocess", "typing"}  # fmt: skip


def modules_loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True, cwd=os.getcwd()
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("kind", abi.KINDS)
def test_the_kernel_agrees_on_the_clone_flag(kind: str) -> None:
    fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    try:
        assert fcntl.ioctl(fd, abi.NS_GET_NSTYPE) == abi.NAMESPACES[kind].clone_flag
    finally:
        os.close(fd)


def test_ns_get_userns_opens_the_owning_user_namespace() -> None:
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        owner = fcntl.ioctl(fd, abi.NS_GET_USERNS)
    except PermissionError:
        pytest.skip("the network namespace is owned by a user namespace outside of this one")
    finally:
        os.close(fd)
    try:
        assert fcntl.ioctl(owner, abi.NS_GET_NSTYPE) == abi.CLONE_NEWUSER
    finally:
        os.close(owner)


def test_ns_get_parent_and_owner_take_the_kinds_they_are_for() -> None:
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    try:
        for request in (abi.NS_GET_PARENT, abi.NS_GET_OWNER_UID):
            with pytest.raises(OSError, match="Invalid argument"):
                fcntl.ioctl(fd, request)
    finally:
        os.close(fd)
    fd = os.open("/proc/self/ns/user", os.O_RDONLY)
    try:
        owner = bytearray(4)
        fcntl.ioctl(fd, abi.NS_GET_OWNER_UID, owner)
        with pytest.raises(PermissionError):  # the outermost namespace's parent, or one above us: not visible
            fcntl.ioctl(fd, abi.NS_GET_PARENT)
    finally:
        os.close(fd)


def test_every_namespace_name_is_one_the_kernel_has() -> None:
    names = {row.kind for row in abi.NAMESPACES.values()} | {row.children_name for row in abi.NAMESPACES.values()} - {
        ""
    }
    assert names == set(os.listdir("/proc/self/ns"))
    assert all(os.path.exists(f"/proc/sys/user/{row.limit_name}") for row in abi.NAMESPACES.values())


def test_oci_names() -> None:
    assert abi.KIND_OF_OCI_NAME == {
        "mount": "mnt", "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "user": "user",
        "cgroup": "cgroup", "time": "time",
    }  # fmt: skip


def test_signals_agree_with_the_c_library() -> None:
    theirs = {name: int(number) for name, number in vars(signal).items() if isinstance(number, signal.Signals)}
    assert {name: abi.signal_number(name) for name in theirs} == theirs
    assert {"SIGIOT", "SIGPOLL", "SIGKILL", "SIGRTMAX"} <= theirs.keys()
    assert len(abi.SIGNALS) == 62


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("15", 15), ("015", 15), ("+9", 9), ("-9", 9), ("-KILL", 9),
        (15, 15), (64, 64), ("RTMIN", 34), ("RTMIN+3", 37), ("sigrtmin+15", 49), ("RTMAX-14", 50), ("RTMAX", 64),
        ("33", 33), (signal.SIGHUP, 1),
    ],
)  # fmt: skip
def test_signal_number_takes_what_podman_takes(text: str | int, number: int) -> None:
    assert abi.signal_number(text) == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FOO", "invalid signal: FOO"), ("", "invalid signal: "), ("0", "invalid signal: 0"), (0, "invalid signal: 0"),
        ("SIG", "invalid signal: SIG"), ("SIGSIGTERM", "invalid signal: SIGSIGTERM"), (" 9", "invalid signal:  9"),
        ("1_0", "invalid signal: 1_0"), ("9.0", "invalid signal: 9.0"), ("RTMIN+16", "invalid signal: RTMIN+16"),
        ("RTMAX-15", "invalid signal: RTMAX-15"), ("٩", "invalid signal: ٩"), ("+", "invalid signal: +"),
        ("65", "valid signals are 1 through 64"), ("99", "valid signals are 1 through 64"),
        (-1, "valid signals are 1 through 64"), ("--9", "valid signals are 1 through 64"),
    ],
)  # fmt: skip
def test_signal_number_refuses_in_podmans_words(text: str | int, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        abi.signal_number(text, argument="--stop-signal")
    assert str(caught.value) == message
    assert caught.value.argument == "--stop-signal"


def test_signal_name_is_the_inverse() -> None:
    for number in range(1, 65):
        assert abi.signal_number(abi.signal_name(number)) == number
    assert [abi.signal_name(number) for number in (9, 17, 34, 37, 50, 64)] == [
        "SIGKILL", "SIGCHLD", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-14", "SIGRTMAX",
    ]  # fmt: skip
    assert abi.signal_name(33) == "33"


@pytest.mark.parametrize(
    "module",
    ["abi", "proc", "pidfd", "cgroups.detect", "cgroups.driver", "cgroups.v1", "cgroups.v2"],
)
def test_import_is_cheap(module: str) -> None:
    loaded = modules_loaded_by(f"import pypod.kernel.{module}")
    assert f"pypod.kernel.{module}" in loaded
    assert loaded & SLOW == set()
