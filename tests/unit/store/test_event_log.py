"""The event log: events are read as they were written, whatever else happens to the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pypod import Event, InvalidSpec
from pypod.engine.inspect.events import compile_filters
from pypod.store import event_log
from pypod.store.event_reader import Reader, follow, parse_line, read

ROOT = str(Path(__file__).parents[3])
ABOUT = event_log.rest("container", "a" * 64, "web", pod_id="b" * 64, labels='[["k","v"]]')


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "events.log")


def names(found) -> list[str]:
    return [event.name for event in found]


def put(path: str, name: str, **options) -> None:
    event_log.append(path, event_log.line("start", event_log.rest("container", "a" * 64, name)), **options)


def test_what_is_written_is_read(path) -> None:
    event_log.append(path, event_log.line("died", ABOUT, exit_code=3))
    (event,) = read(path)
    assert event == Event(
        time_ns=event.time_ns,
        type="container",
        action="died",
        id="a" * 64,
        name="web",
        pod_id="b" * 64,
        exit_code=3,
        attributes=(("k", "v"),),
    )
    assert abs(event.time_ns - os.stat(path).st_mtime_ns) < 1_000_000_000
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_there_may_be_no_file(path) -> None:
    assert list(read(path)) == []


@pytest.mark.parametrize("value", ['"\\', "\n\r\0\x1b[31m", "ü✓\U0001f600", "\udc80\udcff", "]]", '"labels":[]'])
def test_labels_are_kept_as_they_are(path, value) -> None:
    labels = json.dumps([["k", value], [value, ""]], separators=(",", ":"))
    event_log.append(path, event_log.line("start", event_log.rest("container", "a", "n", labels=labels)))
    (event,) = read(path)
    assert dict(event.attributes) == {"k": value, value: ""}


@pytest.mark.parametrize("labels", ["", "{}", "[]", "[", "7", '[["k"]]', '[["k",1]]', "[7]"])
def test_damaged_labels_are_none(path, labels) -> None:
    event_log.append(path, event_log.line("remove", event_log.rest("container", "a", "n", labels=labels)))
    assert [event.attributes for event in read(path)] == [()]


def test_a_line_is_bounded(path) -> None:
    labels = json.dumps([["k", "v" * 5000]], separators=(",", ":"))
    event_log.append(path, event_log.line("start", event_log.rest("pod", "a", "n" * 9000, labels=labels)))
    assert os.stat(path).st_size <= event_log.LINE_LIMIT
    (event,) = read(path)
    assert (event.name, event.attributes) == ("n" * 1024, ())


GOOD = event_log.line("start", ABOUT).strip().encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        GOOD[:-1],
        b"x" + GOOD,
        GOOD + b"x",
        b"{}",
        b"[1]",
        b"7",
        b"{" * 3000,
        b'{"a":' + b"[" * 3900,
        b"\xff\xfe",
        GOOD.replace(b'"type":"container"', b'"type":"thing"'),
        GOOD.replace(b'"type":"container"', b'"type":[]'),
        GOOD.replace(b'"time":', b'"time":-'),
        GOOD.replace(b'"time":', b'"time":9999999999'),
        GOOD.replace(b'"time":', b'"time":1e'),
        GOOD.replace(b'"name":"web"', b'"name":7'),
        GOOD.replace(b'"name":"web",', b""),
        GOOD.replace(b'{"k":"v"}', b'{"k":7}'),
        GOOD.replace(b'{"k":"v"}', b'[["k","v"]]'),
        GOOD.replace(b'"action"', b'"exit_code":"7","action"'),
        GOOD.replace(b'"action"', b'"exit_code":true,"action"'),
        GOOD[:-1] + b" " * 5000 + b"}",
    ],
)
def test_what_is_no_event_is_skipped(path, line) -> None:
    assert parse_line(GOOD) is not None
    assert parse_line(line) is None
    put(path, "before")
    with open(path, "ab") as file:
        file.write(b"\n" + line)  # truncated: without a newline at the end
    put(path, "after")
    assert names(read(path)) == ["before", "after"]


def test_a_line_without_end_takes_no_memory(path) -> None:
    with open(path, "wb") as file:
        file.write(b"{" * 3_000_000)
    with Reader(path) as reader:
        assert list(reader.events()) == []
        assert [len(one.rest) <= event_log.LINE_LIMIT for one in reader._files] == [True]
        put(path, "after")
        assert names(reader.events()) == ["after"]


def test_half_a_line_waits_for_its_end(path) -> None:
    with Reader(path) as reader:
        Path(path).write_bytes(GOOD[:20])
        assert list(reader.events()) == []
        with open(path, "ab") as file:
            file.write(GOOD[20:] + b"\n")
        assert names(reader.events()) == ["web"]


def test_one_old_generation_is_kept(path) -> None:
    for number in range(100):
        put(path, f"n{number}", size_limit=2000)
    assert sorted(os.listdir(os.path.dirname(path))) == ["events.log", "events.log.1"]
    assert os.stat(path).st_size <= 2000
    assert os.stat(event_log.old(path)).st_size <= 2000 + event_log.LINE_LIMIT
    kept = names(read(path))
    assert kept == [f"n{number}" for number in range(100 - len(kept), 100)]
    assert len(kept) >= 9


def test_a_reader_stays_with_the_file_across_rotations(path) -> None:
    put(path, "before")
    with Reader(path, at_end=True) as reader:
        seen = []
        for number in range(50):
            put(path, f"n{number}", size_limit=500)
            seen += names(reader.events())
        assert seen == [f"n{number}" for number in range(50)]
        assert len(reader._files) <= 2


def test_a_late_writer_of_the_old_generation_is_heard(path) -> None:
    put(path, "one")
    late = os.open(path, os.O_WRONLY | os.O_APPEND)
    with Reader(path) as reader:
        put(path, "two", size_limit=0)
        put(path, "three")
        assert names(reader.events()) == ["one", "two", "three"]
        os.write(late, event_log.line("start", event_log.rest("pod", "a", "late")).encode())
        os.close(late)
        assert names(reader.events()) == ["late"]


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pypod.store import event_log
path, number, count, limit = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
sys.stdin.read(1)
for i in range(count):
    labels = '[["k","%s"]]' % ("v" * i)
    about = event_log.rest("container", "a" * 64, f"w{number}-{i}", labels=labels)
    event_log.append(path, event_log.line("start", about), size_limit=limit)
"""


