"""exists and wait."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cli.program import Program
from tests.facts import GATE, has_open, open_gate, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["container", "exists", "web"], 0),
        (["container", "exists", "--external", "web"], 0),
        (["container", "exists", "we"], 1),
        (["container", "exists", "mipod"], 1),
        (["pod", "exists", "mipod"], 0),
        (["pod", "exists", "web"], 1),
    ],
)
def test_exists(world, words, code) -> None:
    done = world.pypod(*words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_exists_by_the_beginning_of_an_id(world) -> None:
    assert world.pypod("container", "exists", world.containers["web"].id[:10]).returncode == 0
    assert world.pypod("pod", "exists", world.pods["bare"].id[:10]).returncode == 0


def test_what_has_ended_and_what_never_began(world) -> None:
    assert world.pypod.ok("wait", "done") == "3\n"
    assert world.pypod.ok("wait", "done", "idle") == "3\n0\n"
    assert world.pypod.ok("wait", "--condition", "created", "idle") == "-1\n"
    assert world.pypod.ok("wait", "--condition", "running", "web") == "-1\n"
    assert world.pypod.ok("wait", "--condition", "running,exited", "done") == "3\n"


def test_an_end_that_nobody_saw(world) -> None:
    done = world.pypod("wait", "ghost")
    assert (done.returncode, done.stdout) == (0, "-1\n")
    assert done.stderr == "Error: the exit code of container ghost is unknown: its end was not observed\n"
    assert world.pypod("wait", "-l").stdout == "-1\n"


def test_codes_come_when_all_have_ended(pypod, engine, busybox) -> None:
    for name, seconds, code in (("a", 0.1, 4), ("b", 0.5, 5)):
        engine.containers.run(["sh", "-c", f"sleep {seconds}; exit {code}"], name=name, rootfs=busybox)
    start = time.monotonic()
    assert pypod.ok("wait", "b", "a") == "5\n4\n"
    assert 0.3 < time.monotonic() - start < 5


def test_a_container_that_is_removed_at_its_end(pypod, engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", f"{GATE}; exit 6"], name="c", rootfs=busybox, remove=True)
    client = pypod.start("wait", "c", stdout=subprocess.PIPE)
    wait_until(lambda: has_open(client.pid, f"{container.directory}/status"))
    open_gate(container)
    out, _ = client.communicate(timeout=30)
    assert (client.returncode, out) == (0, b"6\n")


def test_condition_running_is_waited_for(pypod, engine, busybox) -> None:
    container = engine.containers.create(["sleep", "1000"], name="c", rootfs=busybox)
    client = pypod.start("wait", "--condition", "running", "-i", "10ms", "c", stdout=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        client.wait(timeout=0.4)
    container.start()
    out, _ = client.communicate(timeout=10)
    assert (client.returncode, out) == (0, b"-1\n")


def test_ignore(world) -> None:
    assert world.pypod.ok("wait", "--ignore", "nosuch", "done") == "-1\n3\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wait"], '"pypod wait" requires a name, id, or the "--latest" flag'),
        (["wait", "nosuch"], 'no container with name or ID "nosuch" found: no such container'),
        (["wait", "done", "nosuch"], 'no container with name or ID "nosuch" found: no such container'),
        (["wait", "-l", "done"], "--latest and containers cannot be used together"),
        (["wait", "--condition", "foo", "done"], "unknown container state: foo: invalid argument"),
        (["wait", "-i", "1x", "done"], 'time: unknown unit "x" in duration "1x"'),
        (["container", "exists", ""], "name or ID cannot be empty"),
        (["container", "exists"], "accepts 1 arg(s), received 0"),
        (["pod", "exists", "a", "b"], "accepts 1 arg(s), received 2"),
    ],
)
def test_bad_input(world, words, message) -> None:
    done = world.pypod(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.splitlines()[0] == f"Error: {message}"


@pytest.mark.parametrize(
    "words",
    [
        *(["start"], ["stop"], ["restart"], ["kill"], ["exec", "true"], ["attach"], ["logs"], ["wait"], ["inspect"]),
        *(["pod", "start"], ["pod", "stop"], ["pod", "restart"], ["pod", "kill"], ["pod", "inspect"]),
    ],
    ids=" ".join,
)
def test_latest_of_none_is_one_error(pypod, engine, words) -> None:
    done = pypod(*words[:2], "--latest") if words[0] == "pod" else pypod(words[0], "--latest", *words[1:])
    assert done.returncode == 125
    assert done.stdout in ("", "[]\n")
    kind = "pod" if words[0] == "pod" else "container"
    assert done.stderr.splitlines()[-1].endswith(f"no such {kind}")
    assert done.stderr.startswith("Error: ")


def test_rm_of_the_latest_of_none(pypod, engine) -> None:
    assert [pypod(*verb, "--latest").returncode for verb in (["rm"], ["pod", "rm"])] == [1, 1]
    assert [pypod(*verb, "--force", "--latest").returncode for verb in (["rm"], ["pod", "rm"])] == [0, 0]
