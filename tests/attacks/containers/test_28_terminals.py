"""A host terminal: characters pushed into it, its session stolen, its settings changed, escape sequences sent to it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest

from tests.cli.program import Program
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute, written

pytestmark = pytest.mark.root


def test_a_terminal_of_its_own(box) -> None:
    """TIOCSTI and a stolen session reach only the container's own terminal."""
    container = box.engine.containers.run(
        ["sh", "-c", "/probe; /probe type 'echo pushed\n'; read line; echo got: $line"],
        rootfs=box.rootfs,
        terminal=True,
    )
    container.wait(10)
    text = written(container).replace("\r\n", "\n")
    report = Report(text)
    session = report.one("ids").split()[2]
    assert report.pairs("tty") == {"0": "1", "1": "1", "2": "1"}
    assert set(report.pairs("fd").values()) == {"/dev/pts/0"}
    assert session == "1"
    if report.all("TIOCSTI") == ["ok"]:  # sysctl dev.tty.legacy_tiocsti
        assert "got: echo pushed" in text


@pytest.mark.parametrize(
    "words",
    [["run", "-it", "--rm"], ["run", "--rm"], ["run", "-i", "--rm"], ["exec", "-it"], ["exec"], ["exec", "-i"]],
    ids=" ".join,
)
def test_the_callers_terminal_stays_outside(box, words: list[str]) -> None:
    container = box.stay(name="there")
    where = ["--rootfs", f"{box.rootfs}:O"] if words[0] == "run" else ["there"]
    script = "/probe; /probe type 'reboot\n' < /dev/stdin; /probe type 'reboot\n' < /dev/tty; sleep 0.1"
    master, slave = pty.openpty()
    try:
        name, inode = os.ttyname(slave), os.fstat(slave).st_ino
        settings = termios.tcgetattr(slave)
        command = [sys.executable, "-m", "pypod", "--root", box.engine.layout.root, *words, *where, "sh", "-c", script]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        text = b""
        deadline = time.monotonic() + 20
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            assert time.monotonic() < deadline, text
            if select.select([master], [], [], 0.05)[0]:
                text += os.read(master, 65536)
        assert process.returncode == 0, text
        report = Report(text.decode().replace("\r\n", "\n"))
        assert name not in report.pairs("fd").values() or "-it" in words
        inside = set(report.pairs("tty").values())
        assert inside == ({"1"} if "-it" in words else {"0"})
        pending = bytearray(4)
        ioctl(slave, termios.FIONREAD, pending)
        assert bytes(pending) == b"\0\0\0\0", "characters were pushed into the caller's terminal"
        assert termios.tcgetattr(slave) == settings
        assert os.fstat(slave).st_uid == os.geteuid()
        assert inode == os.stat(name).st_ino
    finally:
        os.close(slave)
        os.close(master)
    assert container.state().running


def test_a_stolen_session_is_the_containers_own(box) -> None:
    """The terminal that can become the controlling one is the container's own."""
    script = "/probe; echo inside > /dev/tty"
    text = box.shell(script, terminal=True)
    report = Report(text.replace("\r\n", "\n"))
    assert report.pairs("fd")["0"] == "/dev/pts/0"
    assert "inside" in text
    plain = box.shell("(: </dev/tty) 2>&1; true")
    assert "No such device or address" in plain, "without a terminal /dev/tty cannot be opened"
    container = box.stay()
    assert "No such device or address" in execute(container, "sh", "-c", "(: </dev/tty) 2>&1; true")


@pytest.mark.parametrize("config", [{"User": "\x1b]0;x\a\x9b2J"}, {"Cmd": ["/\x1b[2J\u202e"]}])
def test_sequences_of_an_image_stay_text_in_an_error(engine, busybox, config: dict) -> None:
    bring(engine, busybox_image(busybox, config={"Cmd": ["true"], **config}))
    done = Program(engine.layout.root)("run", "--rm", "--read-only", "made")
    assert done.stderr.startswith("Error: "), done
    assert done.stderr.removesuffix("\n").isprintable()
