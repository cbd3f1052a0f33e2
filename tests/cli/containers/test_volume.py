"""The commands of volumes: their output, messages and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program

pytestmark = pytest.mark.root


@pytest.fixture
def pypod(tmp_path: Path) -> Program:
    return Program(str(tmp_path / "storage"))


def failed(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return done.returncode, done.stderr


def test_create_and_list(pypod: Program) -> None:
    assert pypod.ok("volume", "ls") == ""
    assert pypod.ok("volume", "create", "--label", "a=b", "-l", "c", "one") == "one\n"
    assert pypod.ok("volume", "create", "--ignore", "one") == "one\n"
    name = pypod.ok("volume", "create").strip()
    assert (len(name), set(name) <= set("0123456789abcdef")) == (64, True)
    assert pypod.ok("volume", "ls").splitlines()[0] == "DRIVER      VOLUME NAME"
    assert pypod.ok("volume", "ls", "-q") == f"{name}\none\n"
    assert pypod.ok("volume", "list", "--noheading", "--filter", "name=on") == "local       one\n"
    assert pypod.ok("volume", "ls", "--format", "{{.Name}} {{.Labels}} {{.Scope}}", "-f", "label=c") == (
        "one map[a:b c:] local\n"
    )
    assert pypod.ok("volume", "ls", "--format", "table {{.Name}}\t{{.Driver}}", "-f", "label=c") == (
        "VOLUME NAME  DRIVER\none          local\n"
    )
    (shown,) = json.loads(pypod.ok("volume", "ls", "--format", "json", "-f", "label=a=b"))
    assert shown == json.loads(pypod.ok("volume", "inspect", "one"))[0]


def test_inspect(pypod: Program) -> None:
    pypod.ok("volume", "create", "-o", "o=uid=5,gid=6", "one")
    (shown,) = json.loads(pypod.ok("volume", "inspect", "on"))
    assert list(shown) == [
        *("Name", "Driver", "Mountpoint", "CreatedAt", "Labels", "Scope", "Options"),
        *("UID", "GID", "MountCount", "NeedsCopyUp"),
    ]
    assert shown["Mountpoint"] == f"{pypod.root}/volumes/one/_data"
    assert shown["Options"] == {"GID": "6", "UID": "5", "o": "uid=5,gid=6"}
    assert os.stat(shown["Mountpoint"]).st_uid == 5
    assert pypod.ok("inspect", "--type", "volume", "one") == pypod.ok("volume", "inspect", "--all")
    assert pypod.ok("inspect", "one", "--format", "{{.Name}} {{json .Options}}").startswith("one {")
    done = pypod("volume", "inspect", "x", "one", "y")
    assert [one["Name"] for one in json.loads(done.stdout)] == ["one"]
    assert failed(done) == (
        125,
        "error inspecting object: no such volume y\nError: inspecting object: no such volume x\n",
    )
    for words in ((), ("--all", "one")):
        code, said = failed(pypod("volume", "inspect", *words))
        assert (code, said.splitlines()[0]) == (125, "Error: provide one or more volume names or use --all")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("create", "a/b"),
            "running volume create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
        ),
        (("create", "a", "b"), "accepts at most 1 arg(s), received 2"),
        (("create", "-l", "=x"), 'unable to process labels: invalid label format: "=x"'),
        (("create", "-o", "foo=bar"), "invalid mount option foo for driver 'local': invalid argument"),
        (
            ("create", "--driver", "nope", "v"),
            "volume v uses volume plugin nope but it could not be retrieved: no volume plugin with name nope "
            "available: required plugin missing",
        ),
        (("ls", "-f", "foo=x"), '"foo" is an invalid volume filter'),
        (("ls", "-f", "foo"), "filter input must be in the form of filter=value: foo is invalid"),
        (("ls", "-f", "dangling=x"), '"x" is not a valid value for the "dangling" filter - must be true or false'),
        (("ls", "-q", "--format", "json"), "quiet and format flags cannot be used together"),
        (("prune", "-f", "--filter", "foo=x"), '"foo" is an invalid volume filter'),
        (("mount", "x"), 'no volume with name "x" found: no such volume'),
        (("unmount", "x"), 'no volume with name "x" found: no such volume'),
        (("rm",), "choose either one or more volumes or all"),
        (("rm", "-t", "3", "x"), "--force option must be specified to use the --time option"),
        (("export", "x"), "no such volume x"),
        (("import", "x", "/dev/null"), "no such volume x"),
    ],
)
def test_messages(pypod: Program, words: tuple[str, ...], message: str) -> None:
    code, said = failed(pypod("volume", *words))
    assert (code, said.splitlines()[0]) == (125, f"Error: {message}")
    assert pypod.ok("volume", "ls", "-q") == ""


def test_removal(pypod: Program, engine: Engine, busybox: str) -> None:
    pypod = Program(engine.layout.root)
    user = engine.containers.run(["sleep", "100"], rootfs=busybox, volumes=["used:/d"])
    for name in ("free", "x1", "x2"):
        pypod.ok("volume", "create", name)
    used = f"volume used is being used by the following container(s): {user.id}: volume is being used"
    unknown = 'no volume with name "no" found: no such volume'
    assert failed(pypod("volume", "rm", "no")) == (1, f"Error: {unknown}\n")
    done = pypod("volume", "rm", "used", "fre", "no")
    assert (done.returncode, done.stdout) == (2, "free\n")
    assert done.stderr == f"Error: {unknown}\nError: {used}\n"
    assert failed(pypod("volume", "rm", "x")) == (
        125,
        'Error: more than one result for volume name "x": volume already exists\n',
    )
    assert pypod.ok("volume", "rm", "--force", "no") == ""
    assert [pypod("volume", "exists", name).returncode for name in ("x1", "x", "no")] == [0, 1, 1]
    assert pypod.ok("volume", "ls", "-q", "-f", "dangling=false") == "used\n"
    assert pypod.ok("ps", "-aq", "--no-trunc", "--filter", "volume=used").strip() == user.id
    assert pypod.ok("volume", "prune", "--force", "--filter", "name=x1") == "x1\n"
    asked = pypod("volume", "prune", stdin=b"y\n")
    assert asked.stdout.splitlines() == [
        "WARNING! This will remove all volumes not used by at least one container. "
        "The following volumes will be removed:",
        "x2",
        "Are you sure you want to continue? [y/N] x2",
    ]
    assert pypod.ok("volume", "rm", "--force", "--time", "0", "--all") == "used\n"
    assert (pypod.ok("ps", "-aq"), pypod.ok("volume", "ls")) == ("", "")


def test_anonymous_volumes_go_when_told(pypod: Program, busybox: str) -> None:
    words = ("create", "-v", "/a", "--rootfs", f"{busybox}:O", "true")
    first, second = (pypod.ok(*words).strip() for _ in range(2))
    assert len(pypod.ok("volume", "ls", "-q").splitlines()) == 2
    pypod.ok("rm", first)
    assert len(pypod.ok("volume", "ls", "-q").splitlines()) == 2
    pypod.ok("rm", "--volumes", second)
    (left,) = pypod.ok("volume", "ls", "-q").splitlines()
    assert json.loads(pypod.ok("volume", "inspect", left))[0]["Anonymous"] is True
    pypod.ok("run", "--rm", "-v", "/a", "--rootfs", f"{busybox}:O", "true")
    assert pypod.ok("volume", "prune", "-f") == f"{left}\n"


def test_transfers(pypod: Program, tmp_path: Path) -> None:
    path = Path(pypod.ok("volume", "mount", pypod.ok("volume", "create", "a").strip()).strip())
    (path / "d").mkdir()
    (path / "d" / "f").write_text("text\n")
    pypod.ok("volume", "export", "a", "--output", str(tmp_path / "a.tar"))
    assert subprocess.run(["tar", "-tf", tmp_path / "a.tar"], capture_output=True, check=True).stdout == b"d/\nd/f\n"
    subprocess.run(["gzip", "-k", tmp_path / "a.tar"], check=True)
    for name, words, stdin in (
        ("b", [str(tmp_path / "a.tar")], None),
        ("c", ["-"], (tmp_path / "a.tar.gz").read_bytes()),
    ):
        pypod.ok("volume", "create", name)
        pypod.ok("volume", "import", name, *words, stdin=stdin)
        assert Path(pypod.ok("volume", "mount", name).strip(), "d", "f").read_text() == "text\n"
        assert pypod.ok("volume", "unmount", name) == f"{name}\n"
    code, said = failed(pypod("volume", "import", "b", "/no/such"))
    assert (code, said) == (125, "Error: open /no/such: no such file or directory\n")
    code, said = failed(pypod("volume", "export", "a", "-o", "/no/such"))
    message = "could not create tarball file '/no/such': open /no/such: no such file or directory"
    assert (code, said) == (125, f"Error: {message}\n")


def test_pods(pypod: Program) -> None:
    pypod.ok("pod", "create", "--network", "none", "-v", "data:/data:ro", "-v", "/usr:/mnt", "mipod")
    shown = json.loads(pypod.ok("pod", "inspect", "mipod"))["mounts"]
    assert [(one["Type"], one.get("Name"), one["Destination"], one["RW"]) for one in shown] == [
        ("volume", "data", "/data", False),
        ("bind", None, "/mnt", True),
    ]
    pypod.ok("pod", "rm", "mipod")
    assert pypod.ok("volume", "rm", "data") == "data\n"
