"""Comparison of trees made of layers, checked against what an overlay of them shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.images.layers.compare import compare

pytestmark = pytest.mark.root


def layer(path: Path, **files: str | None) -> str:
    """Create a directory; None is a whiteout, a double underscore a slash."""
    path.mkdir()
    for name, content in files.items():
        at = path / name.replace("__", "/")
        at.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            os.mknod(at, 0o020000, os.makedev(0, 0))
        else:
            at.write_text(content)
            os.utime(at, (len(content), len(content)))
    for directory in (path, *path.rglob("*")):
        if directory.is_dir():
            os.utime(directory, (7, 7))
    return str(path)


def test_what_is_the_same_in_both_is_not_told(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", a="1", d__b="2")
    assert list(compare([base], [base])) == []
    copy = layer(tmp_path / "copy", a="1", d__b="2")
    assert list(compare([copy], [base])) == []
    assert list(compare([], [])) == []


def test_added_changed_deleted(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", a="1", gone="1", d__keep="1", d__gone="1", e__f__g="1", x="1")
    top = layer(tmp_path / "top", a="22", gone=None, d__gone=None, e__f__new="1", x__y="1")
    expected = [
        ("C", "/a"),
        ("C", "/d"),
        ("D", "/d/gone"),
        ("C", "/e"),
        ("C", "/e/f"),
        ("A", "/e/f/new"),
        ("D", "/gone"),
        ("C", "/x"),
        ("A", "/x/y"),
    ]
    assert list(compare([top, base], [base])) == expected
    back = {"A": "D", "D": "A", "C": "C"}
    assert list(compare([base], [top, base])) == [(back[kind], path) for kind, path in expected]


def test_a_directory_that_only_leads_to_a_change_is_not_told(tmp_path: Path) -> None:
    base, top = layer(tmp_path / "base", d__a="1"), layer(tmp_path / "top", d__a="22")
    assert list(compare([top, base], [base])) == [("C", "/d/a")]


def test_whiteouts_and_opaque_directories_hide(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", d__a="1", d__b="1", e="1")
    middle = layer(tmp_path / "middle", d__c="1", e=None, nothing=None)
    os.setxattr(f"{middle}/d", "trusted.overlay.opaque", b"y")
    top = layer(tmp_path / "top", e="1")
    assert list(compare([middle, base], [base])) == [
        ("C", "/d"),
        ("D", "/d/a"),
        ("D", "/d/b"),
        ("A", "/d/c"),
        ("D", "/e"),
    ]
    assert [path for _, path in compare([top, middle, base], [base])] == ["/d", "/d/a", "/d/b", "/d/c"]


def test_links_are_not_followed_and_deep_trees_end(tmp_path: Path) -> None:
    base = layer(tmp_path / "base", a="1")
    os.symlink("/etc", f"{base}/link")
    assert list(compare([base], [])) == [("A", "/a"), ("A", "/link")]
    deep = tmp_path / "deep"
    deep.mkdir()
    fd = os.open(deep, os.O_DIRECTORY)
    for _ in range(300):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Exception, match="a path is too long"):
        list(compare([str(deep)], []))
    assert len(os.listdir("/proc/self/fd")) == before
