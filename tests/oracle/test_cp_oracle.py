"""Copies compared with podman's: the same commands into and out of a container that never ran, and the trees made."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod import Engine
from tests.cli.program import Program
from tests.images.made import Made, busybox_entries, layer
from tests.images.podman import apart
from tests.oracle.podman import words_of_4

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
    words_of_4,
]

COMMANDS = [
    *(f"cp h/{source} c:{target}" for source, target in (
        ("f", "/tmp"), ("f", "/tmp/name"), ("f", "/no/x"), ("f", "/no/"), ("f", "/tmp/no/"), ("f", "relative"),
        ("f", ""), ("f", "."), ("lf", "/tmp/followed"), ("lf", "/tmp"), ("dangling", "/tmp"), ("none", "/tmp"),
        ("dir", "/tmp/new"), ("dir", "/tmp/new"), ("dir/", "/tmp/new2"), ("dir/.", "/tmp/new3"), ("dir", "/tmp/f"),
        ("dir", "/no/x"), ("ld", "/tmp/viald"), ("fifo", "/tmp"), ("empty", "/tmp"), ("f", "/tmp/empty/.."),
        ("f", "/tmp/empty/../up"), ("f", "/../../../../rooted"), ("f", "/no/../tmp/over"), ("dir", "/tmp/new/"),
        ("dir/.", "/tmp/new/sub"), ("f", "/tmp/abs"), ("f", "/tmp/rel"), ("f", "/tmp/gone"), ("closed", "/tmp"),
        ("closed/.", "/tmp/empty"),
    )),
    "cp -a=false h/dir/one c:/tmp/kept",
    "cp --archive=false h/dir c:/tmp/keptdir",
    "cp - c:/tmp/f",
    "cp - c:/tmp/none",
    "cp - c:/tmp",
    *(f"cp c:{source} o/{target}" for source, target in (
        ("/tmp/f", ""), ("/tmp/f", "new"), ("/tmp/f", "no/x"), ("/tmp/f", "no/"), ("/tmp/none", ""), ("/none/x", ""),
        ("/tmp/f/x", ""), ("tmp/f", "rel"), ("relative", "rel2"), ("/tmp/new", ""), ("/tmp/new", "made"),
        ("/tmp/new/.", "content"), ("/tmp/new/", "slash"), ("/tmp/new", "new"), ("/tmp/new", "file"), ("", "x"),
        ("/tmp/fifo", ""), ("/tmp/up", "link"), ("/tmp/up", "tolink"), ("/tmp/new", "newer"),
        ("/tmp/rel", "viarel"), ("/tmp/absdir", ""),

    )),
    "cp h/f",
    "cp h/f o/x",
    "cp none:/x o",
    "cp h/f none:/x",
    "cp - -",
    "cp '' c:/tmp",
    "cp h/f ''",
    "cp ./c:/x o",
    "cp nosuch:b c:/tmp",
    "cp ./nosuch:b c:/tmp",
    "cp --pause=false h/f c:/tmp/pp",
    "cp --bogus h/f c:/tmp",
    "container cp h/f c:/tmp/alias",
]  # fmt: skip
PREPARE = """
umask 022; mkdir -p h/dir/sub h/empty h/closed/in o/tolinkdir
echo host > h/f; echo one > h/dir/one; echo two > h/dir/sub/two; ln -s one h/dir/rel; ln -s /etc/passwd h/dir/abs
ln -s f h/lf; ln -s dir h/ld; ln -s none h/dangling; mkfifo h/fifo; chmod 640 h/f; chown 33:44 h/dir/one
touch -d 2001-02-03T04:05:06 h/f h/dir/one h/dir/sub/two; chmod 4755 h/dir/sub/two; chmod 700 h/closed h/closed/in
echo file > o/file; ln -s nowhere o/link; ln -s tolinkdir o/tolink; echo colon > nosuch:b
"""
IMAGE = "localhost/links:latest"
LINKS = {"tmp/abs": "/tmp/f", "tmp/rel": "f", "tmp/gone": "new4", "tmp/absdir": "/tmp/new", "var": None}


def plain(text: str) -> str:
    """Return messages without what pypod adds, and of podman's report about its copier only what was being done."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("See '", "Try '"))]
    if "copier" in text:
        lines = [re.sub(r"^.*(copying to (?:host|container)): .*", r"Error: \1", lines[1])]
    return "\n".join(re.sub(r"^(Error: copying to (?:host|container)): .*", r"\1", line) for line in lines)


def look(directory: Path) -> list[str]:
    """Return name, kind, mode, owner, link and content of everything in a tree."""
    found = []
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        what = str(path.readlink()) if path.is_symlink() else path.read_text("latin-1") if path.is_file() else ""
        when = int(status.st_mtime) if path.is_file() and status.st_mtime < 1_100_000_000 else 0
        found.append(f"{path.relative_to(directory)} {status.st_mode:o} {status.st_uid}:{status.st_gid} {when} {what}")
    return found


def exported(archive: Path, directory: Path) -> Path:
    """Unpack what a container was exported as."""
    directory.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", directory, "--numeric-owner"], check=True)
    return directory


def test_both_make_the_same(engine: Engine, busybox: str, tmp_path: Path) -> None:
    image = Made(layer({**busybox_entries(busybox), **LINKS})).archive(tmp_path / "image.tar", IMAGE)
    places = {name: tmp_path / name for name in ("podman", "pypod")}
    for place in places.values():
        (place / "work").mkdir(parents=True)
        subprocess.run(["sh", "-ec", PREPARE], cwd=place / "work", check=True)
    create = f"create --name c -w /var --network none {IMAGE} true"
    script = f'cd "$1/work"; podman load -qi "$2" >/dev/null; podman {create} >/dev/null\n'
    script += "\n".join(
        f'podman {one} >"$1/{number}.out" 2>"$1/{number}.err" </dev/null; echo $? >"$1/{number}.code"'
        for number, one in enumerate(COMMANDS)
    )
    apart(script + '\npodman export c >"$1/exported"', str(places["podman"]), str(image))
    pypod = Program(engine.layout.root)
    pypod.ok("load", "-qi", str(image))
    pypod.ok(*create.split())
    different = []
    for number, one in enumerate(COMMANDS):
        done = pypod(*shlex.split(one), cwd=places["pypod"] / "work", stdin=b"")
        code = int((places["podman"] / f"{number}.code").read_text())
        said = plain((places["podman"] / f"{number}.err").read_text())
        if (done.returncode, plain(done.stderr)) != (code, said):
            different.append(f"{one}\n  {done.returncode} {done.stderr}  {code} {said}")
    assert not different, "\n".join(different)
    pypod.ok("export", "-o", str(places["pypod"] / "exported"), "c")
    trees = {name: exported(place / "exported", place / "tree") for name, place in places.items()}
    assert look(places["pypod"] / "work") == look(places["podman"] / "work")
    for part in ("tmp", "var"):
        assert look(trees["pypod"] / part) == look(trees["podman"] / part)
    assert (trees["pypod"] / "rooted").read_text() == (trees["podman"] / "rooted").read_text()
