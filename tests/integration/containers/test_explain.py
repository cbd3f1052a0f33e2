"""--explain lists the steps that are really performed, and performs none of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod import WrongState
from pypod.engine.lifecycle import patience
from pypod.engine.lifecycle.exec import ExecSpec
from pypod.engine.lifecycle.explain import of_exec, of_stop
from pypod.engine.storage import trash
from tests.cli.program import Program
from tests.facts import wait_until

pytestmark = pytest.mark.root

# The system calls that change, create or join anything.
CHANGES = (
    "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mknod mknodat chmod "
    "fchmod fchmodat chown lchown fchownat truncate ftruncate mount umount2 move_mount open_tree fsopen fsmount "
    "fsconfig mount_setattr pivot_root setns unshare clone clone3 fork vfork execve execveat kill tkill tgkill "
    "pidfd_send_signal sethostname setrlimit prctl keyctl seccomp setresuid setresgid setgroups capset"
).split()
# manual page: the calls of which a step makes at least one; pages that stand for other things are left out
CALLS = {
    "clone(2)": {"clone3"},
    "setns(2)": {"setns"},
    "unshare(2)": {"unshare"},
    "keyctl(2)": {"keyctl"},
    "sethostname(2)": {"sethostname"},
    "open_tree(2)": {"open_tree"},
    "mount(2)": {"mount", "move_mount"},
    "fsmount(2)": {"fsmount"},
    "move_mount(2)": {"move_mount"},
    "mknod(2)": {"mknodat"},
    "symlink(2)": {"symlinkat"},
    "pivot_root(2)": {"pivot_root"},
    "setrlimit(2)": {"prlimit64"},
    "umask(2)": {"umask"},
    "seccomp(2)": {"seccomp"},
    "capabilities(7)": {"capset"},
    "execve(2)": {"execve"},
    "execveat(2)": {"execveat"},
}
# Calls beside the steps: cleanup, inspection, waiting, and parts of steps.
OFTEN = {
    "open_tree",
    "mount_setattr",
    "fsopen",
    "fsconfig",
    "prctl",
    "umount2",
    "setresuid",
    "setresgid",
    "setgroups",
    "mkdirat",
}


def everything(root: Path) -> dict[str, tuple]:
    """Return the current state of each file below a directory, and of the mounts."""
    files = {
        str(path): (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
        for path in [root, *root.rglob("*")]
        for status in [path.lstat()]
        if not path.name.startswith("pypod.db-")  # SQLite's own, which even reading creates
    }
    return {**files, "mounts": (Path("/proc/self/mountinfo").read_text(),)}


@pytest.fixture
def world(engine, busybox):
    pod = engine.pods.create("mipod")
    member = pod.create_container(["sleep", "1000"], name="member", rootfs=busybox)
    running = engine.containers.run(
        ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"], name="up", rootfs=busybox
    )
    return pod, member, running


def test_telling_does_nothing(engine, busybox, world, tmp_path) -> None:
    """No system call that changes anything is made by any thread or child of any of the commands."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    pypod = Program(engine.layout.root)
    rootfs = ("--rootfs", f"{busybox}:O")
    commands = [
        ["create", "--explain", "--name", "new"],
        ["create", "--explain", "--pod", "mipod", *rootfs, "true"],
        ["run", "--explain", "--pod", "mipod", *rootfs, "true"],
        ["run", "--explain", "--pod", "new:other", "--privileged", "-v", "/tmp:/mnt", *rootfs, "true"],
        ["start", "--explain", "member"],
        ["exec", "--explain", "up", "true"],
        ["stop", "--explain", "up"],
        ["pod", "start", "--explain", "mipod"],
    ]
    wait_until(lambda: not trash.contents(engine))  # files discarded by the fixture's starts are deleted with a delay
    before = everything(Path(engine.layout.root))
    trace = tmp_path / "trace"
    for words in commands:
        strace = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={','.join(CHANGES)}"]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*strace, *pypod.words, *words], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert re.match(r" *1  python +\S", done.stdout), words
        made = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()]
        # the start of the interpreter
        assert len(made) == 1, (words, made)
        assert made[0].startswith("execve(")
    assert everything(Path(engine.layout.root)) == before
    assert {pod.name for pod in engine.pods.list()} == {"mipod"}


def steps(explanation, by: str) -> list[str]:
    """Return the manual pages of the unconditional steps."""
    return [step.page for step in explanation.steps if step.by == by and "if it exists" not in step.words]


def traced(engine, tmp_path: Path, monkeypatch, action) -> Callable[[], list[list[str]]]:
    """Run ``action``; return a function that lists the calls of each process started from the C programs, in order."""
    wrapper, trace = tmp_path / "wrapper", tmp_path / "trace"
    given = engine.programs.executable
    from pypod.kernel.programs import DIRECTORY

    def executable(name: str) -> str:
        calls = ",".join({*CHANGES, *(call for found in CALLS.values() for call in found), "?umask", "prlimit64"})
        words = f"-DDD -f -qq -o {trace} -e trace={calls}"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("strace")} {words} {DIRECTORY}/{name} "$@"\n')
        wrapper.chmod(0o755)
        return str(wrapper)

    monkeypatch.setattr(engine.programs, "executable", executable)
    action()
    monkeypatch.setattr(engine.programs, "executable", given)

    def calls() -> list[list[str]]:
        processes: dict[str, list[str]] = {}
        for line in trace.read_text().splitlines():
            pid, _, call = line.partition(" ")
            name = call.strip().partition("(")[0]
            if re.fullmatch(r"\w+", name):
                processes.setdefault(pid, []).append(name)
        return list(processes.values())

    return calls


