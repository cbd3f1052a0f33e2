"""docs/security.md and docs/reliability.md list exactly the attacks and faults that the tests try."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "docs/security.md").read_text()
RELIABILITY = (ROOT / "docs/reliability.md").read_text()


def listed() -> set[int]:
    """Return the numbers in the first column of the tables: `01 to 06`, `07, 67`."""
    found: set[int] = set()
    for cell in re.findall(r"^\| (\d[\d, to]*) \|", SECURITY, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", cell):
            found.update(range(int(first), int(last or first) + 1))
    return found


def test_each_number_is_a_file_and_the_other_way_round() -> None:
    there = {int(path.name[5:7]) for path in ROOT.glob("tests/attacks/*/test_[0-9][0-9]_*.py")}
    assert listed() == there


def test_attacks_without_a_number_are_in_words() -> None:
    for path in ROOT.glob("tests/attacks/*/test_[a-z]*.py"):
        assert f"| {path.stem.removeprefix('test_').replace('_', ' ')} |" in SECURITY


def test_each_fault_is_named() -> None:
    assert {path.name for path in ROOT.glob("tests/faults/test_*.py") if path.name not in RELIABILITY} == set()


def test_what_is_named_is_there() -> None:
    for path, name in re.findall(r"(tests/[\w/]+/)?(test_\w+\.py)", SECURITY + RELIABILITY):
        assert (ROOT / path / name).exists() if path else [*ROOT.glob(f"tests/**/{name}")], f"{path}{name}"
