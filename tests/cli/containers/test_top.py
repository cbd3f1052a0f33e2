"""top and pod top: the processes of containers, with podman's descriptors, and ps(1) inside."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil
import pytest

from pypod import Engine, errors
from tests.cli.program import Program
from tests.facts import eventually

pytestmark = pytest.mark.root

TITLES = ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]


@pytest.fixture
def pypod(engine: Engine) -> Program:
    return Program(engine.layout.root)


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table, whose columns are at least two spaces apart."""
    return [re.split(r" {2,}", line.rstrip()) for line in text.splitlines()]


def run(engine: Engine, rootfs: str, command: str, **options):
    return engine.containers.run(["sh", "-c", command], rootfs=rootfs, **options)


class TestTop:
    def test_shows_the_namespace_with_its_own_ids(self, engine, pypod, busybox) -> None:
        run(engine, busybox, "sleep 1000 & exec sleep 1001", name="web")
        eventually(lambda: pypod("top", "web", "args").stdout.count("sleep") == 2)
        shown = rows(pypod.ok("top", "web"))
        assert shown[0] == TITLES
        assert [(row[0], row[1], row[2], row[-1]) for row in shown[1:]] == [
            ("root", "1", "0", "sleep 1001"),
            ("root", "2", "1", "sleep 1000"),
        ]
        pairs = [row.split() for row in pypod.ok("top", "web", "pid", "hpid,ppid").splitlines()[1:]]
        for inside, host, _ in pairs:
            status = Path(f"/proc/{host}/status").read_text()
            assert f"\nNSpid:\t{host}\t{inside}\n" in status

    def test_agrees_with_psutil(self, engine, busybox) -> None:
        container = run(engine, busybox, "exec sleep 1000", name="web", user="33:7", groups=["5"])
        eventually(lambda: container.top()[0].comm == "sleep")
        (one,) = container.top()
        process = psutil.Process(one.host_pid)
        memory = process.memory_info()
        assert one.host_pid == container.state().pid
        assert (one.virtual_bytes, one.nice, one.comm) == (memory.vms, process.nice(), "sleep")
        assert (one.host_uid, one.host_gid) == (process.uids().effective, process.gids().effective)
        assert abs(one.started_ns / 1e9 - process.create_time()) < 1
        assert list(one.arguments) == process.cmdline()
        assert one.seccomp == "filter"
        assert one.capabilities["eff"] == ()
        assert one.group == "7" or not one.group.isdigit()
        assert 5 in one.host_groups

    def test_codes_of_ps_are_descriptors(self, engine, pypod, busybox) -> None:
        run(engine, busybox, "exec sleep 1000", name="web")
        titles, row = (line.split() for line in pypod.ok("top", "-l", "%p", "%P", "%a").splitlines())
        assert (titles, row) == (["PID", "PPID", "COMMAND"], ["1", "0", "sleep", "1000"])

    def test_capabilities_and_seccomp(self, engine, pypod, busybox) -> None:
        run(engine, busybox, "exec sleep 1000", name="some", cap_drop=["ALL"], cap_add=["CHOWN", "KILL"])
        run(engine, busybox, "exec sleep 1000", name="none", cap_drop=["ALL"])
        line = rows(pypod.ok("top", "some", "capeff", "capinh", "seccomp"))
        assert line == [["EFFECTIVE CAPS", "INHERITED CAPS", "SECCOMP"], ["CHOWN,KILL", "none", "filter"]]
        assert rows(pypod.ok("top", "none", "capbnd"))[1] == ["none"]

    def test_nested_pid_namespaces_are_shown_as_from_the_container(self, engine, pypod, busybox) -> None:
        run(engine, busybox, "unshare -p -f sleep 999 & exec sleep 1000", name="web", privileged=True)
        eventually(lambda: "sleep 999" in pypod.ok("top", "web", "args").replace("unshare -p -f sleep 999", ""))
        assert [row[0] for row in rows(pypod.ok("top", "web", "pid", "args"))[1:]] == ["1", "2", "3"]

    def test_an_unknown_descriptor_runs_ps_inside(self, engine, pypod, busybox) -> None:
        run(engine, busybox, "exec sleep 1000", name="web")
        for words in (("-eo", "pid,args"), ("-eo pid,args",)):
            lines = pypod.ok("top", "web", *words).splitlines()
            assert lines[0].split() == ["PID", "COMMAND"]
            assert [line.split(None, 1) for line in lines[1:]] == [["1", "sleep 1000"]], "ps itself is left out"
        assert pypod("top", "web", "-o", "nonsense").stderr.startswith(
            "Error: executing ps(1) in the container: runtime failed with exit status: 1 and output: "
        )

    def test_without_ps_the_hosts_is_used(self, engine, pypod, tmp_path, busybox) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/sleep").write_bytes(Path(busybox, "bin/busybox").read_bytes())
        (tmp_path / "bin/sleep").chmod(0o755)
        engine.containers.run(["/bin/sleep", "1000"], rootfs=str(tmp_path), name="web")
        assert rows(pypod.ok("top", "web", "user", "args"))[1] == ["0", "/bin/sleep 1000"]
        heading, row = pypod.ok("top", "web", "-eo", "pid,args").splitlines()
        assert (heading.split(), row.split(None, 1)) == (["PID", "COMMAND"], ["1", "/bin/sleep 1000"])
        assert "sleep" not in Path("/proc/1/comm").read_text(), "the host's /proc is as before"
        empty = tmp_path / "empty"
        empty.mkdir()
        done = pypod("top", "web", "aux", env={**os.environ, "PATH": str(empty)})
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith("Error: executing ps(1) in the container: ")

    def test_names_come_from_hostile_files(self, engine, pypod, busybox) -> None:
        container = run(engine, busybox, "exec sleep 1000", name="web", overlay=True)
        container.exec(["sh", "-c", "rm /etc/passwd; echo 'evil:x:0:0:::' > /x; ln -s /x /etc/passwd"])
        assert rows(pypod.ok("top", "web", "user")) == [["USER"], ["0"]]
        container.exec(["sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd"])
        assert rows(pypod.ok("top", "web", "user")) == [["USER"], ["0"]]
        container.exec(["sh", "-c", r"rm /etc/passwd; printf 'a\033[2Jb:x:0:0:::\n' > /etc/passwd"])
        assert "\033" not in pypod.ok("top", "web", "user")

    def test_arguments_cannot_forge_a_line(self, engine, pypod, busybox) -> None:
        engine.containers.run(["sleep", "1000", "\n1 root"], rootfs=busybox, name="web")
        if "1000" in pypod("top", "web", "args").stdout:
            assert len(pypod.ok("top", "web", "pid", "args").splitlines()) == 2

    def test_it_must_be_running(self, engine, pypod, busybox) -> None:
        engine.containers.create(["true"], rootfs=busybox, name="idle")
        for words, message in (
            (("top", "idle"), "top can only be used on running containers"),
            (("top", "idle", "aux"), "top can only be used on running containers"),
            (("top",), "you must provide the name or id of a running container"),
            (
                ("top", "nobody"),
                'unable to look up requested container: no container with name or ID "nobody" found: no such container',
            ),
            (("pod", "top"), "you must provide the name or id of a running pod"),
        ):
            done = pypod(*words)
            assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")
        with pytest.raises(errors.WrongState):
            engine.containers.top("idle")


