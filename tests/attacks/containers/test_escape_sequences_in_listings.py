"""Escape sequences and newlines in images, labels and names, on their way to an operator's terminal.

The class of CVE-2021-25743 (kubectl) and CVE-2024-52005 (git).
"""

from __future__ import annotations

import pytest

from tests.cli.program import Program
from tests.images.made import Made, layer

pytestmark = pytest.mark.root

TITLE, COLOR, EIGHT_BIT, BACKWARDS = "\x1b]0;owned\x07", "\x1b[31m", "\u009b31m", "\u202e"
HOSTILE = f"{TITLE}{COLOR}{EIGHT_BIT}{BACKWARDS}\r\b\x7f"
FORBIDDEN = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), BACKWARDS} - {"\n", "\t"}
READING = [
    ("ps", "-a"),
    ("ps", "-a", "--no-trunc"),
    ("ps", "-a", "--format", "{{.Command}} {{.Labels}} {{.Image}}"),
    ("ps", "-a", "--format", "table {{.Command}} {{.Labels}}"),
    ("ps", "-a", "--format", "json"),
    ("inspect", "hostile"),
    ("inspect", "--format", "{{.Config.Cmd}} {{.Config.Labels}}", "hostile"),
    ("pod", "ps", "--format", "{{.Labels}}"),
    ("pod", "inspect", "p"),
    ("events", "--stream=false"),
    ("lsns",),
    ("ns", "p"),
    ("images",),
    ("image", "inspect", "hostile:1"),
    ("history", "--no-trunc", "hostile:1"),
    ("run", "--explain", "--rootfs", "/", "--label", HOSTILE, "sh", "-c", HOSTILE),
]
FAILING = [("inspect", HOSTILE), ("stop", HOSTILE), ("run", HOSTILE), ("pull", f"dir:/{HOSTILE}"), (HOSTILE,)]


@pytest.fixture
def pypod(engine, busybox, tmp_path) -> Program:
    """Return a program whose storage holds objects with hostile fields."""
    program = Program(engine.layout.root)
    archive = Made(
        layer({"x": b""}), config={"Cmd": ["sh", HOSTILE], "Labels": {"l": HOSTILE}, "Env": [f"A={HOSTILE}"]}
    ).archive(tmp_path / "hostile.tar", "localhost/hostile:1")
    program.ok("pull", "-q", f"oci-archive:{archive}")
    pod = engine.pods.create("p", labels={"l": HOSTILE})
    words = ["sh", "-c", f"sleep 1000; : {HOSTILE}"]
    pod.run(words, rootfs=busybox, name="hostile", labels={"l": HOSTILE}, environment={"A": HOSTILE})
    return program


def shown(program: Program, *words: str) -> str:
    """Return what reaches a terminal until every process has closed it."""
    with program.terminal(*words, columns=500) as terminal:
        return terminal.rest().decode().replace("\r\n", "\n")


@pytest.mark.parametrize("words", [*READING, *FAILING], ids=lambda words: ascii(" ".join(words))[:40])
def test_a_terminal_is_not_steered(pypod: Program, words: tuple[str, ...]) -> None:
    text = shown(pypod, *words)
    assert len(text) > 1
    assert FORBIDDEN & set(text) == set()


def test_what_is_escaped_can_be_read(pypod: Program) -> None:
    text = shown(pypod, "ps", "-a", "--no-trunc", "--format", "{{.Command}}")
    assert r"\u001b]0;owned\u0007\u001b[31m\u009b31m\u202e\u000d\u0008\u007f" in text


def test_a_pipe_gets_what_a_format_asks_for_byte_for_byte(pypod: Program) -> None:
    assert HOSTILE in pypod.ok("ps", "-a", "--no-trunc", "--format", "{{.Command}}")


def test_a_newline_makes_up_no_row(engine, pypod: Program, busybox) -> None:
    engine.containers.create(["sh", "-c", "x\n0123456789ab  fake"], rootfs=busybox, name="two")
    listed = pypod.ok("ps", "-a", "--no-trunc").splitlines()
    assert len(listed) == 1 + 3  # the heading, the infra, both containers
    assert FORBIDDEN & set("".join(listed)) == set()


def test_what_a_container_writes_is_left_as_it_is(pypod: Program, engine, busybox) -> None:
    container = engine.containers.run(["printf", r"\033[31mred"], rootfs=busybox, name="red")
    container.wait(10)
    assert "\x1b[31mred" in shown(pypod, "logs", "red")
