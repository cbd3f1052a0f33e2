"""events against podman's: the same lines for the same actions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.facts import wait_until
from tests.images.tiny import Tiny, tar
from tests.oracle.podman import only_4, words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]

CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
events_logger = "file"
"""
# With the first podman reports a step of its runtime; pypod has no such step. podman reports that a container was
# stopped about one time in ten; pypod never does, which has a test of its own.
STEPS = ("cleanup", "stop")
HEARING = ("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
Run = Callable[..., subprocess.CompletedProcess[str]]


class Podman:
    """podman with its own storage."""

    def __init__(self, directory: Path, runtime: str) -> None:
        (directory / "conf").write_text(CONF)
        self._run_root = tempfile.mkdtemp(prefix="pypod-oracle-", dir="/run")  # podman accepts 50 characters at most
        # the leak check ignores podman's mounts there: a failing command leaves its storage mounted
        os.makedirs("/var/lib/containers", exist_ok=True)
        self._root = tempfile.mkdtemp(prefix="pypod-oracle-", dir="/var/lib/containers")
        storage = ["--root", self._root, "--runroot", self._run_root, "--tmpdir", f"{directory}/tmp"]
        settings = ["--log-level=error", "--cgroup-manager", "cgroupfs", "--runtime", runtime]
        self._words = ["podman", *settings, *storage]
        self._environment = {**os.environ, "CONTAINERS_CONF": f"{directory}/conf"}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._words, *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=self._environment,
            timeout=60,
        )

    def remove(self) -> None:
        for words in (("pod", "rm", "-a", "-f", "-t", "0"), ("rm", "-a", "-f", "-t", "0")):
            self(*words)
        for directory in (self._run_root, self._root):
            mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
            for mount in sorted((one for one in mounts if one.startswith(directory)), reverse=True):
                subprocess.run(["umount", "-l", mount], check=False)
            shutil.rmtree(directory, ignore_errors=True)


def tell(run: Run, rootfs: str) -> None:
    """Perform the actions; wait for asynchronous events, so that their order is always the same."""

    def do(*words: str, code: int = 0) -> None:
        done = run(*words)
        assert done.returncode == code, (words, done.stdout, done.stderr)

    def deaths() -> int:
        words = ("-f", "event=died", "-f", "container=web", "--format", "{{.Name}}")
        return len(run("events", "--stream=false", *words).stdout.split())

    do("create", "--name", "idle", "--network", "none", "--label", "app=<a&b>", "--rootfs", rootfs, "true")
    do("rm", "idle")
    do("run", "-d", "--name", "web", "--network", "none", "--label", "app=web", "--rootfs", rootfs, *HEARING)
    do("exec", "web", "sh", "-c", "exit 7", code=7)
    do("kill", "-s", "USR2", "web")  # which it ignores
    do("stop", "web")
    do("start", "web")
    do("kill", "web")
    wait_until(lambda: deaths() == 2)
    do("restart", "-t", "0", "web")
    do("rm", "-f", "-t", "0", "web")
    do("run", "--name", "once", "--network", "none", "--rootfs", rootfs, "sh", "-c", "sleep 0.5; exit 3", code=3)
    do("rm", "once")


def able_podman(directory: Path, rootfs: str) -> Podman:
    """Return podman with a runtime that works here; crun fails if the v2 tree of hybrid cgroups has a controller."""
    reasons = ["no runtime is installed"]
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            podman = Podman(directory, runtime)
            done = podman("run", "--name", "first", "--network", "none", "--rootfs", rootfs, "true")
            if done.returncode == 0:
                return podman
            podman.remove()
            reasons.append(done.stderr)
    pytest.skip(f"podman cannot run containers here: {reasons[-1]}")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, busybox: str) -> Iterator[tuple[Run, Run]]:
    directory = tmp_path_factory.mktemp("events")
    theirs, ours = able_podman(directory, busybox), Program(str(directory / "storage"))
    try:
        ours.ok("run", "--name", "first", "--network", "none", "--rootfs", busybox, "true")
        for run in (theirs, ours):
            tell(run, busybox)
        yield theirs, ours
    finally:
        theirs.remove()
        ours("rm", "-a", "-f", "-t", "0")  # a container that has ended keeps its cgroup until it is removed


