"""What a listing knows about containers and pods, and the queries of the command line, made through the library."""

from __future__ import annotations

import os

import pytest

import pypod
from pypod import InvalidSpec, NoSuchContainer, NoSuchNetwork, NotFound, WrongState
from tests.facts import wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


class TestContainers:
    def test_every_container_is_there_with_its_state(self, engine, busybox) -> None:
        pod = engine.pods.create("p", labels={"tier": "web"})
        web = pod.run(SLEEP, rootfs=busybox, name="web", labels={"a": "b"})
        engine.containers.create(SLEEP, rootfs=busybox, name="idle")
        infra, first, second = engine.containers.summaries()
        assert (infra.is_infra, infra.labels, infra.spec) == (True, {"tier": "web"}, None)
        assert (first.id, first.name, first.labels, first.command) == (web.id, "web", {"a": "b"}, "sleep 1000")
        assert (first.pod_id, first.pod_name, first.state.status) == (pod.id, "p", "running")
        assert (second.name, second.pod_name, second.state.status, second.namespaces) == ("idle", "", "created", {})
        assert first.created_ns == web.created_ns < second.created_ns

    def test_it_says_what_was_then(self, engine, busybox) -> None:
        web = engine.containers.run(SLEEP, rootfs=busybox, name="web")
        (then,) = engine.containers.summaries()
        web.kill()
        web.wait()
        assert (then.state.running, engine.containers.summaries()[0].state.exit_code) == (True, 137)

    def test_what_costs_more_is_read_when_it_is_asked_for(self, engine, busybox) -> None:
        engine.networks.create("front")
        web = engine.containers.run(
            SLEEP, rootfs=busybox, name="web", network="front", ports=["127.0.0.1::80"], volumes=["/etc:/host:ro"]
        )
        web.exec(["dd", "if=/dev/zero", "of=/file", "bs=1000", "count=5"])
        (found,) = engine.containers.summaries()
        assert found.networks == ["front"]
        assert found.ports == web.ports
        assert [mount.target for mount in found.mounts] == ["/host"]
        assert found.written_bytes >= 5000
        assert found.namespaces["net"] == os.stat(f"/proc/{found.state.pid}/ns/net").st_ino
        assert (found.health, found.image, found.auto_remove) == ("", "", False)


class TestPods:
    def test_members_and_status(self, engine, busybox) -> None:
        pod = engine.pods.create("p", share="net,uts", network="podman")
        pod.run(SLEEP, rootfs=busybox, name="web")
        pod.create_container(SLEEP, rootfs=busybox, name="idle")
        (found,) = engine.pods.summaries()
        assert (found.id, found.name, found.status) == (pod.id, "p", pod.status)
        assert [(one.name, one.is_infra) for one in found.members][1:] == [("web", False), ("idle", False)]
        assert found.members[0].id == found.infra_id
        assert (found.spec.share, found.networks) == (("net", "uts"), ["podman"])

    def test_one_that_shares_nothing_has_no_infra(self, engine) -> None:
        engine.pods.create("p", infra=False)
        (found,) = engine.pods.summaries()
        assert (found.infra_id, found.members, found.networks, found.status) == ("", (), (), "Created")


class TestStats:
    def test_one_look_at_those_that_run(self, engine, busybox) -> None:
        pod = engine.pods.create("p")
        pod.run(SLEEP, rootfs=busybox, name="web")
        engine.containers.run(SLEEP, rootfs=busybox, name="alone")
        engine.containers.create(SLEEP, rootfs=busybox, name="idle")
        assert {one.name for one in engine.containers.stats()} == {pod.infra.name, "web", "alone"}
        assert {one.name for one in engine.containers.stats(pods=["p"])} == {pod.infra.name, "web"}
        (first,) = engine.containers.stats(["alone"])
        (second,) = engine.containers.stats(["alone"], before=[first])
        assert second.time_ns > first.time_ns
        assert engine.containers.stats(["idle"]) == ()
        with pytest.raises(NoSuchContainer):
            engine.containers.stats(["nobody"])


class TestCommands:
    @pytest.fixture
    def box(self, engine, busybox):
        return engine.containers.run(SLEEP, rootfs=busybox, name="box")

    def test_what_is_spawned_goes_on_alone(self, box) -> None:
        box.spawn(["sh", "-c", "echo $WHO >/told; exec sleep 1000"], environment={"WHO": "me"})
        wait_until(lambda: box.exec(["cat", "/told"]).stdout == b"me\n")
        assert [one.command for one in pypod.processes_in(box.namespaces()["pid"])] == ["sleep 1000"] * 2

    def test_a_terminal_of_its_own(self, box) -> None:
        with box.popen(["tty"], terminal=True) as process:
            assert process.wait() == 0
            assert os.read(process.terminal_fd, 100).startswith(b"/dev/")
        assert process.terminal_fd == -1

    def test_an_explained_command_is_not_run(self, box) -> None:
        text = str(box.explain_exec(["touch", "/made"], user="1"))
        assert "touch" in text
        assert box.exec(["ls", "/made"]).exit_code == 1

    def test_an_explained_stop_stops_nothing(self, box) -> None:
        assert "cgroup" in str(box.explain_stop(1))
        assert box.state().running
        box.stop(0)
        assert str(box.explain_stop()) == "nothing"

    def test_a_log_that_is_read_where_it_was_left(self, engine, busybox) -> None:
        box = engine.containers.create(
            ["sh", "-c", "echo one; read line; echo $line"], rootfs=busybox, interactive=True
        )
        log = box.open_log()
        assert list(log.pieces()) == []
        box.start()
        wait_until(lambda: [piece.data for piece in log.pieces()] == [b"one\n"])
        end = box.open_log(at_end=True)
        with_input = box.attach()
        with_input.send_input(b"two\n")
        box.wait()
        assert [piece.data for piece in end.pieces()] == [piece.data for piece in log.pieces()] == [b"two\n"]
        with_input.close()
        log.close()
        end.close()

    def test_the_size_stands_before_the_mounts(self, box) -> None:
        box.exec(["dd", "if=/dev/zero", "of=/file", "bs=1000", "count=3"])
        sized = box.inspect(size=True)
        names = list(sized)
        assert sized["SizeRw"] >= 3000
        assert names[names.index("SizeRw") :][1:3] == ["SizeRootFs", "Mounts"]
        assert "SizeRw" not in box.inspect()


