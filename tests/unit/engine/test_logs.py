"""Logs in the k8s-file format: reassembled lines, following, and reading from the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod.engine.containers import logs
from pypod.engine.containers.logs import LogReader, Piece, follow, parse_line

TIME = "2024-05-06T07:08:09.123456789+00:00"


def line(text: bytes, *, full: bool = True, stream: str = "stdout") -> bytes:
    """Return a line as pause/monitor/log.c writes it."""
    return f"{TIME} {stream} {'F' if full else 'P'} ".encode() + text + b"\n"


def data(pieces) -> list[bytes]:
    return [piece.data for piece in pieces]


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "ctr.log"


LINES = [
    (b"T stdout F text", ("stdout", "T", b"text\n")),
    (b"T stderr P text", ("stderr", "T", b"text")),
    (b"T stdout F ", ("stdout", "T", b"\n")),
    (b"T stdout P ", ("stdout", "T", b"")),
    (b"T stdout F  two  spaces ", ("stdout", "T", b" two  spaces \n")),
    (b"T stdout F \x00\xff\r", ("stdout", "T", b"\x00\xff\r\n")),
    (b"\xff stdout F text", ("stdout", "\ufffd", b"text\n")),
    (b"T stdin F text", None),
    (b"T stdout X text", None),
    (b"T stdout F", None),
    (b"T stdout", None),
    (b"", None),
    (b"nonsense", None),
]


@pytest.mark.parametrize(("content", "expected"), LINES)
def test_parse_line(content: bytes, expected: tuple[str, str, bytes] | None) -> None:
    piece = parse_line(content)
    assert (piece and (piece.stream, piece.time, piece.data)) == expected


def test_a_piece_shows_itself() -> None:
    assert repr(Piece("stdout", "T", b"x")) == "Piece('stdout', 'T', b'x')"


class TestReader:
    def test_reads_on(self, log: Path) -> None:
        reader = LogReader(str(log))
        assert data(reader.pieces()) == []
        log.write_bytes(line(b"one"))
        assert data(reader.pieces()) == [b"one\n"]
        assert data(reader.pieces()) == []
        with log.open("ab") as file:
            for part in (line(b"two")[:-4], line(b"two")[-4:] + line(b"three")[:5], line(b"three")[5:]):
                file.write(part)
                file.flush()
                got = data(reader.pieces())
            assert got == [b"three\n"]
        reader.close()
        reader.close()

    def test_every_piece_comes_once_wherever_the_file_is_cut(self, log: Path) -> None:
        content = line(b"one") + line(b"tw", full=False) + line(b"o") + line(b"", stream="stderr")
        for cut in range(len(content) + 1):
            log.write_bytes(content[:cut])
            reader = LogReader(str(log))
            got = data(reader.pieces())
            log.write_bytes(content)
            got += data(reader.pieces())
            assert got == [b"one\n", b"tw", b"o\n", b"\n"], cut
            reader.close()

    def test_from_an_offset(self, log: Path) -> None:
        log.write_bytes(line(b"one") + line(b"two"))
        reader = LogReader(str(log), len(line(b"one")))
        assert data(reader.pieces()) == [b"two\n"]
        reader.close()

    def test_what_is_no_line_is_left_out(self, log: Path) -> None:
        log.write_bytes(b"nonsense\n" + line(b"one") + b"\n\n" + line(b"two") + b"rest without end")
        reader = LogReader(str(log))
        assert data(reader.pieces()) == [b"one\n", b"two\n"]
        reader.close()

    def test_a_link_is_not_followed(self, log: Path, tmp_path) -> None:
        (tmp_path / "elsewhere").write_bytes(line(b"secret"))
        log.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="symbolic"):
            list(LogReader(str(log)).pieces())

    def test_longer_than_one_read(self, log: Path) -> None:
        texts = [b"%d" % number * 2000 for number in range(100)]
        log.write_bytes(b"".join(map(line, texts)))
        reader = LogReader(str(log))
        assert data(reader.pieces()) == [text + b"\n" for text in texts]
        reader.close()


def last_lines(pieces: list[Piece], count: int) -> list[bytes]:
    """Return the last lines of a log, computed in the plain way."""
    ends = [index + 1 for index, piece in enumerate(pieces[:-1]) if piece.data.endswith(b"\n")]
    starts = [0, *ends]
    return data(pieces[starts[-count] if count <= len(starts) else 0 :]) if count > 0 else []


def tail(log: Path, count: int) -> list[bytes]:
    reader = LogReader(str(log))
    try:
        reader.skip_to_last(count)
        return data(reader.pieces())
    finally:
        reader.close()


class TestTail:
    @pytest.mark.parametrize("count", [-1, 0, 1, 2, 3, 4, 100])
    def test_of_a_few_lines(self, log: Path, count: int) -> None:
        log.write_bytes(line(b"one") + line(b"tw", full=False) + line(b"o") + line(b"thr", full=False))
        expected = {1: [b"thr"], 2: [b"tw", b"o\n", b"thr"]}
        whole = [b"one\n", b"tw", b"o\n", b"thr"]
        assert tail(log, count) == ([] if count <= 0 else expected.get(count, whole))

    def test_of_none(self, log: Path) -> None:
        assert tail(log, 5) == []
        log.write_bytes(b"")
        assert tail(log, 5) == []

    def test_what_comes_later_follows_it(self, log: Path) -> None:
        log.write_bytes(line(b"one") + line(b"two") + line(b"three")[:7])
        for count, expected in ((0, []), (1, [b"two\n"])):
            reader = LogReader(str(log))
            reader.skip_to_last(count)
            assert data(reader.pieces()) == expected
            reader.close()
        reader = LogReader(str(log))
        reader.skip_to_last(0)
        with log.open("ab") as file:
            file.write(line(b"three")[7:])
        assert data(reader.pieces()) == [b"three\n"]
        reader.close()

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        lines=st.lists(
            st.builds(line, st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), full=st.booleans())
            | st.sampled_from([b"nonsense\n", b"\n"]),
            max_size=12,
        ),
        count=st.integers(0, 14),
        chunk=st.integers(1, 100),
    )
    def test_is_the_same_as_reading_everything(self, log: Path, monkeypatch, lines, count: int, chunk: int) -> None:
        log.write_bytes(b"".join(lines))
        reader = LogReader(str(log))
        pieces = list(reader.pieces())
        reader.close()
        monkeypatch.setattr(logs, "_CHUNK_BYTES", chunk)
        assert tail(log, count) == last_lines(pieces, count)

    def test_of_a_great_log_reads_its_end_only(self, log: Path) -> None:
        """A 1 GiB hole before the last lines affects neither memory nor time."""
        with log.open("wb") as file:
            file.truncate(1 << 30)
            file.seek(0, os.SEEK_END)
            file.write(b"\n" + line(b"one") + line(b"two") + line(b"three"))
        code = (
            "import resource, sys; from pypod.engine.containers.logs import LogReader\n"
            "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n"
            "reader = LogReader(sys.argv[1]); reader.skip_to_last(2)\n"
            "print([piece.data for piece in reader.pieces()])"
        )
        done = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("[b'two\\n', b'three\\n']\n", "")


class TestFollow:
    def test_reads_what_came_before_the_end_was_seen(self, log: Path) -> None:
        log.write_bytes(line(b"one"))
        steps = iter([(line(b"two"), True), (b"", True), (line(b"three") + line(b"four"), False)])

        def wait() -> bool:
            more, go_on = next(steps)
            with log.open("ab") as file:
                file.write(more)
            return go_on

        reader = LogReader(str(log))
        assert data(follow(reader, wait)) == [b"one\n", b"two\n", b"three\n", b"four\n"]
        assert reader._fd == -1

    def test_left_early_it_closes_the_file(self, log: Path) -> None:
        log.write_bytes(line(b"one"))
        reader = LogReader(str(log))
        pieces = follow(reader, lambda: True)
        assert next(pieces).data == b"one\n"
        pieces.close()
        assert reader._fd == -1
