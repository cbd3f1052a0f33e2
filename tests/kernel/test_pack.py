"""Directories as layers and archives: read back by us and by GNU tar, written through the kernel's overlayfs."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pypod.errors import SystemFailure, Unsupported
from pypod.images.layers.changes import changes
from pypod.images.layers.pack import layer, tree
from pypod.images.layers.unpack import unpack
from tests.images.layers import Layer, header, merged, pax, snapshot

pytestmark = pytest.mark.root


def made(path: Path, source: Layer | bytes) -> Path:
    path.mkdir()
    unpack([source.bytes() if isinstance(source, Layer) else source], str(path))
    return path


def everything() -> Layer:
    attribute = {"SCHILY.xattr.user.k": "v"}
    whole = Layer().directory("./", mode=0o755, mtime=4).directory("d/", mode=0o2750, uid=70000, gid=2, pax=attribute)
    whole.add("d/f", b"x" * 3_000_000, mode=0o4755, uid=2**31, mtime=1.5, pax=attribute).link("d/h", "d/f").symlink(
        "s", "d/f"
    )
    whole.add("c", kind=b"3", devmajor=1, devminor=3).add("b", kind=b"4", devmajor=8).add("p", kind=b"6", mtime=7)
    long = "deep" * 20
    return whole.directory(long).add(f"{long}/{'n' * 200}", b"1").symlink(f"{long}/l", "t" * 300).link("long", "d/f")


def test_there_and_back(tmp_path: Path) -> None:
    first = made(tmp_path / "1", everything())
    os.mkdir(first / os.fsdecode(b"\xff\n"))
    packed = b"".join(tree(str(first)))
    assert packed == b"".join(tree(str(first)))
    assert packed == b"".join(layer(str(first)))
    assert snapshot(made(tmp_path / "2", packed)) == snapshot(first)
    (tmp_path / "3").mkdir()
    command = ["tar", "-xpf", "-", "-C", tmp_path / "3", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    done = subprocess.run(command, input=packed, check=True, stderr=subprocess.PIPE)
    assert done.stderr == b""
    assert snapshot(tmp_path / "3") == snapshot(first)


def test_sparse_files_stay_sparse(tmp_path: Path) -> None:
    first = tmp_path / "1"
    first.mkdir()
    for name, parts, size in (
        ("middle", [(1 << 20, b"a" * 5000), (3 << 20, b"b")], 3 << 20 | 1),
        ("end", [(0, b"a")], 5 << 20),
        ("nothing", [], 1 << 30),
        ("name" * 50, [(1 << 20, b"x")], 2 << 20),
    ):
        with (first / name).open("wb") as file:
            for offset, data in parts:
                os.pwrite(file.fileno(), data, offset)
            file.truncate(size)
    packed = b"".join(tree(str(first)))
    assert len(packed) < 100_000
    second = made(tmp_path / "2", packed)
    (tmp_path / "3").mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", tmp_path / "3"], input=packed, check=True)
    for found in (second, tmp_path / "3"):
        assert sorted(os.listdir(found)) == sorted(os.listdir(first))
        for path in first.iterdir():
            assert (found / path.name).stat().st_size == path.stat().st_size
            if path.name != "nothing":
                assert (found / path.name).read_bytes() == path.read_bytes()
    assert (second / "nothing").stat().st_blocks == 0


def test_what_is_left_out_and_what_is_refused(tmp_path: Path) -> None:
    first = tmp_path / "1"
    first.mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(first / "socket"))
    server.close()
    (first / "f").touch()
    os.setxattr(first / "f", "trusted.mine", b"1")
    os.setxattr(first / "f", "user.mine", b"1")
    assert snapshot(made(tmp_path / "2", b"".join(tree(str(first)))))["f"][5] == (("user.mine", b"1"),)
    assert sorted(os.listdir(tmp_path / "2")) == ["f"]
    (first / ".wh.f").touch()
    with pytest.raises(Unsupported, match=r"no layer can hold a file named '.wh.f'"):
        list(layer(str(first)))
    assert b".wh.f" in b"".join(tree(str(first)))
    (first / ".wh.f").unlink()
    os.setxattr(first / "f", "trusted.overlay.metacopy", b"1")
    with pytest.raises(Unsupported, match="refers to the layers below"):
        list(layer(str(first)))
    with pytest.raises(FileNotFoundError):
        next(tree(str(first / "missing")))


def test_depth_has_a_limit_and_descriptors_are_given_back(tmp_path: Path) -> None:
    first = tmp_path / "1"
    first.mkdir()
    os.makedirs(first / "/".join(["d"] * 190))
    packed = b"".join(tree(str(first)))
    assert snapshot(made(tmp_path / "2", packed)).keys() == snapshot(first).keys()
    os.makedirs(first / "/".join(["d"] * 250))
    before = len(os.listdir("/proc/self/fd"))
    for walk in (
        tree(str(first)),
        layer(str(first), [str(tmp_path / "2")]),
        changes(str(first), [str(tmp_path / "2")]),
    ):
        with pytest.raises(SystemFailure, match="a path is too long"):
            list(walk)
    abandoned = layer(str(first), [str(tmp_path / "2")])
    next(abandoned)
    abandoned.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.not_in_chroot
def test_other_file_systems_are_left_out(tmp_path: Path) -> None:
    first = tmp_path / "1"
    (first / "mnt").mkdir(parents=True)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from pypod.images.layers.pack import tree\n"
    code += "for piece in tree(sys.argv[2]): sys.stdout.buffer.write(piece)"
    script = f'mount -t tmpfs none {first}/mnt && touch {first}/mnt/secret && exec "$@"'
    root = str(Path(__file__).parents[2])
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, root, str(first)]
    packed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    assert snapshot(made(tmp_path / "2", packed)).keys() == {".", "mnt"}


# A container's changes: IMAGE is the lower directory, SCRIPT runs on the overlay.
IMAGE = (
    Layer()
    .directory("etc/")
    .add("etc/passwd", b"root")
    .add("etc/old", b"1")
    .directory("var/")
    .directory("var/lib/")
    .add("var/lib/a")
    .add("var/lib/b")
    .directory("opt/")
    .add("opt/x")
    .directory("same/")
    .add("same/f")
    .symlink("link", "etc")
    .add("file", b"f")
    .directory("tmp/", mode=0o1777)
)
SCRIPT = """
set -e
echo new >> etc/passwd; rm etc/old; mkdir -p new/deep; echo 1 > new/deep/f; ln new/deep/f new/hard
rm -r var/lib; mkdir var/lib; touch var/lib/c; touch var/lib/a; rm -r opt; echo now a file > opt
rm link; mkdir link; touch link/in; rm file; mkfifo file; chmod 700 tmp
touch back; rm back; cat same/f
"""
CHANGES = """
C /etc
D /etc/old
C /etc/passwd
C /file
D /gone
C /link
A /link/in
A /new
A /new/deep
A /new/deep/f
A /new/hard
C /opt
C /tmp
C /var
C /var/lib
C /var/lib/a
D /var/lib/b
A /var/lib/c
"""


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Path, Path, dict[str, tuple]]:
    """Return the lower and upper directory after SCRIPT, and a snapshot of the overlay at that time."""
    made(tmp_path / "base", Layer().directory("var/").add("var/below").add("gone"))
    lower = made(tmp_path / "lower", IMAGE)
    for name in ("upper", "work", "seen"):
        (tmp_path / name).mkdir()
    code = "import pickle, sys; sys.path.insert(0, sys.argv[1]); from tests.images.layers import snapshot;"
    code += "sys.stdout.buffer.write(pickle.dumps(snapshot(sys.argv[2])))"
    options = "lowerdir=lower:base,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off"
    script = f'cd {tmp_path} && mount -t overlay none -o {options} seen && (cd seen; {SCRIPT}rm gone) >&2 && exec "$@"'
    root = str(Path(__file__).parents[2])
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, root, str(tmp_path / "seen")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return lower, tmp_path / "upper", pickle.loads(done.stdout)  # noqa: S301


@pytest.mark.not_in_chroot
def test_a_layer_of_what_a_container_changed(changed: tuple[Path, Path, dict[str, tuple]], tmp_path: Path) -> None:
    lower, upper, seen = changed
    lowers = [str(lower), str(tmp_path / "base")]
    again = made(tmp_path / "again", b"".join(layer(str(upper), lowers)))
    found = merged([tmp_path / "base", lower, again])
    assert found == seen
    # without the layers below there are more whiteouts and opaque marks, but the tree is the same
    more = made(tmp_path / "more", b"".join(layer(str(upper))))
    assert merged([tmp_path / "base", lower, more]) == seen


@pytest.mark.not_in_chroot
def test_changes(changed: tuple[Path, Path, dict[str, tuple]], tmp_path: Path) -> None:
    lower, upper, _seen = changed
    found = [f"{kind} {path}" for kind, path in changes(str(upper), [str(lower), str(tmp_path / "base")])]
    assert found == CHANGES.split("\n")[1:-1]


def test_names_that_only_a_pax_header_holds(tmp_path: Path) -> None:
    """Our layers work for other tools: no name is truncated, whatever its bytes."""
    odd = bytes(range(1, 47)) + bytes(range(48, 256))
    first = made(tmp_path / "1", pax((b"path", b"d/" + odd)) + header())
    assert os.listdir(os.fsencode(first / "d")) == [odd]
    second = made(tmp_path / "2", b"".join(tree(str(first))))
    assert snapshot(second) == snapshot(first)
