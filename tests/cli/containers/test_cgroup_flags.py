"""--cgroups, --cgroup-conf and --requires of run and create, as a shell user sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod.kernel.cgroups.detect import UNIFIED, detect
from tests.cli.program import Program

pytestmark = pytest.mark.root

needs_v2 = pytest.mark.skipif(detect().mode != UNIFIED, reason="cgroups: the host has v1 controllers")


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def root(busybox: str) -> tuple[str, ...]:
    return ("--network", "none", "--rootfs", f"{busybox}:O")


def groups(pid: object) -> list[str]:
    return Path(f"/proc/{pid}/cgroup").read_text().splitlines()


class TestWithoutAGroup:
    def test_it_stays_in_its_caller_s(self, pypod, root) -> None:
        pypod.ok("run", "-d", "--name", "box", "--cgroups", "disabled", *root, "sleep", "100")
        pids = pypod.ok("inspect", "box", "--format", "{{.State.Pid}} {{.State.ConmonPid}}").split()
        assert [groups(pid) for pid in pids] == [groups("self")] * 2
        shown = pypod.ok("inspect", "box", "--format", "{{.HostConfig.Cgroups}} {{.HostConfig.CgroupMode}}")
        assert shown == "disabled host\n"

    def test_it_ends_with_all_its_processes(self, pypod, root) -> None:
        script = "sleep 1000 & exec sleep 1001"
        pypod.ok("run", "-d", "--name", "box", "--cgroups", "disabled", *root, "sh", "-c", script)
        pid = int(pypod.ok("inspect", "box", "--format", "{{.State.Pid}}"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert pypod.ok("exec", "box", "echo", "hi") == "hi\n"
        pypod.ok("restart", "-t", "0", "box")
        assert not any(Path(f"/proc/{one}").exists() for one in (pid, *children))
        assert pypod.ok("stop", "-t", "0", "box") == "box\n"
        assert pypod.ok("rm", "box") == "box\n"

    @pytest.mark.parametrize("verb", [("stats", "--no-stream"), ("pause",), ("update", "--memory", "64m")])
    def test_what_takes_a_group_is_refused(self, pypod, root, verb: tuple[str, ...]) -> None:
        pypod.ok("run", "-d", "--name", "box", "--cgroups", "disabled", *root, "sleep", "100")
        done = pypod(*verb, "box")
        assert done.returncode == 125
        assert "does not have a cgroup" in done.stderr


def test_a_monitor_in_its_caller_s_group(pypod, root) -> None:
    pypod.ok("run", "-d", "--name", "box", "--cgroups", "no-conmon", *root, "sleep", "100")
    pid, monitor = pypod.ok("inspect", "box", "--format", "{{.State.Pid}} {{.State.ConmonPid}}").split()
    assert groups(monitor) == groups("self") != groups(pid)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--cgroups", "some"), 'running container create option: invalid cgroup mode "some": invalid argument'),
        (
            ("--cgroups", "disabled", "--cgroup-parent", "/x"),
            "cannot set cgroup parent if not creating cgroups: invalid argument",
        ),
        (
            ("--cgroups", "split", "--cgroup-parent", "/x"),
            "cannot specify --cgroup-mode=split with a cgroup-parent: invalid argument",
        ),
        (("--cgroups", "disabled", "--memory", "64m"), "cannot set limits if not creating cgroups: invalid argument"),
        (("--cgroup-conf", "memory.high"), "--cgroup-conf must be formatted KEY=VALUE"),
        (("--cgroup-conf", "../memory.high=1"), "invalid cgroup configuration ../memory.high=1"),
        (
            ("--requires", "nosuch"),
            '"nosuch" is not a valid container, cannot be used as a dependency: '
            'no container with name or ID "nosuch" found: no such container',
        ),
    ],
)
def test_what_is_refused(pypod, engine, root, flags: tuple[str, ...], message: str) -> None:
    done = pypod("create", *flags, *root, "true")
    assert done.returncode == 125
    assert done.stderr.startswith(f"Error: {message}")
    assert engine.containers.list(all=True) == []


@pytest.mark.skipif(detect().mode == UNIFIED, reason="cgroups: the host has v2 only")
@pytest.mark.parametrize("flags", [("--cgroups", "split"), ("--cgroup-conf", "memory.high=1")])
def test_what_takes_v2(pypod, root, flags: tuple[str, ...]) -> None:
    done = pypod("create", *flags, *root, "true")
    assert done.returncode == 125
    assert "cgroup" in done.stderr


@needs_v2
def test_files_of_the_group(pypod, root) -> None:
    conf = ("--cgroup-conf", "cgroup.max.depth=3", "--cgroup-conf", "memory.high=64M")
    words = ("cat", "/sys/fs/cgroup/cgroup.max.depth", "/sys/fs/cgroup/memory.high")
    assert pypod.ok("run", "--rm", *conf, *root, *words) == f"3\n{64 << 20}\n"
    done = pypod("run", "--rm", "--cgroup-conf", "memory.nosuch=1", *root, "true")
    assert done.returncode == 125
    assert "memory.nosuch" in done.stderr


@needs_v2
def test_halves_of_the_caller_s_group(pypod, root) -> None:
    pypod.ok("run", "-d", "--name", "box", "--cgroups", "split", *root, "sleep", "100")
    shown = pypod.ok("inspect", "box", "--format", "{{.Id}} {{.State.Pid}} {{.State.ConmonPid}}")
    identifier, pid, monitor = shown.split()
    own = groups("self")[0].rstrip("/")
    assert groups(pid) == [f"{own}/libpod-payload-{identifier}"]
    assert groups(monitor) == [f"{own}/supervisor"]


class TestRequirements:
    def test_they_start_first_and_stay(self, pypod, root) -> None:
        pypod.ok("create", "--name", "first", *root, "sleep", "100")
        pypod.ok("run", "-d", "--name", "second", "--requires", "first", *root, "sleep", "100")
        running = pypod.ok("ps", "--format", "{{.Names}}").split()
        assert sorted(running) == ["first", "second"]
        refused = pypod("rm", "-f", "first")
        assert refused.returncode == 125
        assert "has dependent containers which must be removed before it" in refused.stderr
        identifier = pypod.ok("inspect", "first", "--format", "{{.Id}}")
        assert pypod.ok("inspect", "second", "--format", "{{index .Dependencies 0}}") == identifier

    def test_all_go_together(self, pypod, root, engine) -> None:
        for name in ("a", "b"):
            pypod.ok("create", "--name", name, *root, "true")
        pypod.ok("create", "--name", "c", "--requires", "a,b", *root, "true")
        pypod.ok("rm", "--depend", "a")
        assert [one.name for one in engine.containers.list(all=True)] == ["b"]
        assert engine.containers.get("b").dependents() == ()

    def test_one_that_cannot_start(self, pypod, root) -> None:
        pypod.ok("create", "--name", "first", *root, "nosuch")
        done = pypod("run", "--requires", "first", *root, "true")
        assert done.returncode == 127
