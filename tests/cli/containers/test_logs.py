"""logs: byte for byte, and each stream separately."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from tests.cli.program import Program
from tests.facts import GATE, kill_and_wait, open_gate, wait_for_output

pytestmark = pytest.mark.root

STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def logs(world, *words: str) -> tuple[bytes, bytes]:
    done = subprocess.run([*world.pypod.words, "logs", *words], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


def test_each_stream_goes_where_it_came_from(world) -> None:
    assert logs(world, "done") == (b"out\n\x00\xffbin", b"err\n")


def test_one_that_has_written_nothing(world) -> None:
    assert logs(world, "idle") == (b"", b"")
    assert logs(world, "-f", "idle") == (b"", b"")
    assert logs(world, world.infra.name) == (b"", b"")


def test_timestamps(world) -> None:
    out, err = logs(world, "-t", "done")
    assert re.fullmatch(STAMP + rb" out\n" + STAMP + rb" \x00\xffbin", out)
    assert re.fullmatch(STAMP + rb" err\n", err)


def test_several_containers_are_told_apart(world) -> None:
    short = world.containers["done"].id[:12].encode()
    assert logs(world, "done", "idle") == (short + b" out\n" + short + b" \x00\xffbin", short + b" err\n")
    assert logs(world, "-n", "done", "idle") == (b"done out\ndone \x00\xffbin", b"done err\n")
    assert logs(world, "-n", "done") == (b"out\n\x00\xffbin", b"err\n")  # as in podman: one needs no name
    out, _ = logs(world, "-nt", "done", "idle")
    assert re.match(rb"done " + STAMP + rb" out\n", out)


def test_color(world) -> None:
    out, err = logs(world, "--color", "done")
    assert out == b"\x1b[31mout\x1b[0m\n\x1b[31m\x00\xffbin\x1b[0m"
    assert err == b"\x1b[31merr\x1b[0m\n"


@pytest.mark.parametrize(("count", "expected"), [("0", ""), ("1", "5\n"), ("2", "4\n5\n"), ("9", "ALL"), ("-1", "ALL")])
def test_tail(pypod, engine, busybox, count, expected) -> None:
    engine.containers.run(["seq", "5"], name="c", rootfs=busybox).wait(timeout=10)
    assert pypod.ok("logs", "--tail", count, "c") == expected.replace("ALL", "1\n2\n3\n4\n5\n")


def test_since_and_until(pypod, engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", f"echo a; {GATE}; echo b"], name="c", rootfs=busybox)
    wait_for_output(container, b"a\n")
    open_gate(container)
    container.wait(timeout=10)
    first, second = container.logs()
    assert pypod.ok("logs", "--since", "1h", "c") == "a\nb\n"
    assert pypod.ok("logs", "--since", second.time, "c") == "b\n"
    assert pypod.ok("logs", "--until", first.time, "c") == "a\n"
    assert pypod.ok("logs", "--since", first.time, "--until", first.time, "c") == "a\n"
    assert pypod.ok("logs", "--until", "1h", "c") == "a\nb\n"  # a relative time means in an hour, as in podman
    assert pypod.ok("logs", "--since", str(int(time.time()) + 60), "c") == ""
    # an end in the past is not waited for, and an end in a moment is reached then
    engine.containers.run(["sh", "-c", "echo x; exec sleep 1000"], name="d", rootfs=busybox)
    assert pypod.ok("logs", "-f", "--until", str(int(time.time()) - 60), "d") == ""
    began = time.monotonic()
    assert pypod.ok("logs", "-f", "--until", "1s", "d") == "x\n"
    assert 0.9 < time.monotonic() - began < 10


def test_follow_shows_what_comes_and_ends_with_the_container(pypod, engine, busybox) -> None:
    script = "echo first; read line; echo got $line; printf '\\000\\377'; exit 3"
    container = engine.containers.run(["sh", "-c", script], name="c", rootfs=busybox, interactive=True)
    client = pypod.start("logs", "-f", "c", stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"first\n"
    channel = container.attach()
    channel.send_input(b"this\n")
    channel.close()
    out, _ = client.communicate(timeout=10)
    assert (client.returncode, out) == (0, b"got this\n\x00\xff")


def test_follow_several(pypod, engine, busybox) -> None:
    for name in ("one", "two"):
        engine.containers.run(["sh", "-c", f"echo {name}; sleep 0.2; echo {name} again"], name=name, rootfs=busybox)
    lines = pypod.ok("logs", "-fn", "one", "two").splitlines()
    assert sorted(lines) == ["one one", "one one again", "two two", "two two again"]


def test_follow_ends_when_the_monitor_is_killed_or_the_container_removed(pypod, engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", "echo a; sleep 1000"], name="c", rootfs=busybox)
    wait_for_output(container, b"a\n")
    client = pypod.start("logs", "-f", "c", stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"a\n"
    state = container.state()
    kill_and_wait(state.supervisor_pid)
    kill_and_wait(state.pid)
    assert client.communicate(timeout=10)[0] == b""
    assert client.returncode == 0

    other = engine.containers.run(["sh", "-c", "echo a; sleep 1000"], name="d", rootfs=busybox)
    wait_for_output(other, b"a\n")
    client = pypod.start("logs", "-f", "d", stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"a\n"
    other.remove(force=True, timeout=0)
    client.communicate(timeout=10)
    assert client.returncode == 0


def test_a_long_line_is_one_line(pypod, engine, busybox) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"
    engine.containers.run(["sh", "-c", script], name="c", rootfs=busybox).wait(timeout=10)
    engine.containers.run(["true"], name="d", rootfs=busybox)
    lines = pypod.ok("logs", "-nt", "c", "d").splitlines()
    assert [(len(line.split(" ", 2)[2]), line[:2]) for line in lines] == [(300000, "c "), (3, "c ")]


def test_a_reader_that_goes_away(pypod, engine, busybox) -> None:
    engine.containers.run(["seq", "200000"], name="c", rootfs=busybox).wait(timeout=20)
    client = pypod.start("logs", "c", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stdout.readline() == b"1\n"
    client.stdout.close()
    assert client.stderr.read() == b""
    client.stderr.close()
    assert client.wait(timeout=10) == 128 + 13


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "specify at least one container name or ID to log"),
        (["-l", "done"], "--latest and containers cannot be used together"),
        (["nosuch"], 'no container with name or ID "nosuch" found: no such container'),
        (["done", "nosuch"], 'no container with name or ID "nosuch" found: no such container'),
        (["--since", "foo", "done"], 'parsing --since "foo": unable to interpret time value'),
        (["--until", "2026-13-01", "done"], 'parsing --until "2026-13-01": unable to interpret time value'),
    ],
)
def test_bad_input(world, words, message) -> None:
    done = world.pypod("logs", *words)
    assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")


def test_the_latest(world) -> None:
    assert logs(world, "-l") == (b"", b"")  # ghost wrote nothing


class TestPodLogs:
    @pytest.fixture
    def pod(self, engine, busybox):
        pod = engine.pods.create("p")
        for name in ("one", "two"):
            pod.run(["sh", "-c", f"echo {name}; echo {name}-err >&2"], rootfs=busybox, name=name).wait()
        return pod

    def test_every_member_is_told_apart(self, pypod, pod) -> None:
        one, two = (container.id[:12] for container in pod.containers())
        done = pypod("pod", "logs", "p")
        assert (done.returncode, done.stdout) == (0, f"{one} one\n{two} two\n")
        assert done.stderr == f"{one} one-err\n{two} two-err\n"
        assert pypod("pod", "logs", "--names", "--latest").stdout == "one one\ntwo two\n"

    def test_one_of_them(self, pypod, pod) -> None:
        container = pod.containers()[1]
        for ref in (container.name, container.id, container.id[:6]):
            done = pypod("pod", "logs", "-c", ref, "p")
            assert (done.returncode, done.stdout, done.stderr) == (0, "two\n", "two-err\n")
        assert re.fullmatch(STAMP + rb" two\n", pypod("pod", "logs", "-t", "-c", "two", "p").stdout.encode())

    @pytest.mark.usefixtures("pod")
    def test_errors(self, engine, pypod, busybox) -> None:
        engine.containers.create(["true"], rootfs=busybox, name="outside")
        for words, message in (
            ((), "specify at least one pod name or ID to log"),
            (("p", "p"), "requires exactly 1 arg"),
            (("-l", "p"), "--latest and pods cannot be used together"),
            (("nobody",), "no pod with name or ID nobody found: no such pod"),
            (("-c", "outside", "p"), "container outside is not in pod p: no such container"),
        ):
            done = pypod("pod", "logs", *words)
            assert (done.returncode, done.stdout, done.stderr) == (125, "", f"Error: {message}\n")
