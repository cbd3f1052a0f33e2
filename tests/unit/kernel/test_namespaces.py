"""Namespaces as read from /proc, with a directory that imitates it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.kernel.namespaces import Survey, nsfs_mounts, parse_link
from pypod.kernel.proc import Proc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net:[4026531840]", ("net", 4026531840)),
        ("mnt:[4026531841]", ("mnt", 4026531841)),
        ("pipe:[4711]", ("", 0)),
        ("socket:[4711]", ("", 0)),
        ("anon_inode:[pidfd]", ("", 0)),
        ("net:[]", ("", 0)),
        ("net:[12", ("", 0)),
        ("/tmp/net:[12]", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_links(text: str, expected: tuple[str, int]) -> None:
    assert parse_link(text) == expected


@given(st.text())
def test_any_link_is_read(text: str) -> None:
    kind, inode = parse_link(text)
    assert (kind == "") == (inode == 0) or text == f"{kind}:[0]"


def test_mounts_of_namespaces() -> None:
    mountinfo = (
        b"22 27 0:20 / /proc rw,nosuid - proc proc rw\n"
        b"99 27 0:4 net:[4026532281] /run/netns/a\\040b\\134 rw shared:5 - nsfs nsfs rw\n"
        b"98 27 0:4 mnt:[1] /x\\011y rw - nsfs nsfs rw\n"
        b"97 27 8:1 /net:[7] /z rw - ext4 /dev/sda1 rw\n"
    )
    assert list(nsfs_mounts(mountinfo)) == [("net", 4026532281, "/run/netns/a b\\"), ("mnt", 1, "/x\ty")]
    assert list(nsfs_mounts(b"")) == []


def fake(root: Path, pid: int, ppid: int, **inodes: int) -> None:
    directory = root / str(pid)
    (directory / "ns").mkdir(parents=True)
    (directory / "fd").mkdir()
    (directory / "stat").write_text(f"{pid} (a) b) S {ppid} " + "0 " * 15 + "1 0 100 " + "0 " * 30)
    for kind, inode in inodes.items():
        (directory / "ns" / kind).symlink_to(f"{kind}:[{inode}]")


def test_processes_and_descriptors(tmp_path: Path) -> None:
    fake(tmp_path, 7, 1, net=10, uts=20)
    fake(tmp_path, 3, 1, net=10, uts=21)
    fake(tmp_path, 5, 3)  # not readable by us, or gone
    (tmp_path / "7" / "fd" / "4").symlink_to("ipc:[30]")
    (tmp_path / "7" / "fd" / "5").symlink_to("pipe:[30]")
    (tmp_path / "7" / "fd" / "6").symlink_to("net:[10]")
    (tmp_path / "stranger").mkdir()
    survey = Survey(("net", "uts", "ipc"), Proc(str(tmp_path)))
    survey.find_holders()
    found = {one.inode: one for one in survey.namespaces}
    assert list(found) == [10, 20, 21, 30]
    assert [process.pid for process in found[10].processes] == [3, 7]
    assert (found[10].path, found[10].why) == ("/proc/3/ns/net", ["process", "fd"])
    assert (found[30].why, found[30].path) == (["fd"], f"{tmp_path}/7/fd/4")
    assert [one.kind for one in Survey(("uts",), Proc(str(tmp_path))).namespaces] == ["uts", "uts"]