class TestNetworks:
    def test_unused_ones_and_their_names(self, engine, busybox) -> None:
        front, back = engine.networks.create("front"), engine.networks.create("back")
        engine.containers.create(SLEEP, rootfs=busybox, network="front")
        assert [one.name for one in engine.networks.unused()] == ["back"]
        assert engine.networks.names_of(["front", back.id[:8], "nowhere"]) == {"front", "back"}
        front_spec = engine.networks.get("front").spec()
        assert front_spec.id == front.id
        with pytest.raises(NoSuchNetwork):
            engine.networks.get("nowhere")

    def test_reloading_is_for_those_who_run(self, engine, busybox) -> None:
        web = engine.containers.run(SLEEP, rootfs=busybox, network="podman")
        idle = engine.containers.create(SLEEP, rootfs=busybox, network="podman")
        assert list(engine.networks.reload([web, idle])) == [web.id]
        assert list(engine.networks.reload()) == [web.id]


class TestNamespaces:
    def test_a_namespace_comes_and_goes(self, engine) -> None:
        pod = engine.pods.create("p")
        with engine.watch_namespaces([pod]) as watcher:
            assert watcher.look() == {}
            pod.start()
            assert watcher.wait(5)
            kinds = {one.kind for one in watcher.look().values()}
        assert {"net", "uts", "ipc"} <= kinds

    def test_the_processes_in_one(self, engine, busybox) -> None:
        web = engine.containers.run(SLEEP, rootfs=busybox)
        inode = web.namespaces()["net"]
        assert [one.pid for one in pypod.processes_in(inode)] == [web.state().pid]
        web.kill()
        web.wait()
        wait_until(lambda: not _processes(inode))


def _processes(inode: int) -> list[int]:
    try:
        return [one.pid for one in pypod.processes_in(inode)]
    except NotFound:
        return []


class TestHost:
    def test_info_counts_what_is_there(self, engine, busybox) -> None:
        engine.pods.create("p").run(SLEEP, rootfs=busybox)
        found = engine.info()
        assert found["store"]["containerStore"]["running"] == 2
        assert found["store"]["podStore"]["number"] == found["store"]["podStore"]["running"] == 1
        assert found["store"]["graphRoot"] == engine.layout.root
        assert found["host"]["hostname"] == os.uname().nodename

    def test_check_judges_what_is_needed(self, engine) -> None:
        report = pypod.check(engine.layout.root)
        assert (report.usable, report.missing) == (True, ())
        assert {one.name for one in report.findings if one.needed} >= {"user", "programs", "storage", "seccomp"}

    def test_a_storage_that_cannot_be_opened_is_a_finding(self, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        report = pypod.check(str(tmp_path / "file"))
        assert (report.usable, report.missing) == (False, ("storage",))

    def test_root_has_no_session(self, engine) -> None:
        with pytest.raises(WrongState):
            engine.unshare(["id"])


class TestPodOfAContainer:
    def test_it_gets_what_is_about_the_network(self, engine) -> None:
        options = {"network": "podman", "ports": ["127.0.0.1::80"], "hostname": "web", "name": "c"}
        pod = engine.pods.create_for_container("p", options)
        assert ([port.container_port for port in pod.spec().ports], pod.spec().hostname) == ([80], "web")
        assert options == {"name": "c"}
        with pytest.raises(InvalidSpec):
            engine.pods.create_for_container("!", {})

    def test_a_creation_is_two_rows(self, engine) -> None:
        assert "2 rows for the container" in str(engine.containers.explain_creation())
        assert "4 rows for the pod" in str(engine.pods.explain_creation())
        assert "2 rows for the pod" in str(engine.pods.explain_creation(infra=False))
        assert engine.pods.list() == []


def test_the_user_of_a_session_runs_a_command_in_it(user) -> None:
    code = (
        "import pypod, subprocess\n"
        "with pypod.Engine() as engine:\n"
        "    made = engine.unshare(['id', '-u'])\n"
        "    print(subprocess.run(made.arguments, executable=made.program, env=dict(made.environment), check=True,\n"
        "        capture_output=True, text=True).stdout.strip(), engine.end_session(), engine.end_session())\n"
    )
    assert user.python_code(code) == "0 True False\n"
