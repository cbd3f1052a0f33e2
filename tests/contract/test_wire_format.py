"""The two sides of the wire say the same: pause/common/{ops,report}.h, and runtime/ops.py and runtime/launcher.py."""

from __future__ import annotations

import re
from pathlib import Path

from pypod.runtime.launcher import REPORT_BYTES, parse_report
from pypod.runtime.ops import OPERATIONS, Op, Plan

ROOT = Path(__file__).parents[2]


def test_the_tables_of_operations_agree() -> None:
    rows = re.findall(r"^\s*X\((\d+), (\w+)\)", (ROOT / "pause" / "common" / "ops.h").read_text(), re.MULTILINE)
    assert {name: int(number) for number, name in rows} == {name: row[0] for name, row in OPERATIONS.items()}


def test_every_operation_is_documented() -> None:
    text = (ROOT / "docs" / "wire-format.md").read_text()
    assert {name for name in OPERATIONS if f"| {OPERATIONS[name][0]} | `{name}` |" not in text} == set()


def test_a_record_byte_for_byte() -> None:
    op = Op("mount", "proc", "", 14)
    head = (44).to_bytes(4, "little") + (3).to_bytes(4, "little")
    assert op.encode() == head + b"\x04\0\0\0proc\0" + b"\0\0\0\0\0" + b"\x02\0\0\x0014\0"
    assert Plan([op, op]).encode() == op.encode() * 2


def test_a_report_byte_for_byte() -> None:
    data = (
        bytes.fromhex("02000000 05000000 01000000 ffffffff 0700000000000000 00000000".replace(" ", "")) + b"move_mount"
    )
    report = parse_report(data.ljust(REPORT_BYTES, b"\0"))
    assert (report.kind, report.operation, report.error, report.pid, report.start_time, report.call) == (
        2, 5, 1, -1, 7, "move_mount",
    )  # fmt: skip


def test_every_operation_reads_as_a_sentence() -> None:
    for name in OPERATIONS:
        words = Op(name, *(f"<{i}>" for i in range(8))).describe()
        assert "{" not in words
        assert OPERATIONS[name][2].endswith((")",))
