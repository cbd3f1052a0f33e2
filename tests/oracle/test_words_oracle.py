"""The words of the command line against podman's: unknown commands, help, the program's own flags after a verb."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.oracle.podman import words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]


@pytest.fixture
def pypod(tmp_path: Path) -> Program:
    return Program(str(tmp_path / "root"))


def podman(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["podman", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )


@words_of_4
@pytest.mark.parametrize(
    "line",
    [
        "imag",
        "IMAGES",
        "sytem",
        "zzzzzz",
        "image imag",
        "image help",
        "pod inspct",
        "images --log-level=nosuch",
        "images --nosuch",
        "manifest add",
        "manifest add one",
        "manifest remove one",
        "image scp",
        "untag",
    ],
)
def test_mistakes_are_told_alike(pypod, line: str) -> None:
    theirs, ours = podman(*line.split()), pypod(*line.split())
    said = theirs.stderr[theirs.stderr.index("Error: ") :] if "Error: " in theirs.stderr else theirs.stderr
    assert (ours.returncode, ours.stdout, ours.stderr.replace("pypod", "podman")) == (theirs.returncode, "", said)


def test_help_about_an_unknown_command(pypod) -> None:
    theirs, ours = podman("help", "nosuch"), pypod("help", "nosuch")
    assert (theirs.returncode, theirs.stdout) == (ours.returncode, ours.stdout) == (0, "")
    assert theirs.stderr.splitlines()[:3] == ours.stderr.replace("pypod", "podman").splitlines()[:3]


def test_help_for_an_unknown_command_is_that_of_the_words_before_it(pypod) -> None:
    assert podman("nosuch", "--help").stdout == podman("--help").stdout
    assert pypod.ok("nosuch", "--help") == pypod.ok("--help")
    assert podman("image", "nosuch", "--help").returncode == 0
    assert pypod.ok("image", "nosuch", "--help") == pypod.ok("image", "--help")


def listed(text: str) -> list[str]:
    return re.findall(r"^  (\w+) ", text.partition("Available Commands:\n")[2].partition("\n\n")[0], re.M)


@words_of_4
@pytest.mark.parametrize("group", ["image", "manifest", "network", "pod", "secret", "volume"])
def test_commands_of_a_group(pypod, group: str) -> None:
    """Every command that podman lists is there; those more do not include other words for the same."""
    theirs, ours = (set(listed(done.stdout)) for done in (podman(group), pypod(group)))
    missing = {"build", "clone"}
    assert theirs - ours <= missing
    assert ours - theirs <= {"exists", "update"}


@words_of_4
@pytest.mark.parametrize(
    "path", ["untag", "inspect", "manifest add", "manifest annotate", "manifest exists", "manifest remove"]
)
def test_usage(pypod, path: str) -> None:
    theirs, ours = (done.stdout for done in (podman(*path.split(), "-h"), pypod(*path.split(), "-h")))
    usage = re.compile(r"^Usage:\n  \w+ (.*)$", re.M)
    assert usage.findall(ours) == usage.findall(theirs) != []


def test_flags_of_the_program_may_follow_the_verb(pypod, tmp_path) -> None:
    assert podman("images", "--log-level=error", "-q").returncode == 0
    pypod.ok("volume", "create", "one")
    other = Program(str(tmp_path / "other"))
    assert other.ok("volume", "ls", "--root", pypod.root, "-q") == "one\n"
    assert other.ok("volume", "ls", "-q") == ""
    assert other("volume", "ls", "--root").stderr.startswith("Error: flag needs an argument: --root\n")
    # what follows a container's command is the command's
    assert other.ok("run", "--rm", "--rootfs", "/:O", "echo", "--log-level") == "--log-level\n"


def test_scp_says_what_there_is_instead(pypod) -> None:
    done = pypod("image", "scp", "box", "host::")
    assert (done.returncode, done.stdout) == (125, "")
    assert "pypod save box | ssh HOST pypod load" in done.stderr


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[list[str]]:
    """podman with a storage of its own."""
    run = Path("/run") / f"w-{tmp_path.name[-20:]}"
    words = ["--log-level=error", "--storage-driver", "vfs", "--root", str(tmp_path / "theirs"), "--runroot", str(run)]
    yield [*words, "--network-config-dir", str(tmp_path / "networks")]
    shutil.rmtree(run, ignore_errors=True)


@words_of_4
@pytest.mark.parametrize(
    "line",
    [
        "stop -l",
        "pod ps -l",
        "pod rm -l",
        "pod inspect -l",
        "pod top -l",
        "pod logs -l",
        "inspect --size --type image x",
        "inspect --latest --type image x",
        "manifest remove nosuch sha256:" + "0" * 64,
        "manifest push nosuch dir:/nosuch",
        "import /nosuch.tar",
        "healthcheck run nosuch",
        "secret create one -",
        "manifest rm nosuch nosuch2",
        "network ls --format {{.Nosuch}}",
    ],
)
def test_failures_are_told_alike(pypod, theirs, line: str) -> None:
    wanted = podman(*theirs, *line.split())
    got = subprocess.run(
        [*pypod.words, *line.split()], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (got.returncode, got.stdout, got.stderr) == (wanted.returncode, wanted.stdout, wanted.stderr)


def test_what_a_pod_lacks_is_empty_in_templates(pypod, theirs) -> None:
    template = "{{.Mounts}} {{.Devices}} {{.SecurityOpts}} {{.VolumesFrom}} {{.Namespace}}"
    line = ["pod", "create", "--infra=false", "--name", "one"]
    assert podman(*theirs, *line).returncode == 0
    pypod.ok(*line)
    wanted = podman(*theirs, "pod", "inspect", "one", "--format", template)
    assert pypod.ok("pod", "inspect", "one", "--format", template) == wanted.stdout == "[] [] [] [] \n"
    podman(*theirs, "pod", "rm", "one")
    pypod.ok("pod", "create", "--name", "two", "--security-opt", "label=disable", "--device", "/dev/null:/dev/a")
    assert pypod.ok("pod", "inspect", "two", "--format", "{{.SecurityOpts}}") == "[label=disable]\n"
    assert pypod.ok("pod", "inspect", "two", "--format", "{{(index .Devices 0).PathInContainer}}") == "/dev/a\n"
    pypod.ok("pod", "rm", "two")


def test_connecting_again_before_the_first_start(pypod) -> None:
    """podman 4.3 and 5 say nothing, as docker does."""
    pypod.ok("network", "create", "one")
    pypod.ok("create", "--name", "box", "--network", "one", "--rootfs", "/:O", "true")
    pypod.ok("network", "connect", "one", "box")
    pypod.ok("rm", "box")
    pypod.ok("network", "rm", "one")


def test_info_takes_the_old_flag_for_details(pypod) -> None:
    assert podman("info", "-D").returncode == 0
    assert pypod.ok("info", "-D", "--format", "{{.Host.OS}}") == "linux\n"


def test_prune_without_an_answer(pypod) -> None:
    pypod.ok("volume", "create", "one")
    done = pypod("volume", "prune", stdin=b"")
    assert (done.returncode, done.stderr) == (125, "Error: EOF\n")
    assert pypod.ok("volume", "ls", "-q") == "one\n"