def write_side_by_side(path: str, writers: int, count: int, limit: int) -> None:
    """Make processes append at the same time: they wait for the end of a shared pipe."""
    gate, ours = os.pipe()
    words = [sys.executable, "-S", "-c", WRITER, ROOT, path]
    running = [subprocess.Popen([*words, str(number), str(count), str(limit)], stdin=gate) for number in range(writers)]
    os.close(gate)
    os.close(ours)
    for one in running:
        assert one.wait(60) == 0


def lines(path: str) -> list[bytes]:
    text = b"".join(Path(name).read_bytes() for name in (event_log.old(path), path) if os.path.exists(name))
    return [line for line in text.split(b"\n") if line]


def test_sixteen_writers_across_a_rotation_lose_nothing(path) -> None:
    writers, count = 16, 40
    write_side_by_side(path, writers, count, 100_000)  # about 150 kB in total: one rotation
    assert os.path.exists(event_log.old(path))
    found = [parse_line(line) for line in lines(path)]
    assert None not in found
    assert {event.name for event in found if event} == {f"w{w}-{i}" for w in range(writers) for i in range(count)}
    assert len(found) == writers * count


def test_sixteen_writers_across_many_rotations_tear_nothing(path) -> None:
    write_side_by_side(path, 16, 40, 10_000)
    found = [parse_line(line) for line in lines(path)]
    assert None not in found
    assert len(found) > 9
    assert os.stat(path).st_size <= 10_000 + 16 * event_log.LINE_LIMIT


def test_a_file_is_not_rotated_by_who_has_the_one_before_it(path) -> None:
    put(path, "one")
    fd = os.open(path, os.O_WRONLY)
    put(path, "two", size_limit=0)
    put(path, "three")
    event_log._rotate(fd, path)
    os.close(fd)
    assert names(read(path)) == ["one", "two", "three"]


def test_nobody_waits_for_who_holds_the_lock(path) -> None:
    import fcntl

    put(path, "one")
    with open(path) as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        put(path, "two", size_limit=0)
        assert not os.path.exists(event_log.old(path))
    put(path, "three", size_limit=0)
    assert names(read(path)) == ["one", "two", "three"]
    assert os.path.exists(event_log.old(path))


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path) -> None:
    before = os.listdir("/proc/self/fd")
    put(str(tmp_path / "nothing" / "events.log"), "n")
    put(str(tmp_path), "n")
    os.mkfifo(tmp_path / "fifo")
    put(str(tmp_path / "fifo"), "n")
    (tmp_path / "link").symlink_to("target")
    put(str(tmp_path / "link"), "n")
    assert not (tmp_path / "target").exists()
    put("/dev/full", "n")
    assert os.listdir("/proc/self/fd") == before