def is_performed(pages: list[str], calls: list[str]) -> str:
    """Return the page of the first step whose call is missing in the sequence, or an empty string if there is none."""
    at = 0
    for page in pages:
        wanted = CALLS.get(page)
        if wanted is None:
            continue
        while at < len(calls) and calls[at] not in wanted:
            at += 1
        if at == len(calls):
            return page
        at += 1
    return ""


@pytest.mark.parametrize("which", ["member", "alone", "infra", "exec"])
def test_what_is_told_is_done(engine, busybox, world, tmp_path, monkeypatch, which: str) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    pod, member, running = world
    if which == "infra":
        told, action = pod.explain(), pod.start_infra
        told = told.replace(
            steps=tuple(told.steps[: 1 + next(i for i, s in enumerate(told.steps) if s.page == "hosts(5)")])
        )
    elif which == "exec":
        spec = ExecSpec(command=("true",))
        told, action = of_exec(engine, running.record(), spec), lambda: running.exec(["true"])
    else:
        pod.start_infra()
        container = member if which == "member" else engine.containers.create(["true"], rootfs=busybox, hostname="own")
        told, action = container.explain(), container.start
    pages = steps(told, "process")
    assert len(pages) > 8
    calls = traced(engine, tmp_path, monkeypatch, action)

    def performing() -> list[list[str]]:
        return [of_one for of_one in calls() if not is_performed(pages, of_one)]

    wait_until(performing)  # strace writes with a delay
    performed = performing()
    assert len(performed) == 1, "a single process must perform all steps in this order"
    # and nothing else: every change it makes belongs to an explained step
    allowed = set().union(*(CALLS.get(step.page, set()) for step in told.steps)) | OFTEN
    after_birth = performed[0]
    assert {call for call in after_birth if call in CHANGES} <= allowed | {"execve", "fchmodat", "unlinkat"}


def test_the_steps_of_python_are_done(engine, busybox, world) -> None:
    pod, member, _ = world
    told = pod.explain()
    words = [step.words for step in told.steps if step.by == "python"]
    made = [match.group(1) for text in words if (match := re.match(r"make (?:directory|cgroup) (\S+)", text))]
    assert len(made) >= 7
    assert not [path for path in made if os.path.exists(path)]
    pod.start()
    assert [path for path in made if not os.path.isdir(path)] == []
    assert str(pod.explain()) == "nothing"
    assert str(member.explain()) == "nothing"


def test_stop_tells_whether_it_will_be_heard(engine, busybox, world, monkeypatch) -> None:
    _, _, running = world
    deaf = engine.containers.run(["sleep", "1000"], rootfs=busybox)
    heard = [step.words for step in of_stop(engine, [running.record()]).steps]
    assert heard[0].startswith(f"send SIGTERM to process {running.state().pid}")
    assert heard[1] == "wait up to 10 s for its end"
    assert heard[2].endswith("if it is still there")
    new = [step.words for step in of_stop(engine, [deaf.record()]).steps]
    assert re.fullmatch(rf"wait up to [0-2][0-9.]* s for the end of process {deaf.state().pid} of {deaf.name}", new[0])
    assert new[1] == "send SIGTERM to it as soon as it handles that"
    monkeypatch.setattr(patience, "STARTING_S", 0.0)
    unheard = [step.words for step in of_stop(engine, [deaf.record()]).steps]
    assert unheard[0] == f"send SIGKILL to process {deaf.state().pid}, which does not hear SIGTERM"
    assert next(step.words for step in of_stop(engine, [deaf.record()], 0).steps).endswith(str(deaf.state().pid))


def test_what_cannot_be_done_is_told_as_it_would_be(engine, busybox, world) -> None:
    pypod = Program(engine.layout.root)
    done = pypod("run", "--explain", "--rootfs", "/nosuch:O", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert "stat /nosuch: no such file or directory" in done.stderr
    with pytest.raises(WrongState):
        of_exec(engine, world[1].record(), ExecSpec(command=("true",)))
    assert sys.exc_info() == (None, None, None)


def test_who_removes_it_is_told_as_it_is_done(engine, busybox) -> None:
    """The supervisor removes a container that no client waits for; otherwise the waiting client does."""
    pypod = Program(engine.layout.root)
    words = ("--rm", "--rootfs", f"{busybox}:O", "true")
    assert "at the very end run" not in pypod.ok("run", "--explain", *words)
    assert "at the very end run" in pypod.ok("run", "--explain", "-d", *words)
    container = engine.containers.create(["true"], rootfs=busybox, remove=True, terminal=True)
    assert "at the very end run" not in pypod.ok("start", "--attach", "--explain", container.name)
    assert "at the very end run" in pypod.ok("start", "--explain", container.name)
    assert "terminal of 90 columns and 20 rows" in str(container.explain(columns=90, rows=20))
    with pypod.terminal("run", "--explain", "-it", *words, columns=77, rows=11) as terminal:
        terminal.expect("terminal of 77 columns and 11 rows")
