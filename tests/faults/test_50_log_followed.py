"""Partial lines, binary output, large output, followers: no byte of a log is lost or repeated."""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pypod.engine.containers.logs import Piece
from tests.facts import output

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_binary(engine, busybox) -> None:
    everything = bytes(range(256)) * 3 + b"\n\n\0\r\n"
    Path(busybox, "tmp/binary").write_bytes(everything)
    container = engine.containers.run(["cat", "/tmp/binary"], rootfs=busybox)
    container.wait()
    assert output(container) == everything


def test_ten_megabytes_to_the_byte(engine, busybox) -> None:
    script = "head -c 5000000 /dev/urandom > /tmp/x; sha256sum < /tmp/x >&2; cat /tmp/x; yes 0123456 | head -c 5000000"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    assert container.wait(60) == 0
    data = output(container, "stdout")
    assert len(data) == 10_000_000
    assert hashlib.sha256(data[:5_000_000]).hexdigest().encode() == output(container, "stderr").split()[0]
    assert data[5_000_000:] == b"0123456\n" * 625_000


def test_follow_ends_and_has_everything(engine, busybox) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 0.1; echo last >&2"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    followed = b"".join(piece.data for piece in container.logs(follow=True))
    assert followed == output(container)
    assert followed.endswith(b"line 299\nlast\n")
    assert b"".join(piece.data for piece in container.logs(follow=True, tail=1)) == b"last\n"


def test_follow_over_restarts_loses_and_repeats_nothing(engine, busybox) -> None:
    script = "i=0; while :; do echo $HOSTNAME $i; i=$((i+1)); done"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
    followed: list[bytes] = []

    def follow() -> None:
        while container.state().running or not followed:
            size = len(b"".join(followed))
            seen = 0
            for piece in container.logs(follow=True):
                seen += len(piece.data)
                if seen > size:
                    followed.append(piece.data[max(len(piece.data) - (seen - size), 0) :])

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(3):
        time.sleep(0.03)
        container.restart(timeout=0)
    time.sleep(0.03)
    container.stop(timeout=0)
    thread.join(30)
    assert not thread.is_alive()
    whole = output(container)
    assert b"".join(followed) == whole[: len(b"".join(followed))]
    assert len(whole) > 1000


def test_follow_ends_when_the_container_is_removed(engine, busybox) -> None:
    container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
    pieces = container.logs(follow=True)
    assert next(pieces).data == b"one\n"
    container.remove(force=True, timeout=0)
    assert list(pieces) == []


# numbered lines on both streams; of every ten, one is split over three writes
NUMBERED = """
i=0
while [ $i -lt {count} ]; do
    case $i in
        *3) printf 'par'; printf 'tial '; echo $i ;;
        *7) echo line $i >&2 ;;
        *) echo line $i ;;
    esac
    i=$((i+1))
done
printf 'no newline'
"""


def test_each_follower_gets_each_line_once(engine, busybox, full: bool) -> None:
    """Followers of the library and the command line join at different moments, while it writes at full speed."""
    count = 200_000 if full else 10_000
    container = engine.containers.run(["sh", "-c", NUMBERED.format(count=count)], rootfs=busybox, name="c")
    command = [sys.executable, "-m", "pypod", "--root", engine.layout.root, "logs", "-f", "c"]
    followed: dict[int, list[Piece]] = {}

    def follow(number: int) -> None:
        followed[number] = list(container.logs(follow=True))

    threads = [threading.Thread(target=follow, args=(number,), daemon=True) for number in range(4)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        for thread in threads:
            thread.start()
            time.sleep(0.05)  # each starts when a different part has been written
        out, err = shown.communicate(timeout=60)
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    numbers = {"stdout": [n for n in range(count) if n % 10 != 7], "stderr": [n for n in range(count) if n % 10 == 7]}
    for pieces in [*followed.values(), list(container.logs())]:
        for stream, expected in numbers.items():
            text = b"".join(piece.data for piece in pieces if piece.stream == stream)
            *lines, last = text.split(b"\n")
            assert [int(line.split()[-1]) for line in lines] == expected
            assert last == (b"no newline" if stream == "stdout" else b"")
            assert {line.split()[0] for line in lines} == ({b"line", b"partial"} if stream == "stdout" else {b"line"})
    assert out.startswith(b"line 0\n")
    assert [int(line.split()[-1]) for line in out.splitlines()[:-1]] == numbers["stdout"]
    assert [int(line.split()[-1]) for line in err.splitlines()] == numbers["stderr"]


def test_a_follower_of_binary_output_gets_each_byte_once(engine, busybox) -> None:
    """No newline for a long time, then many; NUL bytes; data that look like a line of the log."""
    evil = b"2024-05-06T07:08:09.123456789+00:00 stderr F not a line of the log\n"
    data = random.Random(50).randbytes(1_500_000) + b"\0" * 300_000 + b"\n" * 5_000 + evil * 1_000  # noqa: S311
    Path(busybox, "tmp/evil").write_bytes(data)
    container = engine.containers.run(["cat", "/tmp/evil"], rootfs=busybox)
    pieces = list(container.logs(follow=True))
    assert b"".join(piece.data for piece in pieces) == data
    assert {piece.stream for piece in pieces} == {"stdout"}


def resident_kb(pid: int | str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


READER = """
import hashlib, sys
from pypod import Engine
digest, size = hashlib.sha256(), 0
for piece in Engine(sys.argv[1]).containers.get("c").logs(follow=True):
    digest.update(piece.data)
    size += len(piece.data)
status = open("/proc/self/status").read().split()
print(size, digest.hexdigest(), status[status.index("VmHWM:") + 1])
"""


def test_a_gigabyte(engine, busybox, full: bool) -> None:
    """Every byte of it, with a few pages of memory."""
    size = 1 << 30 if full else 1 << 25
    line = b"0123456789abcdef" * 64 + b"\n"
    script = f"yes {line.decode().strip()} | head -c {size}"
    container = engine.containers.create(["sh", "-c", script], rootfs=busybox, name="c")
    words = [sys.executable, "-c", READER, engine.layout.root]
    container.start()
    supervisor = container.state().supervisor_pid
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None:
            with contextlib.suppress(OSError, StopIteration):  # it has ended
                assert resident_kb(supervisor) < 4_000
            time.sleep(0.05)
        told, digest, memory_kb = reader.communicate()[0].split()
    whole, rest = divmod(size, len(line))
    expected = hashlib.sha256()
    for _ in range(whole):
        expected.update(line)
    expected.update(line[:rest])
    assert (int(told), digest) == (size, expected.hexdigest())
    assert int(memory_kb) < 60_000
    assert container.wait() == 0