def shown(text: str) -> list[str]:
    """Return the lines without ids and times, and without those that only podman writes."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID64", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "ID12", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "MOMENT", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+", "MOMENT", text)
    lines = text.splitlines()
    once = [line for at, line in enumerate(lines) if "exec_died" not in line or line != lines[at - 1]]
    once = [line for line in once if "first" not in line]
    return [line for line in once if not re.search(rf"\b({'|'.join(STEPS)})\b|system|refresh", line)]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--no-trunc=false",),
        only_4(("--format", "json")),
        only_4(("--format", "{{json .}}")),
        only_4(
            (
                "--format",
                "{{.Time}} {{.Type}} {{.Status}} {{.ID}} {{.Name}} {{.Image}} {{.ContainerExitCode}} {{.PodID}}",
            )
        ),
        (
            "--format",
            "{{.Status}} {{.Name}} {{.Attributes}} {{json .Attributes}}|{{.Network}}|{{.Details}}",
        ),
        ("-f", "event=died", "--format", "{{.Name}} {{.ContainerExitCode}}"),
        ("-f", "container=web", "-f", "event=create", "-f", "event=remove"),
        ("-f", "label=app=web", "-f", "label=nosuch=x", "-f", "event=start"),
        only_4(("-f", "label=app")),
        ("-f", "container=", "-f", "event=create"),
        ("-f", "type=pod"),
        ("-f", "image=x"),
        ("--since", "1h", "--until", "1h", "-f", "event=create"),
        ("--since", "2001-01-01", "--until", "2002-01-01"),
    ],
    ids=" ".join,
)
def test_the_same_story_in_the_same_lines(both, words) -> None:
    theirs, ours = (run("events", "--stream=false", *words) for run in both)
    assert (shown(ours.stdout), ours.stderr, ours.returncode) == (
        shown(theirs.stdout),
        theirs.stderr,
        theirs.returncode,
    )


def test_the_story_is_told(both) -> None:
    """If both wrote nothing, the other tests would compare nothing."""
    lines = shown(
        both[1]("events", "--stream=false", "--format", "{{.Status}} {{.Name}} {{.ContainerExitCode}}").stdout
    )
    assert lines[:3] == ["create idle 0", "remove idle 0", "create web 0"]
    every = both[1]("events", "--stream=false", "--format", "{{.Type}} {{.Status}}").stdout.splitlines()
    assert "container died" in every
    assert "container stop" not in every
    assert "died web 5" in lines
    assert lines[-2:] == ["died once 3", "remove once 0"]


@words_of_4
def test_fields_of_json(both) -> None:
    for run in both:
        rows = [json.loads(line) for line in run("events", "--stream=false", "--format", "json").stdout.splitlines()]
        died = next(row for row in rows if row["Status"] == "died" and row["Name"] == "web")
        assert list(died) == ["ContainerExitCode", "ID", "Name", "Status", "Time", "Type", "Attributes"]


@pytest.mark.parametrize(
    "words",
    [("x",), ("--format", "{{.ID"), only_4(("--format", "{{.Nosuch}}")), ("--nosuch",), only_4(("--help",))],
)
def test_mistakes_and_help(both, words) -> None:
    theirs, ours = (run("events", "--stream=false", *words) for run in both)
    assert ours.returncode == theirs.returncode
    assert ours.stderr == theirs.stderr.replace("podman", "pypod")
    assert ours.stdout == theirs.stdout.replace("podman", "pypod").replace("Podman", "pypod")


def tell_of_images(run: Run, archive: Path, directory: Path) -> None:
    """Perform the actions on an image, from load to removal."""

    def do(*words: str | Path) -> None:
        done = run(*map(str, words))
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    do("load", "-q", "-i", archive)
    do("pull", "-q", f"oci-archive:{archive}")
    do("tag", "tiny:1", "localhost/a:1", "localhost/b:2")
    do("untag", "tiny:1", "localhost/b:2", "localhost/a:1")
    do("push", "-q", "tiny:1", f"dir:{directory}/pushed")
    do("save", "-q", "-o", directory / "saved.tar", "tiny:1")
    do("image", "mount", "tiny:1")
    do("image", "unmount", "tiny:1")
    do("create", "--pull", "never", "--name", "of-tiny", "--network", "none", "tiny:1", "/x")
    do("commit", "-q", "of-tiny", "localhost/committed:1")
    do("rm", "of-tiny")
    do("rmi", "localhost/committed:1")
    do("import", "-q", directory / "tree.tar", "localhost/imported:1")
    do("untag", "localhost/imported:1")
    do("image", "prune", "-f")
    do("rmi", "-a")
    for left in (directory / "pushed", directory / "saved.tar"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.fixture(scope="module")
def of_images(both, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    directory = tmp_path_factory.mktemp("of-images")
    archive = Tiny({"x": b"x"}, name="localhost/tiny:1").save(directory / "tiny.tar")
    (directory / "tree.tar").write_bytes(tar({"y": b"y"}))
    for run in both:
        tell_of_images(run, archive, directory)
    return both


@pytest.mark.parametrize(
    "words",
    [
        only_4(("-f", "type=image")),
        only_4(("-f", "type=image", "--format", "json")),
        only_4(("-f", "type=image", "--no-trunc=false")),
        only_4(
            ("-f", "type=image", "--format", "{{.Type}} {{.Status}} {{.ID}} {{.Name}} {{.Image}} {{json .Attributes}}")
        ),
        ("-f", "image=localhost/a:1"),
        ("-f", "image=tiny"),
        ("-f", "event=commit"),
        ("-f", "container=of-tiny"),
    ],
    ids=" ".join,
)
def test_the_same_story_of_images(of_images, words) -> None:
    theirs, ours = (sorted(shown(run("events", "--stream=false", *words).stdout)) for run in of_images)
    # podman reports a pull also when a container is created from a local image
    theirs = [line for line in theirs if not re.search(r"pull +tiny:1|tiny:1.*pull", line)]
    assert ours == theirs


def test_the_story_of_images_is_told(of_images) -> None:
    found = of_images[1]("events", "--stream=false", "-f", "type=image", "--format", "{{.Status}}").stdout.split()
    assert found == [
        *("loadfromarchive", "pull", "tag", "tag", "untag", "untag", "push", "save", "mount", "unmount"),
        *("untag", "remove", "tag", "untag", "remove", "untag", "remove"),
    ]
