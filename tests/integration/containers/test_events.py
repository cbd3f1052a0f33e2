"""Events are reported in order and once, whichever process causes them, and whatever happens to the file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pypod import Engine, Event, InvalidSpec, LaunchFailed, WrongState, events
from tests.facts import kill_and_wait, unmount, wait_until

pytestmark = pytest.mark.root


def told(engine: Engine, **options) -> list[str]:
    """Return the reported events in the form TYPE ACTION NAME [CODE]."""
    names = {pod.infra.name: "infra" for pod in engine.pods.list() if pod.infra}
    return [
        " ".join(
            (
                one.type,
                one.action,
                names.get(one.name, one.name),
                *([str(one.exit_code)] if one.exit_code is not None else []),
            )
        )
        for one in engine.events(**options)
    ]


def test_the_life_of_a_container(engine, busybox) -> None:
    web = engine.containers.create(["sleep", "1000"], name="web", rootfs=busybox, labels={"app": "web", "z": ""})
    web.start()
    web.attach().close()
    assert web.exec(["sh", "-c", "exit 7"]).exit_code == 7
    web.kill("USR1")
    web.restart(timeout=0)
    web.kill()
    web.remove()
    assert told(engine) == [
        "container create web",
        "container init web",
        "container start web",
        "container attach web",
        "container exec web",
        "container exec_died web 7",
        "container kill web",
        "container restart web",
        "container died web 137",
        "container init web",
        "container start web",
        "container kill web",
        "container died web 137",
        "container remove web",
    ]
    for one in engine.events():
        assert (one.id, one.pod_id, one.image) == (web.id, "", "")
        assert dict(one.attributes) == {"app": "web", "z": ""}
    moments = [one.time_ns for one in engine.events()]
    assert moments == sorted(moments)
    assert abs(moments[-1] - time.time_ns()) < 60 * 10**9


def test_the_life_of_a_pod(engine, busybox) -> None:
    pod = engine.pods.create("mipod", labels={"tier": "front"})
    infra = pod.infra
    pod.create_container(["sleep", "1000"], name="web", rootfs=busybox)
    pod.start()
    pod.stop(timeout=0)
    pod.restart(timeout=0)
    pod.kill()
    expected = [
        "container create infra",
        "pod create mipod",
        "container create web",
        "container init infra",
        "container start infra",
        "container init web",
        "container start web",
        "pod start mipod",
        "pod stop mipod",
        "container died web 137",
        "container died infra 0",
        "container restart infra",
        "container restart web",
        "pod stop mipod",
        "container init infra",
        "container start infra",
        "container init web",
        "container start web",
        "pod start mipod",
        "pod kill mipod",
        "container kill web",
        "container died web 137",
        "container kill infra",
        "container died infra 137",
    ]
    assert told(engine) == expected
    pod.remove()
    assert [f"{one.type} {one.action} {one.name}" for one in list(engine.events())[len(expected) :]] == [
        f"container remove {infra.name}",
        "container remove web",
        "pod remove mipod",
    ]
    for one in engine.events():
        assert one.pod_id == ("" if one.type == "pod" else pod.id)
        assert dict(one.attributes) == ({"tier": "front"} if one.name == infra.name else {})


def test_a_start_comes_before_its_end_and_the_end_before_who_waited(engine, busybox) -> None:
    for number in range(20):
        container = engine.containers.run(["true"], name=f"true{number}", rootfs=busybox)
        container.wait(timeout=10)
        assert told(engine, filters={"container": f"true{number}"}) == [
            f"container create true{number}",
            f"container init true{number}",
            f"container start true{number}",
            f"container died true{number} 0",
        ]


def test_what_fails_to_start_was_not_started(engine, busybox) -> None:
    with pytest.raises(LaunchFailed):
        engine.containers.run(["nosuch"], name="c", rootfs=busybox)
    assert told(engine) == ["container create c", "container remove c"]
    web = engine.containers.run(["sleep", "1000"], name="web", rootfs=busybox)
    with pytest.raises(LaunchFailed):
        web.exec(["nosuch"])
    with pytest.raises(WrongState):
        web.remove()
    assert told(engine, filters={"container": "web"}) == [
        "container create web",
        "container init web",
        "container start web",
    ]
    pod = engine.pods.create("idle")
    with pytest.raises(WrongState):
        pod.kill()
    assert told(engine, filters={"pod": "idle"}) == ["pod create idle"]


def test_a_monitor_tells_when_nobody_else_is_there(engine, busybox, tmp_path) -> None:
    """The process that started it was killed, and the file was rotated meanwhile."""
    code = (
        "import sys, os; from pypod import Engine; engine = Engine(sys.argv[1])\n"
        "script = 'while [ ! -e /go ]; do sleep 0.02; done; exit 4'\n"
        "engine.containers.run(['sh', '-c', script], name='c', rootfs=sys.argv[2])\n"
        "os.kill(os.getpid(), 9)"
    )
    root = tmp_path / "own"
    root.mkdir()
    subprocess.run(["cp", "-a", f"{busybox}/.", root], check=True)
    done = subprocess.run([sys.executable, "-c", code, engine.layout.root, root], check=False)
    assert done.returncode == -9
    os.rename(engine.layout.events, f"{engine.layout.events}.1")
    container = engine.containers.get("c")
    Path(f"/proc/{container.state().pid}/root/go").touch()
    container.wait(timeout=10)
    assert told(engine) == ["container create c", "container init c", "container start c", "container died c 4"]
    assert Path(engine.layout.events).read_text().count("\n{") == 1
    assert os.stat(engine.layout.events).st_mode & 0o777 == 0o600


def test_a_rename_is_seen_at_once_by_who_knew_the_old_name(engine, busybox) -> None:
    """Another process renames the container while this one holds handles of it and has run commands in it."""
    web = engine.containers.run(["sleep", "1000"], name="web", rootfs=busybox)
    same = engine.containers.get("web")
    assert [one.exec(["true"]).exit_code for one in (web, same)] == [0, 0]
    words = [sys.executable, "-m", "pypod", "--root", engine.layout.root, "rename", "web", "front"]
    subprocess.run(words, check=True)
    since = time.time_ns()
    for one in (web, same):
        one.exec(["true"])
        with one.popen(["true"]) as process:
            process.wait()
        assert one.record().name == one.spec().name == one.inspect()["Name"] == "front"
    assert told(engine, since=since) == ["container exec front", "container exec_died front 0"] * 4
    web.stop(timeout=0)
    assert told(engine, since=since, filters={"event": "died"}) == ["container died front 137"]
    with pytest.raises(WrongState) as refused:
        same.exec(["true"])
    assert refused.value.ref == "front"


def test_a_detached_command_tells_of_its_end(engine, busybox) -> None:
    from pypod.engine.lifecycle import exec as execution

    web = engine.containers.run(["sleep", "1000"], name="web", rootfs=busybox)
    spec = execution.ExecSpec(command=("sh", "-c", "sleep 0.1; exit 9"))
    execution.start(engine, web.record(), spec, (-1, -1, -1), detach=True)
    wait_until(lambda: told(engine, filters={"event": "exec_died"}) == ["container exec_died web 9"])


def test_an_end_without_monitor_is_not_told(engine, busybox) -> None:
    """An end that nobody observed is not reported, rather than made up."""
    ghost = engine.containers.run(["sleep", "1000"], name="ghost", rootfs=busybox)
    state = ghost.state()
    kill_and_wait(state.supervisor_pid)
    kill_and_wait(state.pid)
    ghost.remove()
    assert told(engine) == [
        "container create ghost",
        "container init ghost",
        "container start ghost",
        "container remove ghost",
    ]


@pytest.mark.parametrize("spoil", ["directory", "fifo", "full"])
def test_nothing_fails_for_an_event(engine, busybox, tmp_path, spoil) -> None:
    path = engine.layout.events
    if spoil == "directory":
        os.mkdir(path)
    elif spoil == "fifo":
        os.mkfifo(path)
    else:
        os.symlink("/dev/full", path)
    pod = engine.pods.create("mipod")
    web = pod.run(["sleep", "1000"], name="web", rootfs=busybox)
    assert web.exec(["true"]).exit_code == 0
    web.stop(timeout=0)
    assert web.state().exit_code == 137
    pod.restart(timeout=0)
    pod.remove(force=True, timeout=0)
    assert engine.pods.list() == []


def test_a_full_file_system_loses_events_and_nothing_else(busybox, tmp_path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", mount], check=True)
    try:
        with Engine(str(mount / "storage")) as engine:
            web = engine.containers.create(["sleep", "1000"], name="web", rootfs=busybox, overlay=False)
            web.start()
            with open(mount / "filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(b"\0" * 4096):
                        pass
                except OSError:
                    pass
            size = os.stat(engine.layout.events).st_size
            for _ in range(20):
                web.kill("USR1")
            web.stop(timeout=0)
            assert web.state().exit_code == 137
            os.unlink(mount / "filler")
            web.remove()
            assert os.stat(engine.layout.events).st_size > size
            assert told(engine)[:3] == ["container create web", "container init web", "container start web"]
            assert told(engine)[-1] == "container remove web"
    finally:
        unmount(mount)


def test_follow_tells_what_happens_from_now_on(engine, busybox) -> None:
    engine.containers.create(["true"], name="old", rootfs=busybox)
    found = engine.events(follow=True)
    tasks = len(os.listdir("/proc/self/task"))
    new = engine.containers.create(["true"], name="new", rootfs=busybox)
    assert next(found).name == "new"
    new.start()
    assert [next(found).action for _ in range(3)] == ["init", "start", "died"]
    assert len(os.listdir("/proc/self/task")) == tasks
    found.close()


def test_moments_and_filters(engine, busybox) -> None:
    one = engine.containers.create(["true"], name="one", rootfs=busybox)
    (first,) = engine.events()
    engine.containers.create(["true"], name="two", rootfs=busybox, labels={"app": "web"})
    _, second = engine.events()
    assert (first.id, second.name) == (one.id, "two")
    assert list(engine.events(since=first.time_ns)) == [second]
    assert list(engine.events(until=second.time_ns)) == [first]
    assert list(engine.events(first.time_ns, second.time_ns)) == []
    assert list(engine.events(filters={"label": "app=web"})) == [second]
    assert list(events(filters={"container": ["one", "two"]}, engine=engine)) == [first, second]
    start = time.monotonic()
    until = time.time_ns() + 200_000_000
    assert list(engine.events(until=until, follow=True)) == [first, second]
    assert 0.1 < time.monotonic() - start < 5
    with pytest.raises(InvalidSpec, match="nosuch is an invalid filter"):
        engine.events(filters={"nosuch": "x"})
    assert isinstance(first, Event)
