"""What a container writes, to the byte, and how it is read while it runs and afterwards."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from pypod import (
    NoSuchContainer,
)
from tests.facts import output

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# pid 1 of a namespace that hears TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


class TestLogs:
    def test_streams_and_order(self, engine, busybox) -> None:
        script = "echo out; echo err >&2; printf partial; sleep 0.05; printf ' end'"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        container.wait()
        assert output(container, "stdout") == b"out\npartial end"
        assert output(container, "stderr") == b"err\n"
        assert [piece.time for piece in container.logs()] == sorted(piece.time for piece in container.logs())

    def test_binary(self, engine, busybox) -> None:
        everything = bytes(range(256)) * 3 + b"\n\n\0\r\n"
        Path(busybox, "tmp/binary").write_bytes(everything)
        container = engine.containers.run(["cat", "/tmp/binary"], rootfs=busybox)
        container.wait()
        assert output(container) == everything

    def test_ten_megabytes_to_the_byte(self, engine, busybox) -> None:
        script = (
            "head -c 5000000 /dev/urandom > /tmp/x; sha256sum < /tmp/x >&2; cat /tmp/x; yes 0123456 | head -c 5000000"
        )
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        assert container.wait(60) == 0
        data = output(container, "stdout")
        assert len(data) == 10_000_000
        assert hashlib.sha256(data[:5_000_000]).hexdigest().encode() == output(container, "stderr").split()[0]
        assert data[5_000_000:] == b"0123456\n" * 625_000

    def test_tail(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "seq 30000; printf end"], rootfs=busybox)
        container.wait()
        tails = {count: b"".join(piece.data for piece in container.logs(tail=count)) for count in (0, 1, 2, 3)}
        assert tails == {0: b"", 1: b"end", 2: b"30000\nend", 3: b"29999\n30000\nend"}
        assert b"".join(piece.data for piece in container.logs(tail=10**6)) == output(container)
        assert b"".join(piece.data for piece in container.logs(tail=20_001)).startswith(b"10001\n")

    def test_follow_ends_and_has_everything(self, engine, busybox) -> None:
        script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; sleep 0.1; echo last >&2"
        container = engine.containers.run(["sh", "-c", script], rootfs=busybox)
        followed = b"".join(piece.data for piece in container.logs(follow=True))
        assert followed == output(container)
        assert followed.endswith(b"line 299\nlast\n")
        assert b"".join(piece.data for piece in container.logs(follow=True, tail=1)) == b"last\n"

    def test_follow_comes_as_it_is_written(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
        pieces = container.logs(follow=True)
        assert next(pieces).data == b"one\n"
        container.stop(timeout=0)
        assert list(pieces) == []

    def test_follow_over_restarts_loses_and_repeats_nothing(self, engine, busybox) -> None:
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

    def test_follow_ends_when_the_container_is_removed(self, engine, busybox) -> None:
        container = engine.containers.run(["sh", "-c", "echo one; sleep 1000"], rootfs=busybox)
        pieces = container.logs(follow=True)
        assert next(pieces).data == b"one\n"
        container.remove(force=True, timeout=0)
        assert list(pieces) == []

    def test_of_one_that_never_ran_and_one_that_is_gone(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox)
        assert list(container.logs()) == list(container.logs(follow=True)) == list(container.logs(tail=5)) == []
        container.remove()
        with pytest.raises(NoSuchContainer):
            list(container.logs())

    def test_an_iterator_that_is_dropped_keeps_no_descriptor(self, engine, busybox) -> None:
        container = engine.containers.run(["seq", "1000"], rootfs=busybox)
        container.wait()
        before = len(os.listdir("/proc/self/fd"))
        for options in ({}, {"tail": 5}, {"follow": True}):
            next(container.logs(**options))
        assert len(os.listdir("/proc/self/fd")) == before
