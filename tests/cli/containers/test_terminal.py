"""Interactive terminals: run -it, exec -it, attach, detach, window size."""

from __future__ import annotations

import pytest

from pypod.cli.render.terminal import DetachScanner, parse_detach_keys
from pypod.errors import InvalidSpec
from tests.cli.program import Program

CTRL_P, CTRL_Q, CTRL_C = b"\x10", b"\x11", b"\x03"


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.mark.root
def test_a_shell_in_a_new_container(pypod, busybox) -> None:
    with pypod.terminal("run", "-it", "--rm", "--rootfs", f"{busybox}:O", "sh", columns=101, rows=31) as user:
        user.expect("# ")
        user.type("tty; stty size; echo $TERM\n")
        user.expect("/dev/pts/0")
        user.expect("31 101")
        user.expect("xterm")
        user.resize(55, 22)
        user.winch()
        user.type("sleep 0.2; stty size\n")
        user.expect("22 55")
        user.type("exit 6\n")
        assert user.wait() == 6


@pytest.mark.root
def test_control_c_is_for_the_program_inside(pypod, busybox) -> None:
    with pypod.terminal("run", "-it", "--rm", "--rootfs", f"{busybox}:O", "sh") as user:
        user.expect("# ")
        # the program reports that it is running: a key typed before would go to the shell
        user.type("sh -c 'trap \"echo caught; exit 3\" INT; echo is''running; while :; do sleep 0.1; done'\n")
        user.expect("isrunning")
        user.type(CTRL_C)
        user.expect("caught")
        user.expect("# ")
        user.type("exit 4\n")
        assert user.wait() == 4


@pytest.mark.root
def test_detach_and_attach_again(pypod, busybox, engine) -> None:
    with pypod.terminal("run", "-it", "--name", "c", "--rootfs", f"{busybox}:O", "sh") as user:
        user.expect("# ")
        user.type("remember=me\n")
        user.expect("# ")
        user.type(CTRL_P + CTRL_Q)
        assert user.wait() == 0
    assert engine.containers.get("c").state().running
    with pypod.terminal("attach", "c") as user:
        user.type("echo it is $remember\n")
        user.expect("it is me")
        user.type("exit 3\n")
        assert user.wait() == 3
    assert engine.containers.get("c").wait(timeout=5) == 3


@pytest.mark.root
def test_the_terminal_outlives_a_killed_client(pypod, busybox, engine) -> None:
    with pypod.terminal("run", "-it", "--name", "c", "--rootfs", f"{busybox}:O", "sh") as user:
        user.expect("# ")
    # leaving the block has killed the client
    with pypod.terminal("attach", "c") as user:
        user.type("echo still $((40+2))\n")
        user.expect("still 42")
        user.type("exit\n")
        assert user.wait() == 0


@pytest.mark.root
def test_exec_has_a_terminal_of_its_own(pypod, busybox) -> None:
    pypod.ok("run", "-d", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "100")
    with pypod.terminal("exec", "-it", "c", "sh", columns=70, rows=20) as user:
        user.expect("# ")
        user.type("stty size; tty\n")
        user.expect("20 70")
        user.expect("/dev/pts/0")
        user.type("exit 5\n")
        assert user.wait() == 5


@pytest.mark.parametrize(
    ("keys", "typed", "passed", "detached"),
    [
        ("ctrl-p,ctrl-q", [b"ab", CTRL_P, CTRL_Q], b"ab", True),
        ("ctrl-p,ctrl-q", [CTRL_P, b"x"], CTRL_P + b"x", False),
        ("ctrl-p,ctrl-q", [CTRL_P + CTRL_P, CTRL_Q], CTRL_P, True),
        ("a,b,c", [b"aab", b"c"], b"a", True),
        ("", [CTRL_P, CTRL_Q], CTRL_P + CTRL_Q, False),
    ],
)
def test_detach_keys_are_found_across_reads(keys, typed, passed, detached) -> None:
    scanner = DetachScanner(parse_detach_keys(keys))
    results = [scanner.feed(data) for data in typed]
    assert (b"".join(data for data, _ in results), results[-1][1]) == (passed, detached)


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-1é", "ab", "ctrl-p,,ctrl-q"])
def test_bad_detach_keys(keys) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_detach_keys(keys)
    assert caught.value.argument == "--detach-keys"
    assert "invalid detach keys: Unknown character: '" in str(caught.value)
