"""Removal of a container's files: planted names, immutable files, deep trees, open files."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pypod.engine.storage import trash
from tests.facts import wait_until

pytestmark = pytest.mark.root

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10  # linux/fs.h


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Set the flag by descriptor: inside the block the file may be moved."""
    fd = os.open(path, os.O_RDONLY)

    def set_flag(value: int) -> None:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, b"\0" * 8))
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags & ~IMMUTABLE | value))

    try:
        set_flag(IMMUTABLE)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
            raise
        pytest.skip("this file system has no immutable files")
    try:
        yield
    finally:
        set_flag(0)
        os.close(fd)


@pytest.fixture
def container(engine, busybox):
    """Return a container that has run, so that it has a directory."""
    made = engine.containers.run(["true"], rootfs=busybox, name="c")
    made.wait(10)
    return made


def directory(engine, container) -> Path:
    return Path(engine.layout.container(container.id))


def is_empty(engine) -> bool:
    return trash.contents(engine) == []


def make_deep(path: Path, depth: int, name: str = "d") -> None:
    fd = os.open(path, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_DIRECTORY, dir_fd=fd)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o400, dir_fd=below))
        os.close(fd)
        fd = below
    os.close(fd)


@pytest.mark.parametrize(("depth", "name"), [(230, "d"), (230, ".pypod.0"), (2000, "d" * 100)])
def test_deep_trees(engine, container, depth: int, name: str) -> None:
    """Deeper than the deleting program's descriptors and than PATH_MAX, with the names that it uses for moving."""
    make_deep(directory(engine, container), depth, name)
    container.remove()
    wait_until(lambda: is_empty(engine), 20)


def test_a_deep_tree_beside_the_names_that_it_is_moved_by(engine, container) -> None:
    here = directory(engine, container)
    for number in range(50):
        (here / f".pypod.{number}").mkdir()
        (here / f".pypod.{number}" / "occupied").touch()
    for number in range(3):
        make_deep(here, 450, f"deep{number}")
    container.remove()
    wait_until(lambda: is_empty(engine), 20)


def test_links_in_it_lead_nowhere(engine, container, canary: Path) -> None:
    here = directory(engine, container)
    (here / "link").symlink_to(canary)
    (here / "above").symlink_to("../../..")
    (here / "file").hardlink_to(canary / "file")
    os.mkfifo(here / "pipe")
    container.remove()
    wait_until(lambda: is_empty(engine), 20)


def test_open_files(engine, container) -> None:
    here = directory(engine, container)
    with (here / "file").open("w") as file:
        fd = os.open(here, os.O_DIRECTORY)
        try:
            container.remove()
            wait_until(lambda: is_empty(engine), 20)
            file.write("still mine")
        finally:
            os.close(fd)


def test_immutable_files_do_not_keep_a_removal_and_are_told(engine, container) -> None:
    here = directory(engine, container)
    (here / "kept").mkdir()
    (here / "kept" / "file").touch()
    (here / "other").touch()
    before = os.open(here, os.O_DIRECTORY)
    try:
        with immutable(here / "kept" / "file"):
            container.remove()
            assert engine.containers.list(all=True) == []
            wait_until(lambda: "other" not in os.listdir(before), 20)
            wait_until(lambda: trash.left_behind(engine) != [], 20)
            (left,) = trash.left_behind(engine)
            assert Path(left, "kept/file").exists()
            from tests.cli.program import Program

            checked = Program(engine.layout.root)("system", "check")
            assert left in checked.stdout
    finally:
        path = Path(os.readlink(f"/proc/self/fd/{before}"))
        os.close(before)
    trash.empty_trash(engine, [str(path)], wait=True)
    wait_until(lambda: is_empty(engine), 20)


def test_somebody_writes_into_it_while_it_is_deleted(engine, container) -> None:
    """The removal ends. Files written too late are left for the next removal or repair."""
    here = directory(engine, container)
    fd = os.open(here, os.O_DIRECTORY)
    stop = threading.Event()

    def plant() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with suppress(OSError):
                os.mkdir(f"planted{number}", dir_fd=fd)

    thread = threading.Thread(target=plant)
    thread.start()
    try:
        began = time.monotonic()
        container.remove()
        assert time.monotonic() - began < 5
        assert engine.containers.list(all=True) == []
    finally:
        stop.set()
        thread.join()
        os.close(fd)
    with suppress(FileNotFoundError):
        trash.empty_trash(engine, trash.contents(engine), wait=True)
    wait_until(lambda: is_empty(engine), 20)
