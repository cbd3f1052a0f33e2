"""Documentation that is run: the commands of a page are typed, and their output must be as shown.

How to write a page so that it can be run:

- A ``console`` block: a line that begins with ``# `` is a command for root, with ``$ `` for an ordinary user; a
  backslash continues it on the next line. The lines below are its output: ``...`` within a line matches any text,
  ``...`` alone any number of lines; without lines any output is fine. Ids, times and inodes are examples. A comment
  ``# exits with N`` after a command gives its exit code (otherwise 0).
- A command with ``-it``, and ``attach``, get a terminal. Below it, text after ``box$ `` is typed there, ``<Enter>`` and
  ``^P^Q`` (detach) are keys, and everything else is expected as output.
- A ``python`` block is a program of its own; if its first line is ``# NAME.py``, that file is written instead. A
  comment after ``print`` that is a literal is the expected output; a ``text`` block below is the whole output.
- A ``sh`` block is for the reader only (installing).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.cli.program import Terminal
from tests.users import User

_PROMPTS = ("# ", "$ ")
_INSIDE = "box$ "
_ENTER, _DETACH = "<Enter>", "^P^Q"
_TIMEOUT_S = 60
_CHANGING = (
    (r"\b([0-9a-f]{64}|[0-9a-f]{12})\b", "ID"),
    (r"\b(Less than a second|\d+ seconds?|About a minute|\d+ minutes) ago", "AGE"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\b", "TIME"),
    (r"^\s*\d+  (?=python|supervisor|process)", "NUMBER "),
    (r"\bin \d+\.\d+s\b", "in SECONDS"),
    (r"\b4026\d{6}\b", "INODE"),
    (r"\s+", " "),
)


class Block(NamedTuple):
    """A fenced block: its language, the number of its first line, and its lines."""

    language: str
    number: int
    lines: list[str]


class Command(NamedTuple):
    """A command line and its shown output."""

    prompt: str
    line: str
    number: int
    shown: list[str]


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page that are not directives."""
    block: Block | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if block is None:
            if found := re.fullmatch(r"```(\{?[a-z-]+\}?.*)", line):
                block = Block(found[1], number + 1, [])
        elif line == "```":
            if not block.language.startswith("{"):
                yield block
            block = None
        else:
            block.lines.append(line)
    assert block is None, f"line {block and block.number}: the block does not end"


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block."""
    command: Command | None = None
    for number, line in enumerate(block.lines, block.number):
        if command is not None and command.line.endswith("\\") and not command.shown:
            command = command._replace(line=f"{command.line}\n{line}")
        elif line[:2] in _PROMPTS:
            if command is not None:
                yield command
            command = Command(line[0], line[2:], number, [])
        else:
            assert command is not None, f"line {number}: a console block begins with a prompt"
            command.shown.append(line.rstrip())
    if command is not None:
        yield command


def constant(line: str) -> str:
    """Return a line without its changing parts: ids, times, inodes, and the width of columns."""
    for pattern, word in _CHANGING:
        line = re.sub(pattern, word, line)
    return line.strip()


def matches(shown: list[str], output: list[str]) -> bool:
    """Return whether ``output`` matches the shown lines."""
    if not shown:
        return not output
    if shown[0] == "...":
        return any(matches(shown[1:], output[skip:]) for skip in range(len(output) + 1))
    pattern = ".+".join(map(re.escape, constant(shown[0]).split("...")))
    return bool(output) and re.fullmatch(pattern, constant(output[0])) is not None and matches(shown[1:], output[1:])


class Reader:
    """A reader who follows a page, in their own directory and with their own storage."""

    def __init__(self, directory: Path, user: Callable[[], User] | None = None, patience_s: float = 10) -> None:
        self.user = user
        self.patience_s = patience_s
        self.work = directory / "work"
        self.work.mkdir(parents=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYPOD"))}
        self.environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}",
            "PYPOD_ROOT": str(directory / "storage"),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def read(self, text: str) -> int:
        """Do everything on a page; return the number of commands and programs."""
        done, output = 0, ""
        for block in blocks(text):
            if block.language == "console":
                for command in commands(block):
                    self.type(command)
                    done += 1
            elif block.language == "python":
                output = self.python(block)
                done += 1
            elif block.language == "text" and output:
                assert matches(block.lines, output.splitlines()), f"line {block.number}: {output}"
                output = ""
        return done

    def type(self, command: Command) -> None:
        """Run one command line and compare."""
        words = command.line.partition("  #")[0].split()
        if "-it" in words or "attach" in words:
            self.terminal(command)
            return
        found = re.search(r"# exits with (\d+)$", command.line)
        code = int(found[1]) if found else 0
        words = ["sh", "-c", command.line]
        if command.prompt == "$":
            assert self.user is not None, "there is no ordinary user"
            words = self.user().words(*words)
        done = subprocess.run(
            words,
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            text=True,
            check=False,
        )
        where = f"line {command.number}: {command.line}"
        assert done.returncode == code, f"{where}: {done.returncode}\n{done.stdout}"
        if command.shown:
            assert matches(command.shown, done.stdout.splitlines()), f"{where}\n{done.stdout}"

    def terminal(self, command: Command) -> None:
        """Run a command in a terminal, type the input, and wait for the shown output."""
        shell = ["env", "-C", str(self.work), *(f"{k}={v}" for k, v in self.environment.items()), "sh", "-c"]
        with Terminal([*shell, command.line], 80, 24) as terminal:
            for line in command.shown or [_INSIDE + "exit"]:
                if line.startswith(_INSIDE):
                    if command.shown:
                        terminal.expect(_INSIDE, self.patience_s)
                    terminal.type(line.removeprefix(_INSIDE) + "\n")
                    terminal.expect("\n", self.patience_s)  # the echo
                elif line == _ENTER:
                    terminal.type("\n")
                elif line == _DETACH:
                    terminal.type(b"\x10\x11")
                else:
                    terminal.expect(line, self.patience_s)
            assert terminal.wait() == 0, f"line {command.number}: {command.line}"

    def python(self, block: Block) -> str:
        """Run a program, compare its comments, and return its output; or write a file."""
        source = "\n".join(block.lines) + "\n"
        if found := re.fullmatch(r"# (\w+\.py)", block.lines[0]):
            (self.work / found[1]).write_text(source)
            return ""
        done = subprocess.run(
            [sys.executable, "-c", source],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            timeout=_TIMEOUT_S,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"line {block.number}: {done.stderr}"
        rest = done.stdout
        for value in promised(block.lines):
            assert value in rest, f"line {block.number}: not {value}, but {done.stdout}"
            rest = rest.partition(value)[2]
        return done.stdout


def promised(lines: list[str]) -> Iterator[str]:
    """Yield the output that comments after ``print`` promise: those that are literals."""
    for line in lines:
        if found := re.search(r"\bprint\(.*\)  # (.+)$", line):
            try:
                yield str(ast.literal_eval(found[1]))
            except (SyntaxError, ValueError):
                continue
