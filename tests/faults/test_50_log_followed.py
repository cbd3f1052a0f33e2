"""Partial lines, binary output, much output, followers: no byte of a log is lost or repeated."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest

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
