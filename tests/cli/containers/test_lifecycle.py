"""start, stop, restart and rm of the containers that --filter selects (podman-stop(1) and related pages)."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.cli.program import Program
from tests.facts import wait_for_output, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def three(engine, busybox):
    return [
        engine.containers.create(["sleep", "1000"], name=name, labels={"tier": tier}, rootfs=busybox)
        for name, tier in (("web", "front"), ("proxy", "front"), ("db", "back"))
    ]


def running(engine) -> set[str]:
    return {one.name for one in engine.containers.list()}


def test_filter_chooses(pypod, engine, three) -> None:
    web, proxy, db = three
    assert pypod.ok("start", "--filter", "label=tier=front").split() == [web.id, proxy.id]
    assert running(engine) == {"web", "proxy"}
    assert pypod.ok("stop", "-t", "0", "-f", "name=^pro").split() == [proxy.id]
    assert running(engine) == {"web"}
    assert pypod.ok("restart", "-t", "0", "--filter", "status=created").split() == [db.id]
    assert running(engine) == {"web", "db"}
    assert pypod.ok("rm", "--filter", "status=exited", "--filter", "label=tier").split() == [proxy.id]
    assert {one.name for one in engine.containers.list(all=True)} == {"web", "db"}
    assert pypod.ok("rm", "--filter", "name=nosuch") == ""
    refused = pypod("rm", "--filter", f"id={db.id[:12]}")
    assert (refused.returncode, refused.stdout) == (2, "")
    # it takes precedence over --all
    assert pypod.ok("rm", "-f", "-t", "0", "--all", "--filter", "name=db").split() == [db.id]
    assert running(engine) == {"web"}


def test_interactive_does_not_attach(pypod, engine, three) -> None:
    """As in podman, where --interactive only matters together with --attach."""
    assert pypod.ok("start", "-i", "web", "db").split() == ["web", "db"]
    assert running(engine) == {"web", "db"}


def test_a_paused_container_is_not_attached_to(pypod, engine, three) -> None:
    three[0].start()
    three[0].pause()
    refused = pypod("attach", "web")
    assert (refused.returncode, refused.stderr) == (125, "Error: you can only attach to running containers\n")


def test_start_filters_the_names_it_is_given(pypod, engine, three) -> None:
    assert pypod.ok("start", "--filter", "label=tier=front", "web", "db", "nosuch").split() == [three[0].id]
    assert running(engine) == {"web"}


@pytest.mark.parametrize("verb", ["stop", "restart", "rm", "start"])
def test_filters_that_are_wrong(pypod, engine, three, verb: str) -> None:
    cases = [(["foo=bar"], "foo is an invalid filter"), (["foo"], 'invalid filter "foo"'), (["status=x"], "state: x")]
    if verb != "start":
        cases.append((["name=web", "db"], "--filter takes no arguments"))
    for words, message in cases:
        done = pypod(verb, "--filter", *words)
        assert (done.returncode, done.stdout) == (125, "")
        assert message in done.stderr
    assert running(engine) == set()
    assert len(engine.containers.list(all=True)) == 3


def test_nothing_is_done_when_a_name_is_none(pypod, engine, three) -> None:
    """As in podman, all names are looked up first; only rm removes those that exist."""
    three[0].start()
    for verb in ("stop", "kill", "restart", "start"):
        done = pypod(verb, "web", "nosuch")
        assert (done.returncode, done.stdout) == (125, ""), verb
        assert 'no container with name or ID "nosuch" found' in done.stderr
    assert running(engine) == {"web"}
    assert three[0].state().exit_code is None
    assert pypod.ok("stop", "-t", "0", "-i", "web", "nosuch") == "web\n"


def test_a_name_that_begins_another_one_s_id(pypod, engine, busybox) -> None:
    first = engine.containers.create(["true"], rootfs=busybox, name="first")
    second = engine.containers.create(["true"], rootfs=busybox, name=first.id[:4])
    assert pypod.ok("start", "--filter", "name=.", first.id[:4]) == f"{second.id}\n"
    assert first.state().status == "created"
    assert pypod.ok("restart", "-t0", "first", first.id[:4]).split() == ["first", first.id[:4]]


def test_rename(pypod, engine, three) -> None:
    web, proxy, _ = three
    assert pypod.ok("rename", "web", "front") == ""
    assert not engine.containers.exists("web")
    assert engine.containers.get("front").id == web.id
    assert pypod.ok("ps", "-a", "--filter", f"id={web.id}", "--format", "{{.Names}}") == "front\n"
    assert pypod.ok("inspect", "--format", "{{.Name}}", "front") == "front\n"
    taken = pypod("container", "rename", proxy.id[:12], "front")
    words = f"renaming container {proxy.id}: name front already in use, cannot rename container {proxy.id}"
    assert (taken.returncode, taken.stderr) == (125, f"Error: {words}: container already exists\n")
    assert pypod("rename", "proxy", "a/b").returncode == 125
    assert pypod("rename", "nosuch", "x").returncode == 125
    assert engine.containers.get("proxy").id == proxy.id
    assert pypod.ok("rename", "front", "front") == ""
    assert engine.containers.get("front").id == web.id
    assert "rename" in pypod.ok("events", "--stream=false", "--filter", "event=rename", "--filter", "container=front")
    engine.containers.create(["true"], name="web", rootfs="/").remove()
    web.remove()  # through a handle with the old name
    engine.containers.create(["true"], name="front", rootfs="/").remove()


def test_stop_all_names_all(pypod, engine, three) -> None:
    three[0].start()
    assert set(pypod.ok("stop", "-t", "0", "--all").split()) == {one.id for one in three}
    assert running(engine) == set()


def test_restart_reads_an_id_file(pypod, engine, three, tmp_path) -> None:
    (tmp_path / "id").write_text(three[2].id)
    assert pypod.ok("restart", "-t", "0", "--cidfile", str(tmp_path / "id")).split() == [three[2].id]
    assert running(engine) == {"db"}


def test_pod_kill_where_nothing_runs_is_no_failure(pypod, engine) -> None:
    pod = engine.pods.create("p")
    assert pypod.ok("pod", "kill", "p").split() == [pod.id]
    assert pypod("pod", "kill", "-s", "BOGUS", "p").returncode == 125


def test_a_container_that_others_joined(pypod, engine, busybox) -> None:
    def create(name: str, **joined: str):
        return engine.containers.create(["sleep", "100"], rootfs=busybox, name=name, **joined)

    first = create("first")
    second = create("second", network="container:first")
    third = create("third", pid=f"container:{second.id[:12]}", ipc="container:first")
    assert [one.dependents() for one in (first, second, third)] == [(second, third), (third,), ()]
    for words in (["first"], ["-f", "second"]):
        refused = pypod("rm", *words)
        assert (refused.returncode, refused.stdout) == (125, "")
        assert "has dependent containers which must be removed before it" in refused.stderr
        assert third.id in refused.stderr
    first.start()
    refused = pypod("rm", "first")
    assert refused.returncode == 2
    assert f"cannot remove container {first.id} as it is running" in refused.stderr
    first.stop(timeout=0)
    assert pypod.ok("inspect", "-f", "{{.HostConfig.NetworkMode}}", "second") == f"container:{first.id}\n"
    assert pypod.ok("rm", "--depend", "second") == f"{third.id}\n{second.id}\n"
    assert engine.containers.list(all=True) == [first]
    create("fourth", uts="container:first")
    assert len(pypod.ok("rm", "--all").split()) == 2
    assert engine.containers.list(all=True) == []


def test_a_name_that_is_given_again_is_not_joined(pypod, engine, busybox) -> None:
    first = engine.containers.create(["true"], rootfs=busybox, name="first")
    joined = engine.containers.create(["true"], rootfs=busybox, network="container:first")
    first.remove()
    engine.containers.run(["sleep", "1000"], rootfs=busybox, name="first")
    refused = pypod("start", joined.name)
    assert refused.returncode == 125
    assert f'no container with name or ID "{first.id}" found' in refused.stderr


def test_create_joins_nobody_who_is_not_there(pypod, engine, busybox) -> None:
    done = pypod("create", "--network", "container:nosuch", "--rootfs", f"{busybox}:O", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert 'no container with name or ID "nosuch" found' in done.stderr
    assert engine.containers.list(all=True) == []


DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")


def test_a_stop_that_takes_too_long(pypod, engine, busybox) -> None:
    """Meanwhile the container is shown as stopping, and nothing new can be started in it."""
    container = engine.containers.run(DEAF, name="it", rootfs=busybox)
    wait_for_output(container, b"ready")
    stop = pypod.start("stop", "-t", "15", "it", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: container.state().status == "stopping")
    assert pypod.ok("ps", "-a", "--format", "{{.Status}} {{.State}}") == "Stopping Stopping\n"
    assert pypod.ok("ps", "-a", "--filter", "status=stopping", "--format", "{{.Names}}") == "it\n"
    assert pypod.ok("inspect", "-f", "{{.State.Status}} {{.State.Running}}", "it") == "stopping false\n"
    assert pypod("exec", "it", "true").returncode == 255
    refused = pypod("start", "it")
    assert refused.returncode == 125
    assert "must be in Created or Stopped state to be started" in refused.stderr
    assert "cannot remove" in pypod("rm", "it").stderr
    out, errors = stop.communicate(timeout=60)
    assert (stop.returncode, out) == (0, b"it\n")
    warning = rb'time="[^"]+" level=warning msg="StopSignal SIGTERM failed to stop container it in 15 seconds, '
    assert re.fullmatch(warning + rb'resorting to SIGKILL"\n', errors), errors
    assert container.state().exit_code == 137
    assert pypod.ok("stop", "-t", "2", "it") == "it\n"


def test_a_stop_that_was_killed_leaves_no_state(pypod, engine, busybox) -> None:
    container = engine.containers.run(DEAF, name="it", rootfs=busybox)
    wait_for_output(container, b"ready")
    with pypod.start("stop", "-t", "100", "it") as stop:
        wait_until(lambda: container.state().status == "stopping")
        stop.kill()
    assert container.state().status == "running"
    assert pypod.ok("stop", "-t", "0", "it") == "it\n"  # without a timeout, nothing was late