class TestPodTop:
    def test_shows_infra_and_members(self, engine, pypod, busybox) -> None:
        pod = engine.pods.create("p")
        for name in ("a", "b"):
            pod.run(["sleep", "1000"], rootfs=busybox, name=name)
        shown = rows(pypod.ok("pod", "top", "p", "pid", "hpid", "args"))
        assert [row[0] for row in shown] == ["PID", "1", "1", "1"]
        pids = [pod.infra.state().pid, *(one.state().pid for one in pod.containers())]
        assert [int(row[1]) for row in shown[1:]] == pids
        assert pypod("pod", "top", "p", "-eo", "pid").stderr == "Error: '-eo': unknown descriptor\n"

    def test_a_shared_namespace_is_shown_once(self, engine, busybox) -> None:
        pod = engine.pods.create("p", share=["pid", "net"])
        for name in ("a", "b"):
            pod.run(["sleep", "1000"], rootfs=busybox, name=name)
        pids = [one.pid for one in pod.top()]
        assert len(pids) == 3
        assert pids == sorted(set(pids))

    def test_stopped_it_shows_nothing(self, engine, pypod) -> None:
        engine.pods.create("p")
        assert pypod.ok("pod", "top", "p") == ""


def test_with_the_hosts_processes(engine, busybox) -> None:
    container = run(engine, busybox, "exec sleep 1000", name="web", pid="host")
    by_pid = {one.host_pid: one for one in container.top()}
    assert os.getpid() in by_pid
    assert by_pid[container.state().pid].pid == container.state().pid
