"""The fixtures that the installed package provides for other projects' tests."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from pypod import Engine
from tests.facts import created_nothing, is_there, wait_until

pytestmark = pytest.mark.root

# Data that an inner test leaves for the outer one.
NOTE = """
import pathlib
import pytest

def note(*things):
    states = [thing.state().infra if hasattr(thing, "infra") else thing.state() for thing in things]
    pids = [pid for state in states for pid in (state.pid, state.supervisor_pid) if pid]
    pathlib.Path({path!r}).write_text(" ".join(map(str, pids)))
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, busybox):
    """Run a test file in a separate process; return its outcome and the PIDs that it noted."""

    def run(body: str) -> tuple[dict[str, int], list[int], str]:
        path = pytester.path / "pids"
        pytester.makepyfile(NOTE.format(path=str(path)) + body.replace("BUSYBOX", repr(busybox)))
        result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider", "-W", "error", "-rs")
        pids = [int(word) for word in path.read_text().split()] if path.exists() else []
        return result.parseoutcomes(), pids, result.stdout.str()

    return run


def test_they_work_and_are_gone_afterwards(inner) -> None:
    outcomes, pids, text = inner("""
def test_pod(pod):
    assert pod.status == "Running"
    member = pod.run(["sh", "-c", "exit 3"], rootfs=BUSYBOX)
    assert member.wait() == 3

@pytest.mark.pod(hostname="db", rootfs=BUSYBOX, environment={"A": "b"}, command=["sleep", "1000"])
def test_marked(pod, container):
    note(pod, container)
    assert container.pod == pod
    assert container.exec(["hostname"]).stdout == b"db\\n"
    assert container.exec(["sh", "-c", "echo $A"]).stdout == b"b\\n"

def test_on_the_host_s_own_files(container):
    assert container.exec(["cat", "/etc/os-release"]).stdout == pathlib.Path("/etc/os-release").read_bytes()
    container.exec(["touch", "/written"])
    assert not pathlib.Path("/written").exists()

def test_apart(pod, container, pypod_engine):
    assert pypod_engine.pods.list() == [pod]
    assert pypod_engine.containers.list() == [container]
""")
    assert outcomes == {"passed": 4}, text
    assert len(pids) == 3
    assert not any(map(is_there, pids))


def test_the_bridges_of_their_networks_go_too(inner, own_network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage is deleted with the test: nothing else could remove them."""
    monkeypatch.delenv("PYPOD_NETWORK")
    outcomes, _, text = inner("""
import socket

def test_it(pod, pypod_engine):
    pypod_engine.networks.create("front")
    assert pypod_engine.pods.create(network="front").start() is None
    assert len([name for _, name in socket.if_nameindex() if name.startswith("pypod")]) == 2
    note()

@pytest.mark.pod(ports=["127.0.0.1:8123:80"], rootfs=BUSYBOX)
def test_published(pod, container):
    (port,) = pod.inspect()["InfraConfig"]["PortBindings"]["80/tcp"]
    assert port["HostPort"] == "8123"
""")
    assert outcomes == {"passed": 2}, text
    assert {name for _, name in socket.if_nameindex()} == {"lo"}


@pytest.mark.parametrize(
    "failure",
    [
        "assert False",
        "raise SystemExit(3)",
        "pytest.skip('no')",
        "pod.remove(force=True, timeout=0)",
        "pypod_engine.close()",
    ],
)
def test_they_are_gone_whatever_the_test_does(inner, failure: str) -> None:
    outcomes, pids, text = inner(f"""
def test_it(pod, container, pypod_engine):
    note(pod, container)
    pypod_engine.containers.run(["sleep", "1000"], rootfs="/")
    {failure}
""")
    assert "errors" not in outcomes, text
    assert sum(outcomes.values()) == 1
    assert len(pids) == 3
    assert not any(map(is_there, pids))


def test_a_container_that_cannot_be_made_is_an_error_and_leaves_no_pod(inner) -> None:
    outcomes, _, text = inner("""
@pytest.fixture
def watched(pod):
    note(pod)
    return pod

@pytest.mark.pod(rootfs="/nowhere")
def test_it(watched, container):
    pass
""")
    assert outcomes == {"errors": 1}, text
    assert "stat /nowhere: no such file or directory" in text


def test_they_end_with_pytest_when_that_is_killed(pytester: pytest.Pytester) -> None:
    path = pytester.path / "pids"
    body = """
def test_it(pod, container, pypod_engine):
    print(pypod_engine.layout.root, flush=True)
    note(pod, container)
    input()
"""
    pytester.makepyfile(NOTE.format(path=str(path)) + body)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=pytester.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        root = run.stdout.readline().strip()
        wait_until(lambda: path.exists() and path.read_text(), 20)
        pids = [int(word) for word in path.read_text().split()]
        assert len(pids) == 3
        assert all(map(is_there, pids))
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_there, pids)))
    with Engine(root) as engine:
        assert engine.pods.list() == []
        assert created_nothing(engine)


@pytest.mark.not_in_chroot
def test_without_root_they_skip_with_a_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(pod):\n    raise AssertionError\n\ndef test_other():\n    pass\n")
    # in a user namespace without IDs of its own, a process is nobody but can read root's files
    command = ["unshare", "--user", sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider"]
    command += ["--basetemp", str(pytester.path / "base")]
    done = subprocess.run(command, cwd=pytester.path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "pypod cannot run pods as this user" in done.stdout
