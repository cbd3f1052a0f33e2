"""Both sides of the wire agree: pause/common/{ops,report}.h, and runtime/operations.py and runtime/launcher.py."""

from __future__ import annotations

import re
from pathlib import Path

from pypod.runtime.launcher import REPORT_BYTES, parse_report
from pypod.runtime.operations import OPERATIONS, names_of
from pypod.runtime.ops import Op, Plan

ROOT = Path(__file__).parents[2]


# number, name, kinds, and the beginning of the comment: the arguments' names
ROW = re.compile(r'^\s*X\((\d+), (\w+), "([a-z]*[*+]?)"\)(?:\s*/\* (.*?)\s*(?::.*)?\*/)? ?\\?$', re.MULTILINE)


def test_the_tables_of_operations_agree() -> None:
    rows = ROW.findall((ROOT / "pause" / "common" / "ops.h").read_text())
    theirs = {name: (int(number), kinds, signature) for number, name, kinds, signature in rows}
    assert theirs == {name: row[:3] for name, row in OPERATIONS.items()}


def test_every_argument_has_a_kind() -> None:
    for name, (_, kinds, signature, _, _) in OPERATIONS.items():
        repeated = "+" if signature.endswith("...") else "*" if signature.endswith("...]") else ""
        assert kinds == kinds[: len(names_of(name))] + repeated, name
        assert set(kinds) <= set("sbniox+*"), name


def test_every_operation_is_documented() -> None:
    text = (ROOT / "docs" / "wire-format.md").read_text()
    rows = {f"| {number} | `{name}` | {signature} |" for name, (number, _, signature, _, _) in OPERATIONS.items()}
    assert {row for row in rows if row not in text} == set()


def test_a_record_byte_for_byte() -> None:
    op = Op("mount", "proc", "", "/p", 14)
    head = (44).to_bytes(4, "little") + (4).to_bytes(4, "little")
    arguments = b"\x04\0\0\0proc\0" b"\0\0\0\0\0" b"\x02\0\0\0/p\0" b"\x02\0\0\x0014\0"  # fmt: skip
    assert op.encode() == head + arguments
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
        words = Op(name, *(f"<{argument}>" for argument in names_of(name))).describe()
        assert "{" not in words
        assert OPERATIONS[name][4].endswith((")",))
