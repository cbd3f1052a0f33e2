"""Run the installed program as a user does: as a process, and in a pseudoterminal for interactive use."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import Self


class Program:
    """``pypod --root ROOT`` for one test."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.words = [sys.executable, "-m", "pypod", "--root", root]

    def __call__(
        self, *words: str | bytes | Path, stdin: bytes | None = None, **options
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.words, *words], input=stdin, capture_output=True, timeout=60, check=False, **options
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str, stdin: bytes | None = None) -> str:
        """Run and return stdout; fail unless it exits with 0 and writes nothing to stderr."""
        done = self(*words, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done}"
        return done.stdout

    def start(self, *words: str, **options) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.words, *words], **options)

    def terminal(self, *words: str, columns: int = 80, rows: int = 24) -> Terminal:
        return Terminal([*self.words, *words], columns, rows)


class Terminal:
    """The program in a terminal of its own."""

    def __init__(self, command: list[str], columns: int, rows: int) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, rows)
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
        )
        self.slave = slave
        self.seen = b""
        self.before = b""

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def winch(self) -> None:
        """Tell the program that its window changed, as the kernel does for a foreground process group."""
        self._process.send_signal(signal.SIGWINCH)

    def type(self, text: str | bytes) -> None:
        os.write(self._master, text.encode() if isinstance(text, str) else text)

    def expect(self, text: str, timeout_s: float = 10) -> None:
        """Wait until ``text`` appears in the output since the last call; the output before it is in ``before``."""
        deadline = time.monotonic() + timeout_s
        while text.encode() not in self.seen:
            left = deadline - time.monotonic()
            ready = select.select([self._master], [], [], max(left, 0))[0]
            assert ready, f"{text!r} was not shown; instead: {self.seen!r}"
            self.seen += os.read(self._master, 65536)
        self.before, _, self.seen = self.seen.partition(text.encode())

    def rest(self) -> bytes:
        """Return the remaining output until the program has ended."""
        seen, self.seen = self.seen, b""
        while True:
            ended = self._process.poll() is not None
            if select.select([self._master], [], [], 0 if ended else 0.02)[0]:
                seen += os.read(self._master, 65536)
            elif ended:
                return seen

    def wait(self, timeout_s: float = 10) -> int:
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
        os.close(self.slave)
