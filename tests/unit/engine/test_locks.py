"""The locks of objects: waiters, leftovers, and the effects of a Ctrl-C or a fork."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pypod.engine.core.locks import EXCLUSIVE, SHARED, Lock
from pypod.store.database import Database, Transaction
from tests.facts import in_threads

WATCHDOG_S = 20


def is_locked(path: Path) -> bool:
    """Return whether the lock of a directory is held."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_of_a_removed_object_is_worth_nothing(tmp_path) -> None:
    """A waiter gets the lock of the new directory, like everyone else."""
    path = tmp_path / "object"
    seen: list[int] = []

    def wait_for_it() -> None:
        with Lock(str(path)):
            seen.append(path.stat().st_ino)

    with Lock(str(path)):
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        time.sleep(0.05)
        path.rename(tmp_path / "trash")
        path.mkdir()
        inode = path.stat().st_ino
    thread.join(WATCHDOG_S)
    assert seen == [inode]


def test_its_directory_s_successor_stays(tmp_path) -> None:
    path = tmp_path / "object"
    with Lock(str(path)):
        path.rename(tmp_path / "trash")
        path.mkdir()  # by the next process
    assert path.is_dir()


def test_a_directory_made_for_it_goes_with_it(tmp_path) -> None:
    path = tmp_path / "object"
    with Lock(str(path)):
        assert path.is_dir()
    assert not path.exists()
    with Lock(str(path)):
        (path / "file").touch()
    assert path.exists()


def test_sharers_keep_it(tmp_path) -> None:
    """Even if the creator of the directory leaves first: the next process must find the sharers' lock."""
    path = tmp_path / "object"
    maker = Lock(str(path), SHARED).__enter__()
    with Lock(str(path), SHARED):
        maker.__exit__(None, None, None)
        assert is_locked(path)
    assert not is_locked(path)


def test_no_room_for_its_directory(tmp_path, monkeypatch) -> None:
    """A removal continues: a process without space for a lock cannot start anything either."""
    path = tmp_path / "object"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "makedirs", full)
        with Lock(str(path), without_space=True):
            assert not path.exists()
        with pytest.raises(OSError, match="No space"):
            Lock(str(path)).__enter__()
    path.mkdir()
    with Lock(str(path), without_space=True):
        assert is_locked(path)


def test_is_exclusive(tmp_path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        for _ in range(20):
            with Lock(str(tmp_path / "object")):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0002)
                inside.remove(number)

    in_threads(enter, 8)
    assert set(most) == {1}
    assert not (tmp_path / "object").exists()


def test_do_not_keep_a_lock(tmp_path) -> None:
    """A worker forked by another thread in the meantime has a copy of the descriptor for as long as it lives."""
    for kind in (EXCLUSIVE, SHARED):
        with Lock(str(tmp_path / "object"), kind):
            (tmp_path / "object" / "file").touch()
            child = os.fork()
            if child == 0:
                time.sleep(WATCHDOG_S)
                os._exit(0)
        try:
            assert not is_locked(tmp_path / "object")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@contextmanager
def control_c_at(function: Callable[..., object]) -> Iterator[None]:
    """Interrupt a function once, at its first instruction: Python checks for signals there."""

    def trace(frame: object, event: str, _: object) -> None:
        if event == "call" and getattr(frame, "f_code") is function.__code__:  # type: ignore[attr-defined]  # noqa: B009
            sys.settrace(before)
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_control_c_at_its_end(tmp_path) -> None:
    """Released although the traceback, kept as in an interactive shell, refers to it."""
    path = tmp_path / "object"
    path.mkdir()
    with pytest.raises(KeyboardInterrupt) as kept, control_c_at(Lock.__exit__), Lock(str(path)) as lock, lock:
        assert is_locked(path)
    assert not is_locked(path), kept


@contextmanager
def control_c_after(function: object) -> Iterator[None]:
    """Interrupt once when a C function returns: Python checks for signals there, too."""

    def profile(_: object, event: str, called: object) -> None:
        if event == "c_return" and called is function:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("kind", [EXCLUSIVE, SHARED])
def test_control_c_after_its_descriptor_was_closed(tmp_path, kind: int) -> None:
    """Another file gets its number at once, and stays open."""
    path = tmp_path / "object"
    path.mkdir()
    lock = Lock(str(path), kind).__enter__()
    with pytest.raises(KeyboardInterrupt), control_c_after(os.close):
        lock.__exit__(None, None, None)
    others = os.open(tmp_path, os.O_RDONLY)
    try:
        lock.__exit__(None, None, None)
        assert os.fstat(others)
        assert not is_locked(path)
    finally:
        os.close(others)


def test_control_c_at_the_end_of_a_transaction(tmp_path) -> None:
    """Other connections are not locked out, and the transaction is committed."""
    path = str(tmp_path / "db")
    database = Database(path)
    with (
        pytest.raises(KeyboardInterrupt) as kept,
        control_c_at(Transaction.__exit__),
        database.transaction() as connection,
        connection,
    ):
        connection.execute("INSERT INTO names VALUES ('a', 'b', 'c')")
    other = Database(path)
    with other.transaction() as another, another:
        assert another.execute("SELECT * FROM names").fetchall() == [("a", "b", "c")], kept
    connection.close()  # it was not returned to the database
