"""OCI hooks: run at their stages, in their namespaces, with the container's state; a failure ends a start."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pypod import Engine, LaunchFailed, WrongState
from tests.facts import wait_until

pytestmark = pytest.mark.root

STAGES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
# everything on one line for each run: what it is told, and where it is
TELLS = """state=$(cat); f=""; for n in /proc/self/fd/*; do f="$f ${n##*/}"; done
echo "$1|$V|$(readlink /proc/self/ns/mnt)|$(readlink /proc/self/ns/pid)|$f|$(pwd)|$state" >> "$2"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "hooks.d"
    directory.mkdir()
    monkeypatch.setenv("PYPOD_HOOKS_DIRECTORIES", str(directory))
    return directory


def add(place: Path, stage: str, *arguments: str, path: str = "/bin/sh", name: str = "", **fields: Any) -> None:
    hook = {"path": path, "args": ["sh", *arguments], **fields}
    content = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": [stage]}
    (place / f"{name or stage}.json").write_text(json.dumps(content))


def test_each_runs_at_its_stage(engine, busybox, place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch(mode=0o666)
    shared = f"{log}:{log}"  # of startContainer, whose root is the container's
    for stage in STAGES:
        add(place, stage, "-c", TELLS, "-", stage, str(log), env=["V=1", "PATH=/bin:/usr/bin"])
    container = engine.containers.run(
        ["sleep", "1000"], rootfs=busybox, volumes=[shared], annotations={"a": "b"}, pid="private"
    )
    pid = container.state().pid
    container.stop(timeout=0)
    wait_until(lambda: len(log.read_text().splitlines()) == len(STAGES))
    rows = [line.split("|", 6) for line in log.read_text().splitlines()]
    assert [row[0] for row in rows] == list(STAGES)
    assert {row[1] for row in rows} == {"1"}
    own = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "pid")]
    assert [row[2:4] == own for row in rows] == [True, True, False, False, True, True]
    assert {row[4] for row in rows} == {" 0 1 2 3"}, "the third is that of the listing"
    states = [json.loads(row[6]) for row in rows]
    assert [one["pid"] for one in states] == [pid, pid, 1, 1, pid, 0]
    assert [one["status"] for one in states] == ["creating"] * 3 + ["created", "running", "stopped"]
    assert {(one["id"], one["bundle"], one["annotations"]["a"]) for one in states} == {
        (container.id, container.directory, "b")
    }
    config = json.loads(Path(container.directory, "config.json").read_text())
    assert config["process"]["args"] == ["sleep", "1000"]


@pytest.mark.parametrize("stage", STAGES[:4])
@pytest.mark.parametrize(
    ("arguments", "fields", "how"),
    [
        (("-c", "exit 3"), {}, "exit code: 3"),
        (("-c", "kill -9 $$"), {}, "signal 9"),
        (("-c", "sleep 100"), {"timeout": 1}, "not ended after 1 s"),
    ],
)
def test_a_failure_ends_the_start(engine, busybox, place: Path, stage: str, arguments, fields, how: str) -> None:
    add(place, stage, *arguments, **fields)
    with pytest.raises(LaunchFailed) as caught:
        engine.containers.run(["sleep", "1000"], rootfs=busybox, name="c")
    assert f"error executing hook `/bin/sh` of {stage} ({how})" in str(caught.value)
    assert engine.containers.list(all=True) == []


def test_one_that_fails_afterwards_is_a_warning(busybox, place: Path, tmp_path: Path) -> None:
    said: list[str] = []
    add(place, "poststart", "-c", "exit 3")
    with Engine(str(tmp_path / "storage"), warn=said.append) as engine:
        container = engine.containers.run(["sleep", "1000"], rootfs=busybox)
        assert container.state().running
        container.remove(force=True)
    assert said == ["error executing hook `/bin/sh` of poststart (exit code: 3): OCI runtime error"]


def test_of_an_initialized_one(engine, busybox, place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch(mode=0o666)
    for stage in ("createRuntime", "startContainer"):
        add(place, stage, "-c", f"echo {stage} >> {log}", env=["PATH=/bin:/usr/bin"])
    container = engine.containers.create(["sleep", "1000"], rootfs=busybox, volumes=[f"{log}:{log}"])
    container.init()
    assert log.read_text().split() == ["createRuntime"]
    container.start()
    assert log.read_text().split() == ["createRuntime", "startContainer"]


def test_they_are_explained(engine, busybox, place: Path) -> None:
    add(place, "prestart", "-c", "true")
    add(place, "createContainer", "-c", "true")
    words = str(engine.containers.explain(["true"], rootfs=busybox))
    for part in ("have a hook for prestart", "run the hooks of createContainer", "wait until the supervisor has run"):
        assert part in words


def test_none_is_run_where_none_is_for_it(engine, busybox, place: Path) -> None:
    content = {"version": "1.0.0", "hook": {"path": "/bin/false"}, "when": {"always": False}, "stages": ["prestart"]}
    (place / "a.json").write_text(json.dumps(content))
    assert engine.containers.run(["true"], rootfs=busybox).wait() == 0


@pytest.mark.parametrize("script", ["exit 3", "kill -9 $$"])
def test_a_failure_ends_the_start_of_an_initialized_one(engine, busybox, place: Path, script: str) -> None:
    add(place, "startContainer", "-c", script)
    container = engine.containers.create(["sleep", "1000"], rootfs=busybox)
    container.init()
    with pytest.raises(LaunchFailed, match="a hook of startContainer failed"):
        container.start()
    assert container.state().status == "created"


def test_nobody_enters_what_is_being_set_up(engine, busybox, place: Path, tmp_path: Path) -> None:
    """Its root is the host's until then: an exec would run there."""
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    add(place, "createRuntime", "-c", f"touch {begun}; until [ -e {ended} ]; do sleep 0.01; done")
    container = engine.containers.create(["sleep", "1000"], rootfs=busybox)
    starting = threading.Thread(target=container.start)
    starting.start()
    try:
        wait_until(begun.exists)
        assert container.state().status == "created"
        assert container.namespaces() == {}
        with pytest.raises(WrongState):
            container.exec(["true"])
    finally:
        ended.touch()
        starting.join()
    assert container.exec(["test", "-e", str(begun)]).exit_code == 1
