"""init against podman's: the states of a container that is initialized, and what is refused in them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.facts import wait_until
from tests.oracle.test_events_oracle import Run, able_podman

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

STATE = ("inspect", "--format", "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}")
LISTED = ("ps", "-a", "--format", "{{.Names}} {{.Status}} {{.State}}")
SLEEP = ("sh", "-c", "sleep 1000")
# after `create a`, each in a storage that the earlier ones were done in
STEPS = (
    "init nosuch", "init", "init -a a", "init -l a", "init -al",
    "init a", "init a", "init -a", "init -l", "state a", "ps -q", "listed", "listed --filter status=initialized",
    "exec a true", "kill a", "pause a", "attach a", "top a", "container cleanup a", "state a",
    "init a", "start a", "state a", "init a", "init -a", "stop -t 0 a", "state a",
    "init a", "stop -t 0 a", "state a", "init a", "restart -t 0 a", "state a", "stop -t 0 a",
    "init a", "kill -a", "container prune -f", "listed",
    "make b --rm", "init b", "start -a b", "listed",
    "make b --rm", "init b", "stop -t 0 b", "listed",
    "make c", "init c", "rm c", "listed",
    "make d -nosuch", "init d", "state d", "rm d",
    "make e", "make f --pid=container:e", "init f", "init e", "init f", "start f", "listed",
    "rm -f -t 0 f", "rm -f -t 0 e",
)  # fmt: skip


def do(run: Run, step: str, rootfs: str) -> tuple[int, str, str]:
    name, *rest = step.split()
    if name == "make":
        program = ("nosuch",) if rest[1:] == ["-nosuch"] else ("sh", "-c", "exit 3") if "--rm" in rest else SLEEP
        flags = [word for word in rest[1:] if word != "-nosuch"]
        words = ["create", "--network", "none", "--name", rest[0], *flags, "--rootfs", rootfs, *program]
    else:
        words = [*{"state": STATE, "listed": LISTED}.get(name, (name,)), *rest]
    done = run(*words)
    if name == "stop":  # podman removes what is to be removed at its end a moment later
        wait_until(lambda: "b" not in run("ps", "-a", "--format", "{{.Names}}").stdout)
    return done.returncode, done.stdout, done.stderr


def plain(told: tuple[int, str, str], ids: dict[str, str]) -> tuple[int, str, str]:
    """Return the answer with names for ids, without times, and without the name of podman's runtime."""
    code, *texts = told
    for number in re.findall(r"\b[0-9a-f]{64}\b", "".join(texts)):
        ids.setdefault(number, f"id {len(ids)}")
    texts = [re.sub(r"\b[0-9a-f]{64}\b", lambda found: ids[found[0]], text) for text in texts]
    texts = [re.sub(r"Error: (crun|runc): ", "Error: ", text).replace("podman", "pypod") for text in texts]
    return code, *(re.sub(r"Less than a second|About a minute|\d+ (second|minute)s?", "MOMENT", one) for one in texts)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, busybox: str) -> Iterator[list[tuple[int, str, str]]]:
    directory: Path = tmp_path_factory.mktemp("init")
    theirs, ours = able_podman(directory, busybox), Program(str(directory / "storage"))
    found: list[list[tuple[int, str, str]]] = []
    try:
        theirs("rm", "first")
        for run in (theirs, ours):
            ids: dict[str, str] = {}
            found.append([plain(do(run, step, busybox), ids) for step in ("make a", *STEPS)][1:])
        yield found
    finally:
        theirs.remove()
        ours("rm", "-a", "-f", "-t", "0")


@pytest.mark.parametrize("at", range(len(STEPS)), ids=lambda at: f"{at:02} {STEPS[at]}")
def test_the_same_answers(both, at: int) -> None:
    theirs, ours = both
    assert ours[at] == theirs[at]
