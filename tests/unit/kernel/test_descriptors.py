"""Everything is written, however little a descriptor accepts at once."""

from __future__ import annotations

import os
import threading

import pytest

from pypod.kernel.descriptors import read_whole, write_all

MORE_THAN_A_PIPE_HOLDS = bytes(range(256)) * 1024


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("blocking", [True, False])
def test_all_is_written(form, blocking: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, blocking)
    found: list[bytes] = []

    def read() -> None:
        with open(reader, "rb") as file:
            found.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        write_all(writer, form(MORE_THAN_A_PIPE_HOLDS))
    finally:
        os.close(writer)
        thread.join()
    assert found == [MORE_THAN_A_PIPE_HOLDS]


def test_an_error_is_raised() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(BrokenPipeError):
            write_all(writer, b"x")
        write_all(writer, b"")
    finally:
        os.close(writer)


def test_a_file_is_read_up_to_the_limit(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    for limit_bytes, expected in ((3, b"abc"), (6, b"abcdef"), (100, b"abcdef")):
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        try:
            assert read_whole(fd, limit_bytes) == expected
        finally:
            os.close(fd)
