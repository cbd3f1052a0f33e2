"""Our command line parser against podman's: the same messages for the same mistakes, the same help."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pypod.cli.flags.parser import Command, Flag, UsageError, parse, usage
from tests.oracle.podman import only_4

pytestmark = pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")

LATEST = Flag(
    name="latest",
    kind="bool",
    short="l",
    help='Act on the latest container podman is aware of\nNot supported with the "--remote" flag',
)
RUN = Command(
    path="podman run",
    interspersed=False,
    min_args=1,
    flags=(
        Flag(name="cap-add", kind="strings"),
        Flag(name="cpus", kind="float"),
        Flag(name="env", kind="stringArray", short="e"),
        Flag(name="health-retries", kind="uint", aliases=("healthcheck-retries",)),
        Flag(name="hostname", short="h"),
        Flag(name="interactive", kind="bool", short="i"),
        Flag(name="name"),
        Flag(name="network", kind="stringArray", aliases=("net",)),
        Flag(name="pids-limit", kind="int"),
        Flag(name="publish", kind="strings", short="p"),
        Flag(name="rm", kind="bool"),
        Flag(name="tty", kind="bool", short="t"),
    ),
)
STOP = Command(
    path="podman stop",
    summary="Stop one or more containers",
    description="Stops one or more running containers.  The container name or ID can be used.\n\n"
    "  A timeout to forcibly stop the container can also be set but defaults to 10 seconds otherwise.",
    synopsis="[options] CONTAINER [CONTAINER...]",
    examples=("podman stop ctrID", "podman stop --latest", "podman stop --time 2 mywebserver 6e534f14da9d"),
    flags=(
        Flag(name="all", kind="bool", short="a", help="Stop all running containers"),
        Flag(name="cidfile", kind="stringArray", help="Read the container ID from the file"),
        Flag(name="filter", kind="strings", short="f", help="Filter output based on conditions given"),
        Flag(name="ignore", kind="bool", short="i", help="Ignore errors when a specified container is missing"),
        LATEST,
        Flag(
            name="time",
            kind="uint",
            short="t",
            default=10,
            help="Seconds to wait for stop before killing the container",
            aliases=("timeout",),
        ),
    ),
)
PS = Command(
    path="podman ps",
    max_args=0,
    flags=(
        Flag(
            name="sort",
            choices=("command", "created", "id", "image", "names", "runningfor", "size", "status"),
        ),
    ),
)
RENAME = Command(
    path="podman rename",
    summary="Rename an existing container",
    description="The podman rename command allows you to rename an existing container",
    synopsis="CONTAINER NAME",
    examples=("podman rename containerA newName",),
    min_args=2,
    max_args=2,
)
POD_CREATE = Command(path="podman pod create", max_args=1)
POD_CLONE = Command(path="podman pod clone", min_args=1, max_args=2)
POD_PS = Command(
    path="podman pod ps",
    summary="List pods",
    description="List all pods on system including their names, ids and current state.",
    synopsis="[options]",
    aliases=("ls", "list"),
    flags=(
        Flag(
            name="ctr-ids",
            kind="bool",
            help="Display the container UUIDs. If no-trunc is not set they will be truncated",
        ),
        Flag(name="ctr-names", kind="bool", help="Display the container names"),
        Flag(name="ctr-status", kind="bool", help="Display the container status"),
        Flag(name="filter", kind="strings", short="f", help="Filter output based on conditions given"),
        Flag(name="format", help="Pretty-print pods to JSON or using a Go template"),
        LATEST,
        Flag(name="no-trunc", kind="bool", help="Do not truncate pod and container IDs"),
        Flag(name="noheading", kind="bool", help="Do not print headers"),
        Flag(name="ns", kind="bool", help="Display namespace information of the pod"),
        Flag(name="quiet", kind="bool", short="q", help="Print the numeric IDs of the pods only"),
        Flag(name="sort", default="created", help="Sort output by created, id, name, or number"),
    ),
)


def podman(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


# None of these does anything: podman rejects each before it looks at its store.
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (RUN, words)
        for words in (
            ["--foo"],
            ["--foo=1"],
            ["-Zx"],
            ["-itZq"],
            ["-t="],
            ["-é"],
            ["--é=3"],
            ["--name"],
            ["--net"],
            ["-e"],
            ["-h"],
            ["-ite"],
            ["--=x"],
            ["---x"],
            ["-=x"],
            ["--rm=xx"],
            ["-it=x"],
            ["-t=false=x"],
            ["--healthcheck-retries", "x"],
            ["--cpus", "x"],
            ["--cpus", ""],
            ["--cpus", "1e999"],
            ["--cpus", " 1"],
            ["--cpus", "1__0"],
            ["--cpus", "1_000"],
            ["--cpus", "0x1p-2"],
            ["--pids-limit", "08"],
            ["--pids-limit", "0_7"],
            ["--pids-limit", "+5"],
            ["--pids-limit", " 5"],
            ["--pids-limit", "\uff19"],
            ["--pids-limit", 'a\x01"é\u200b'],
            ["--pids-limit", "9223372036854775808"],
            ["--pids-limit=-0x8000000000000000"],
            ["--cap-add", 'a"b'],
            ["--cap-add", 'é"b'],
            ["--cap-add", '"b'],
            ["--cap-add", 'a,"b'],
            ["--cap-add", '"a"b,c'],
            ["--cap-add", '"x\n\ny'],
            ["--cap-add", "\n"],
            ["--cap-add", 'x\n"'],
            ["--help", "--foo"],
            ["-p="],
            ["--rm", "--"],
            [],
        )
    ]
    + [
        only_4(STOP, ["-t", "x", "foo"]),
        only_4(STOP, ["foo", "-tx"]),
        only_4(STOP, ["--timeout", "-1"]),
        only_4(STOP, ["-t99999999999999999999"]),
        (PS, ["x"]),
        (PS, ["--", "-a"]),
        (PS, ["--sort", "x"]),
        (RENAME, ["a"]),
        (RENAME, ["a", "b", "c"]),
        (POD_CREATE, ["a", "b"]),
        (POD_CLONE, []),
        (POD_CLONE, ["a", "b", "c"]),
    ],
)
def test_mistakes_are_told_alike(command: Command, words: list[str]) -> None:
    theirs = podman(*command.path.split(), *words)
    with pytest.raises(UsageError) as caught:
        parse(command, words)
    assert theirs.returncode == 125
    assert theirs.stderr[theirs.stderr.index("Error: ") :] == f"Error: {caught.value}\n"


@pytest.mark.parametrize("command", [only_4(STOP), RENAME, only_4(POD_PS)], ids=lambda command: command.path)
def test_help_looks_alike(command: Command) -> None:
    assert podman(*command.path.split(), "--help").stdout == usage(command)