def put_event(path: str, action: str, name: str, identifier: str = "a") -> None:
    event_log.append(path, event_log.line(action, event_log.rest("container", identifier, name)))


class TestRenamed:
    """The process that records a container's end was given the container's name at its start."""

    def test_what_ends_has_the_name_of_that_moment(self, path) -> None:
        for action, name in (
            ("start", "old"),
            ("died", "old"),
            ("rename", "new"),
            ("exec_died", "old"),
            ("died", "old"),
        ):
            put_event(path, action, name)
        put_event(path, "died", "old", "b")
        assert names(read(path)) == ["old", "old", "new", "new", "new", "old"]

    def test_the_last_name_counts(self, path) -> None:
        for action, name in (("rename", "new"), ("rename", "newer"), ("died", "old")):
            put_event(path, action, name)
        assert names(read(path))[-1] == "newer"

    def test_by_who_begins_to_read_later(self, path) -> None:
        put_event(path, "rename", "new")
        put_event(path, "exec", "rename")  # a name that looks like the action
        with Reader(path, at_end=True) as reader:
            put_event(path, "died", "old")
            assert names(reader.events()) == ["new"]

    def test_across_generations(self, path) -> None:
        put_event(path, "rename", "new")
        os.rename(path, event_log.old(path))
        put_event(path, "died", "old")
        with Reader(path, at_end=True) as reader:
            put_event(path, "died", "old")
            assert names(reader.events()) == ["new"]
        assert names(read(path)) == ["new", "new", "new"]


def test_following_tells_of_what_comes_and_ends_at_a_moment(path) -> None:
    import time

    before = os.listdir("/proc/self/fd")
    put(path, "old")
    found = follow(path, at_end=True, until_ns=time.time_ns() + 150_000_000)
    put(path, "new")
    assert next(found).name == "new"
    put(path, "rotated", size_limit=0)
    assert next(found).name == "rotated"
    put(path, "newer")
    assert names(found) == ["newer"]
    assert time.time_ns() > 0
    assert os.listdir("/proc/self/fd") == before


def test_following_that_nobody_goes_on_with_is_given_up(path) -> None:
    before = os.listdir("/proc/self/fd")
    put(path, "one")
    found = follow(path, at_end=False, until_ns=None)
    assert len(os.listdir("/proc/self/fd")) > len(before)
    del found
    assert os.listdir("/proc/self/fd") == before


WEB = Event(time_ns=1, type="container", action="start", id="abc", name="web", attributes=(("app", "a=b"), ("z", "")))
POD = Event(time_ns=2, type="pod", action="start", id="abd", name="mipod")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "web mipod"),
        ({"container": "web"}, "web"),
        ({"container": "we"}, ""),
        ({"container": "ab"}, "web"),
        ({"container": ["nosuch", "abc"]}, "web"),
        ({"pod": "mipod"}, "mipod"),
        ({"pod": "ab"}, "mipod"),
        ({"event": "start"}, "web mipod"),
        ({"EVENT": "start"}, "web mipod"),
        ({"event": "sta"}, ""),
        ({"event": ["died", "start"], "type": "pod"}, "mipod"),
        ({"type": "container"}, "web"),
        ({"label": "app=a=b"}, "web"),
        ({"label": "z="}, "web"),
        ({"label": "app"}, ""),
        ({"label": "z"}, ""),
        ({"label": "app=a"}, ""),
        ({"label": ["app=x", "z="]}, "web"),
        ({"image": "web"}, ""),
        ({"volume": "web"}, ""),
        ({"type": "nosuch"}, ""),
    ],
)
def test_filters_are_podmans(filters, expected) -> None:
    test = compile_filters(filters)
    assert " ".join(event.name for event in (WEB, POD) if test(event)) == expected


def test_a_filter_that_is_none_is_an_error() -> None:
    with pytest.raises(InvalidSpec, match="nosuch is an invalid filter"):
        compile_filters({"nosuch": "x"})
