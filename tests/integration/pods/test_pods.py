"""The life of a pod and its members: states, shared namespaces, owners, removal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from pypod import (
    CommandNotFound,
    Engine,
    InvalidSpec,
    LaunchFailed,
    NoSuchContainer,
    NoSuchPod,
    Pod,
    PodBroken,
    SystemFailure,
    WrongState,
)
from pypod.engine.lifecycle import infra
from tests.facts import (
    GATE,
    created_nothing,
    group,
    is_there,
    members,
    open_gate,
    output,
    wait_for_output,
    wait_until,
)

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
SHARED = ("net", "ipc", "uts")


class TestStates:
    def test_each_step(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        assert pod.status == "Created"
        assert pod.state().infra.status == "created"
        pod.start()
        assert (pod.status, pod.containers()) == ("Running", [])
        infra = pod.state().infra
        assert Path(f"/proc/{infra.pid}/cmdline").read_bytes() == b"pypod-infra\0"
        assert members(engine, pod.infra) == {infra.pid}
        first, second = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
        assert pod.status == "Running"
        assert [identifier for identifier, _ in pod.state().members] == [first.id, second.id]
        first.stop(timeout=0)
        assert pod.status == "Degraded"
        second.stop(timeout=0)
        assert pod.status == "Degraded"  # the infra keeps running, as in podman
        pod.stop(timeout=0)
        assert (pod.status, pod.state().infra.exit_code) == ("Exited", 0)
        assert not is_there(infra.pid)
        pod.start()
        assert pod.status == "Running"
        assert first.state().running
        assert second.state().running
        pod.restart(timeout=0)
        assert pod.status == "Running"
        pod.kill()
        wait_until(lambda: pod.status == "Exited")
        assert pod.state().infra.exit_code == 137
        with pytest.raises(WrongState, match="no running containers"):
            pod.kill()
        pod.remove()
        assert created_nothing(engine)
        with pytest.raises(NoSuchPod) as caught:
            pod.state()
        assert caught.value.ref == "p"

    def test_a_member_that_has_ended_by_itself(self, engine, busybox) -> None:
        pod = engine.pods.create()
        assert pod.run(["true"], rootfs=busybox).wait() == 0
        assert pod.status == "Degraded"
        pod.stop()
        assert pod.status == "Exited"

    def test_without_an_infra(self, engine, busybox) -> None:
        pod = engine.pods.create(infra=False)
        assert (pod.infra, pod.status) == (None, "Created")
        with pytest.raises(WrongState, match="no infra"):
            pod.enter("net")
        one, two = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
        assert pod.status == "Running"
        assert one.namespaces()["net"] != two.namespaces()["net"]
        pod.stop(timeout=0)
        assert pod.status == "Exited"

    def test_a_pod_s_cgroup_goes_with_it(self, engine, busybox) -> None:
        """Also when no member is left whose path would lead to it."""
        for parent in ("", "/of-my-own"):
            pod = engine.pods.create(infra=False, cgroup_parent=parent)
            member = pod.run(["true"], rootfs=busybox)
            above = group(engine, member).parent
            assert above.name == pod.id
            member.wait()
            member.remove()
            assert above.is_dir()
            pod.remove()
            assert not above.exists()
        above.parent.rmdir()

    def test_a_member_s_cgroup_below_a_parent_of_its_own_goes_with_the_pod(self, engine, busybox) -> None:
        pod = engine.pods.create()
        member = pod.run(SLEEP, rootfs=busybox, cgroup_parent="/of-its-own")
        above = group(engine, member).parent
        assert (above.name, above.parent.name) == (pod.id, "of-its-own")
        pod.remove(force=True, timeout=0)
        assert not above.exists()
        above.parent.rmdir()

    def test_files_that_a_killed_start_left_out_are_made_by_the_next(self, engine, busybox) -> None:
        """They are written while the infra starts: a caller killed then leaves an infra without them."""
        pod = engine.pods.create("p", hostname="host")
        pod.start()
        infra = pod.infra.state().pid
        for name in ("hosts", "hostname", "resolv.conf"):
            Path(engine.layout.pod(pod.id), name).unlink()
        member = pod.run(["cat", "/etc/hostname"], rootfs=busybox)
        assert (member.wait(10), output(member)) == (0, b"host\n")
        assert pod.infra.state().pid == infra

    def test_an_infra_whose_files_cannot_be_written_does_not_stay(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        hostname = Path(engine.layout.pod(pod.id), "hostname")
        hostname.mkdir(parents=True)
        with pytest.raises(SystemFailure, match="hostname"):
            pod.start()
        assert not pod.infra.state().running
        hostname.rmdir()
        assert pod.run(["true"], rootfs=busybox).wait(10) == 0

    def test_a_command_of_its_own(self, engine, busybox) -> None:
        program = shutil.which("busybox")
        if program is None:
            pytest.skip("busybox is not installed")
        pod = engine.pods.create(infra_command=[program, "sleep", "1000"])
        pod.start()
        infra = pod.infra.state()
        assert Path(f"/proc/{infra.pid}/cmdline").read_bytes() == f"{program}\0sleep\0001000\0".encode()
        member = pod.run(["true"], rootfs=busybox)
        assert member.wait(10) == 0

    @pytest.mark.parametrize(
        ("command", "message"),
        [("/nosuch", "run /nosuch: open_tree: No such file"), (sys.executable, "only a static program can run")],
    )
    def test_a_command_that_cannot_run(self, engine, command: str, message: str) -> None:
        pod = engine.pods.create(infra_command=[command])
        with pytest.raises(LaunchFailed, match=message):
            pod.start()
        assert pod.status == "Created"

    def test_start_and_stop_are_idempotent(self, engine, busybox) -> None:
        pod = engine.pods.create()
        pod.stop()
        member = pod.run(SLEEP, rootfs=busybox)
        before = pod.state()
        pod.start()
        assert pod.state() == before
        pod.stop(timeout=0)
        ended = pod.state()
        pod.stop(timeout=0)
        assert pod.state() == ended
        pod.remove()
        pod.remove(force=True)
        member.remove()

    def test_a_running_member_keeps_it_from_removal(self, engine, busybox) -> None:
        pod = engine.pods.create("kept")
        member = pod.run(SLEEP, rootfs=busybox)
        with pytest.raises(WrongState, match="cannot be removed without force") as caught:
            pod.remove()
        assert caught.value.ref == "kept"
        assert pod.status == "Running"
        pid, infra = member.state().pid, pod.state().infra.pid
        pod.remove(force=True, timeout=0)
        assert not is_there(pid)
        assert not is_there(infra)
        assert created_nothing(engine)
        with pytest.raises(NoSuchContainer):
            member.state()

    def test_members_stop_side_by_side(self, engine, busybox) -> None:
        pod = engine.pods.create()
        script = "trap : TERM; echo ready; while :; do sleep 0.01; done"
        for member in [pod.run(["sh", "-c", script], rootfs=busybox) for _ in range(4)]:
            wait_for_output(member, b"ready")
        before = time.monotonic()
        pod.stop(timeout=0.5)
        assert 0.5 <= time.monotonic() - before < 1.5
        assert [state.exit_code for _, state in pod.state().members] == [137] * 4

    def test_run_that_fails_leaves_no_member(self, engine, busybox) -> None:
        pod = engine.pods.create()
        with pytest.raises(CommandNotFound):
            pod.run(["nothing"], rootfs=busybox)
        assert pod.containers() == []
        assert pod.status == "Running"

    def test_labels_and_spec(self, engine) -> None:
        pod = engine.pods.create("p", labels={"b": "2", "a": "1"}, hostname="h")
        assert pod.spec().labels == (("a", "1"), ("b", "2"))
        assert (pod.spec().hostname, pod.name, engine.pods.get("p")) == ("h", "p", pod)


class TestSharing:
    def test_of_namespaces(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        for _ in range(2):
            pod.run(SLEEP, rootfs=busybox)
        table = pod.namespaces()
        own = {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in table}
        assert {len(row) for row in table.values()} == {3}
        for kind in SHARED:
            assert len(set(table[kind].values())) == 1, kind
            assert own[kind] not in table[kind].values(), kind
        for kind in ("mnt", "pid"):
            assert len({own[kind], *table[kind].values()}) == 4, kind
        for kind in {"user", "time"} & set(table):  # not every kernel has time namespaces
            assert {own[kind]} == set(table[kind].values()), kind
        pod.stop(timeout=0)
        assert pod.namespaces() == {}

    def test_of_localhost_hostname_and_memory(self, engine, busybox) -> None:
        pod = engine.pods.create("mipod")
        server = pod.run(["nc", "-l", "-p", "8080", "-e", "echo", "hello"], rootfs=busybox)
        wait_until(lambda: b":1F90 " in server.exec(["cat", "/proc/net/tcp", "/proc/net/tcp6"]).stdout)
        client = pod.run(["sh", "-c", "nc localhost 8080; hostname; echo memory > /dev/shm/note"], rootfs=busybox)
        assert client.wait(10) == 0
        assert output(client) == b"hello\nmipod\n"
        reader = pod.run(["cat", "/dev/shm/note"], rootfs=busybox)
        assert (reader.wait(), output(reader)) == (0, b"memory\n")

    def test_of_processes(self, engine, busybox) -> None:
        pod = engine.pods.create(share="ipc,net,uts,pid")
        one, two = (pod.run(SLEEP, rootfs=busybox) for _ in range(2))
        assert one.namespaces()["pid"] == two.namespaces()["pid"]
        assert one.exec(["ps"]).stdout.count(b"sleep 1000") == 2
        one.stop(timeout=0)
        assert two.state().running

    def test_enter(self, engine) -> None:
        pod = engine.pods.create("inside")
        pod.start()
        home = os.readlink("/proc/thread-self/ns/net")
        with pod.enter("net", "uts"):
            assert os.uname().nodename == "inside"
            table = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
            assert [line.partition(":")[0].strip() for line in table] == ["lo"]
        assert os.readlink("/proc/thread-self/ns/net") == home
        with pytest.raises(InvalidSpec) as caught:
            pod.enter("pid")
        assert caught.value.argument == "kinds"
        pod.stop()
        with pytest.raises(WrongState):
            pod.enter("net")

    def test_enter_is_of_one_thread(self, engine) -> None:
        pod = engine.pods.create()
        pod.start()
        home = os.readlink("/proc/thread-self/ns/net")
        seen: list[str] = []
        with pod.enter("net"):
            thread = threading.Thread(target=lambda: seen.append(os.readlink("/proc/thread-self/ns/net")))
            thread.start()
            thread.join()
        # a new thread inherits its creator's namespaces; the main thread is back in its own
        assert os.readlink("/proc/thread-self/ns/net") == home
        assert seen != [home]


class TestBlocks:
    def test_removed_at_the_end_and_after_an_exception(self, engine, busybox) -> None:
        with Pod.create("p", engine=engine) as pod:
            member = pod.run(SLEEP, rootfs=busybox)
            pids = [member.state().pid, pod.state().infra.pid]
        assert [pid for pid in pids if is_there(pid)] == []
        with contextlib.suppress(ZeroDivisionError), Pod.create("p", engine=engine) as pod:
            member = pod.run(SLEEP, rootfs=busybox)
            pids = [member.state().pid, pod.state().infra.pid]
            1 / 0  # noqa: B018
        assert [pid for pid in pids if is_there(pid)] == []
        assert created_nothing(engine)


class TestRaces:
    def test_a_member_started_while_the_pod_stops_is_not_left_alone(self, engine, busybox) -> None:
        """A member started between the members' end and the infra's must not live on in dead namespaces."""
        pod = engine.pods.create()
        heard = f"echo heard; {GATE}; exit"
        slow = pod.run(["sh", "-c", f"trap '{heard}' TERM; echo ready; while :; do sleep 0.01; done"], rootfs=busybox)
        wait_for_output(slow, b"ready")
        late = pod.create_container(SLEEP, rootfs=busybox)
        stopper = threading.Thread(target=lambda: pod.stop(timeout=30))
        stopper.start()
        wait_for_output(slow, b"heard")
        late.start()
        open_gate(slow)
        stopper.join()
        assert not late.state().running
        assert pod.status == "Exited"

    def test_nor_one_that_is_started_while_the_infra_stops(self, engine, busybox, monkeypatch) -> None:
        pod = engine.pods.create()
        late = pod.create_container(SLEEP, rootfs=busybox)
        pod.start_infra()
        starter = threading.Thread(target=late.start)
        real = infra.stop

        def stop(*arguments: object) -> None:
            starter.start()
            time.sleep(0.1)
            real(*arguments)

        monkeypatch.setattr(infra, "stop", stop)
        pod.stop(timeout=0)
        starter.join()
        assert (late.state().running, pod.status) == (True, "Running")  # in new namespaces, after the stop

    def test_a_member_of_a_pod_that_is_being_removed(self, engine, busybox) -> None:
        """It is killed, or there is no such pod; it is never left without a pod."""
        for _ in range(10):
            pod = engine.pods.create()
            outcomes: list[object] = []

            def create(pod=pod, to=outcomes) -> None:
                for _ in range(500):  # some of them may wait for the lock that the removal holds
                    try:
                        pod.run(SLEEP, rootfs=busybox)
                    except (NoSuchPod, NoSuchContainer, PodBroken, LaunchFailed) as error:
                        to.append(error)
                        return

            thread = threading.Thread(target=create)
            thread.start()
            time.sleep(0.01)
            pod.remove(force=True, timeout=0)
            thread.join()
            assert len(outcomes) == 1
            assert created_nothing(engine)


WRONG = [
    ("share", {"share": "nonsense"}, "--share"),
    ("infra name without infra", {"infra": False, "infra_name": "x"}, "--infra-name"),
    ("infra command without infra", {"infra": False, "infra_command": ["x"]}, "--infra-command"),
    ("hostname without infra", {"infra": False, "hostname": "x"}, "--hostname"),
    ("infra name", {"infra_name": "-x"}, "--infra-name"),
    ("hostname", {"hostname": "a b"}, "--hostname"),
    ("network", {"network": ["none", "host"]}, "--network"),
    ("network of another", {"network": "container:x"}, "--network"),
    ("sysctl of the host", {"sysctls": {"kernel.panic": "1"}}, "--sysctl"),
    ("sysctl of what is not shared", {"share": "uts", "sysctls": {"net.core.somaxconn": "1"}}, "--sysctl"),
    ("host entry", {"add_hosts": ["x"]}, "--add-host"),
    ("cgroup parent", {"cgroup_parent": "/a/../b"}, "--cgroup-parent"),
]


@pytest.mark.parametrize(("options", "argument"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_argument_is_named_and_nothing_created(engine, options, argument: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        engine.pods.create("p", **options)
    assert caught.value.argument == argument
    assert created_nothing(engine)


def test_a_member_cannot_have_what_is_the_pod_s(engine, busybox) -> None:
    pod = engine.pods.create(share="net,uts")
    for options, argument in (
        ({"hostname": "own"}, "--hostname"),
        ({"add_hosts": ["a:1.2.3.4"]}, "--add-host"),
        ({"ipc": "pod"}, "--ipc"),
        ({"sysctls": {"net.core.somaxconn": "1"}}, "--sysctl"),
    ):
        with pytest.raises(InvalidSpec) as caught:
            pod.create_container(SLEEP, rootfs=busybox, **options)
        assert caught.value.argument == argument
    assert pod.containers() == []


def test_the_default_engine_is_where_the_variable_says(tmp_path, monkeypatch, busybox) -> None:
    from pypod import Container

    monkeypatch.setenv("PYPOD_ROOT", str(tmp_path / "own"))
    pod = Pod.create("p")
    assert (Pod.get("p"), Pod.list()) == (pod, [pod])
    container = Container.run(["true"], rootfs=busybox, name="c")
    assert container.wait() == 0
    assert (Container.get("c"), Container.list(), Container.list(all=True)) == (container, [], [container])
    with Engine() as engine:
        assert engine.layout.root == str(tmp_path / "own")
        assert engine.pods.list() == [pod]
    container.remove()
    created = Container.create(["true"], rootfs=busybox)
    assert (created.state().status, Container.list(all=True)) == ("created", [created])
    created.remove()
    pod.remove()
