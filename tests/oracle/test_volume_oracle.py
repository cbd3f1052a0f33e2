"""Volumes compared with podman's: the same commands, one after the other, and what each of the two says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program
from tests.images.podman import apart
from tests.oracle.podman import words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
    words_of_4,
]

SHOWN = "{{.Name}} {{.Driver}} {{.Labels}} {{.Options}} {{.Scope}} {{.UID}} {{.GID}} {{.Anonymous}} {{.MountCount}}"
COMMANDS = [
    "volume ls",
    "volume create --label a=b --label c one",
    "volume create one",
    "volume create a/b",
    "volume create a b",
    "volume create --label =x x",
    "volume create --opt foo=bar x",
    "volume create --opt type=tmpfs --opt device=tmpfs --opt o=nodev,noexec two",
    "volume create --opt o=uid=5,gid=6 three",
    "volume create --opt o=uid=x x",
    "volume create --opt o=size=x x",
    "volume create --opt o=timeout=3 x",
    "volume create --opt o=noquota --opt nocopy four",
    "volume create --opt type=bind --opt device=/no/such x",
    "volume create --driver nope x",
    "volume ls",
    "volume ls -q",
    "volume ls --noheading",
    f"volume ls --format '{SHOWN}'",
    "volume ls --format 'table {{.Name}}\\t{{.Driver}}\\t{{.Labels}}'",
    "volume ls -q -f name=t",
    "volume ls -q -f name=^one$",
    "volume ls -q -f label=a",
    "volume ls -q -f label=a=x",
    "volume ls -q -f dangling=true",
    "volume ls -q -f dangling=x",
    "volume ls -q -f driver=local",
    "volume ls -q -f scope=x",
    "volume ls -q -f opt=type",
    "volume ls -q -f opt=type=tmpfs",
    "volume ls -q -f until=1h",
    "volume ls -q -f until=x",
    "volume ls -q -f foo=x",
    "volume ls -q -f foo",
    "volume ls -q --format json",
    "volume ls x",
    f"volume inspect --format '{SHOWN}' one two three four",
    "volume inspect --format '{{.Nope}}' one",
    "volume inspect nosuch",
    "volume inspect nosuch nosuch2",
    "volume exists one",
    "volume exists on",
    "volume reload",
    "volume mount nosuch",
    "volume unmount nosuch",
    "volume unmount one",
    "volume export nosuch",
    "volume import nosuch /dev/null",
    "volume import one /no/such",
    "volume import one",
    "volume rm nosuch",
    "volume rm t",
    "volume rm --force nosuch",
    "volume rm on",
    "volume rm four four",
    "volume prune --force --filter name=two",
    "volume prune --force --filter foo=x",
    "volume prune --force",
    "volume ls -q",
    # mounts: read, or refused, before anything starts
    "create --name c --network none --rootfs ROOT true",
    *(
        f"create --network none {flag} --rootfs ROOT true"
        for flag in (
            *("-v :/x", "-v x:", "-v x:y", "-v x", "-v a/b:/x", "-v x:/x:foo", "-v x:/x:ro,rw", "-v x:/x:z,Z"),
            *("-v x:/x:a:b", "-v x:/x:bind,rbind", "-v x:/x -v y:/x", "-v x:/x -v /usr:/x", "-v x:/x --tmpfs /x"),
            *("-v /no/such:/x", "-v x:/x:shared,private", "-v x:/x:copy,nocopy", "-v x:/x:dev,nodev"),
            *("--mount type=volume", "--mount type=volume,src=x", "--mount type=nope,dst=/x", "--mount volume,dst=/x"),
            *(
                "--mount type=volume,src=x,dst=x",
                "--mount type=volume,src=a/b,dst=/x",
                "--mount type=tmpfs,src=x,dst=/x",
            ),
            *("--mount type=volume,src=x,dst=/x,foo", "--mount type=volume,volume-label=a=b,dst=/x"),
            *("--mount type=image,dst=/x", "--mount type=image,src=x", "--mount type=image,src=x,dst=/x,foo=1"),
            *("--mount type=tmpfs,dst=/x,tmpfs-size", "--mount type=tmpfs,dst=/x,size=1m", "--mount type=tmpfs"),
            *(
                "--mount type=tmpfs,dst=/x,tmpcopyup,notmpcopyup",
                "--mount type=devpts",
                "--mount type=devpts,dst=/x,a=1",
            ),
            *("--mount type=bind,src=/usr", "--mount type=bind,src=/usr,dst=/x,relabel=foo"),
            *(
                "--mount type=bind,src=/usr,dst=/x,relabel=private,relabel=shared",
                "--mount type=bind,src=/no/such,dst=/x",
            ),
            *("--mount type=bind,src=/usr,dst=/x,ro=foo", "--mount type=bind,src=/usr,dst=/x,ro,rw"),
            *("--mount type=bind,src=/usr,dst=/x,bind-propagation=foo", "--mount type=bind,src=/usr,dst=/x,foo"),
            "--mount type=volume,src=x,dst=/x --mount type=volume,src=x,dst=/x",
        )
    ),
    "volume ls -q",
    "create --name d --network none -v v1:/a -v v1:/a --mount type=volume,src=v1,dst=/b,ro --rootfs ROOT true",
    "ps -a --filter volume=v1 --format '{{.Names}}'",
    "ps -a --filter volume=v1:/a --format '{{.Names}}'",
    "ps -a --filter volume=v2 --format '{{.Names}}'",
    "volume ls -q -f dangling=false",
    "volume inspect v1 --format '{{.NeedsCopyUp}} {{.NeedsChown}}'",
    "volume prune --force",
    "volume rm --force v1",
    "ps -a --format '{{.Names}}'",
    "create --name e --network none -v /anon --rootfs ROOT true",
    "volume ls --format '{{.Anonymous}}'",
    "rm e",
    "volume ls --format '{{.Anonymous}}'",
    "volume prune --force",
]
_ID = re.compile(r"\b[0-9a-f]{64}\b")


def plain(text: str) -> str:
    """Return output without ids, and without what pypod adds: hints, the command's help."""
    lines = [_ID.sub("ID", line).replace("podman", "pypod") for line in text.splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("See '", "Try '")))


def of_podman(commands: list[str], place: Path) -> list[tuple[int, str, str]]:
    """Return exit code, output and messages of each command, in a storage of podman's own."""
    script = "\n".join(
        f'podman {one} >"$1/{number}.out" 2>"$1/{number}.err" </dev/null; echo $? >"$1/{number}.code"'
        for number, one in enumerate(commands)
    )
    apart(script, str(place))
    read = [
        [(place / f"{number}.{kind}").read_text() for kind in ("code", "out", "err")] for number in range(len(commands))
    ]
    return [(int(code), plain(out), plain(err)) for code, out, err in read]


def test_both_say_the_same(engine: Engine, busybox: str, tmp_path: Path) -> None:
    commands = [one.replace("ROOT", busybox) for one in COMMANDS]
    pypod = Program(engine.layout.root)
    place = tmp_path / "podman"
    place.mkdir()
    half = COMMANDS.index("create --name c --network none --rootfs ROOT true")  # each half has a minute
    expected = [*of_podman(commands[:half], place), *of_podman(commands[half:], place)]
    found = []
    for one in commands:
        done = pypod(*shlex.split(one))
        found.append((done.returncode, plain(done.stdout), plain(done.stderr)))
    different = {
        one: (ours, theirs) for one, ours, theirs in zip(COMMANDS, found, expected, strict=True) if ours != theirs
    }
    assert different == {}, "\n".join(f"{one}\n  {a}\n  {b}" for one, (a, b) in different.items())
