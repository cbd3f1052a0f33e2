"""The C sources depend on each other in one direction: by includes, and by calls.

A source and its header are one unit. A unit uses the units that it includes, and those that define a name it uses: the
two differ if a header declares a name that another source defines.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

PAUSE = Path(__file__).parents[2] / "pause"
# room: the rooms it may use besides itself; a program (a source in no room) uses any
BELOW = {
    "common": set(),
    "root": {"common"},
    "process": {"common", "root"},
    "supervise": {"common", "root", "process"},
    "monitor": {"common"},
    "unpack": {"common"},
}
LINES = 300

Graph = dict[str, dict[str, str]]  # unit: the units it uses, and the word that shows it

_NO_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_FUNCTION = re.compile(r"(\w+)\s*\([^;{}]*\)\s*$")
_VARIABLE = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$")


def _code(text: str) -> str:
    return _DIRECTIVE.sub("", _NO_CODE.sub(" ", text))


def _statements(code: str) -> list[tuple[str, bool]]:
    """Return the pieces of code outside of all braces, and whether a body in braces follows."""
    found, depth, begin = [], 0, 0
    for at, letter in enumerate(code):
        if letter == "{":
            if depth == 0:
                found.append((code[begin:at].strip(), True))
            depth += 1
        elif letter == "}":
            depth -= 1
            begin = at + 1
        elif letter == ";" and depth == 0:
            found.append((code[begin:at].strip(), False))
            begin = at + 1
    return found


def definitions(code: str) -> set[str]:
    """Return the functions and variables that other sources can use."""
    names = set()
    for head, has_body in _statements(code):
        words = _WORD.findall(head)
        if not words or words[0] in ("static", "typedef", "extern", "_Static_assert"):
            continue
        before, is_set, _ = head.partition("=")
        if has_body and not is_set:
            names |= {match[1] for match in _FUNCTION.finditer(head)}
        elif "(" not in before and _WORD.findall(before)[:-1] not in ([], ["struct"], ["enum"], ["union"]):
            names |= {match[1] for match in _VARIABLE.finditer(before.strip())}
    return names


def declarations(code: str) -> set[str]:
    """Return the declared functions and variables, wherever they are defined."""
    names = set()
    for head, has_body in _statements(code):
        form = _VARIABLE if head.startswith("extern") and "(" not in head else _FUNCTION
        names |= {match[1] for match in form.finditer(head) if not has_body}
    return names


def graph_of(directory: Path) -> Graph:
    texts = {str(path.relative_to(directory)): path.read_text() for path in sorted(directory.rglob("*.[ch]"))}
    codes = {file: _code(text) for file, text in texts.items()}
    included = {file: _INCLUDE.findall(text) for file, text in texts.items()}
    missing = {(file, name) for file, names in included.items() for name in names if name not in texts}
    assert missing == set(), "includes are relative to pause/"
    defined: dict[str, set[str]] = {}
    for file, code in codes.items():
        if file.endswith(".c"):
            for name in definitions(code):
                defined.setdefault(name, set()).add(file.removesuffix(".c"))
    graph: Graph = {file[:-2]: {} for file in texts}
    for file, code in codes.items():
        unit = file[:-2]
        for name in included[file]:
            graph[unit].setdefault(name[:-2], f'#include "{name}"')
        in_sight = set().union(*(declarations(codes[name]) for name in _scope(file, included)))
        for word in in_sight.intersection(_WORD.findall(code)) if file.endswith(".c") else ():
            for other in defined.get(word, ()):
                # if two programs define a function of this name, the one whose header is included is meant
                if len(defined[word]) == 1 or f"{other}.h" in _scope(file, included):
                    graph[unit].setdefault(other, word)
        graph[unit].pop(unit, None)
    return graph


def _scope(file: str, included: dict[str, list[str]]) -> set[str]:
    scope, left = set(), [file]
    while left:
        one = left.pop()
        if one not in scope:
            scope.add(one)
            left += included[one]
    return scope


def circle_in(graph: Graph) -> list[str]:
    """Return the steps of a cycle, each with the word that ties it; empty if there is none."""
    done: set[str] = set()

    def walk(unit: str, path: list[str]) -> list[str]:
        if unit in path:
            ring = [*path[path.index(unit) :], unit]
            return [f"{a} -> {b} ({graph[a][b]})" for a, b in itertools.pairwise(ring)]
        if unit in done:
            return []
        for other in sorted(graph.get(unit, {})):
            if found := walk(other, [*path, unit]):
                return found
        done.add(unit)
        return []

    return next(filter(None, (walk(unit, []) for unit in sorted(graph))), [])


def test_no_circle() -> None:
    assert circle_in(graph_of(PAUSE)) == []


def test_rooms_use_what_lies_below() -> None:
    wrong = [
        f"{unit} -> {other} ({word})"
        for unit, others in graph_of(PAUSE).items()
        for other, word in others.items()
        if "/" in unit and _room(other) not in {_room(unit), *BELOW[_room(unit)]}
    ]
    assert wrong == []


def _room(unit: str) -> str:
    return unit.rpartition("/")[0]


def test_a_source_in_no_room_is_a_program() -> None:
    programs = {path.stem for path in PAUSE.glob("*.c") if re.search(r"^int main\(", path.read_text(), re.MULTILINE)}
    assert programs == {path.stem for path in PAUSE.glob("*.c")}
    assert list(PAUSE.glob("*.h")) == []


def test_sources_are_short() -> None:
    lengths = {str(path.relative_to(PAUSE)): len(path.read_text().splitlines()) for path in PAUSE.rglob("*.[ch]")}
    assert {path: length for path, length in lengths.items() if length > LINES} == {}


def test_the_graph_is_read_from_the_sources() -> None:
    graph = graph_of(PAUSE)
    assert graph["root/resolve"]["root/places"] == '#include "root/places.h"'
    assert {"common/process", "root/mount_api", "root/resolve"} <= graph["root/mounts"].keys()
    assert graph["pause"] == {}
    assert len(graph) > 50


LOW = "int low(void);\n"
CASES = {
    "of includes": (
        {"low.h": '#include "high.h"\n' + LOW, "low.c": '#include "low.h"\nint low(void)\n{\n\treturn 1;\n}\n'},
        ['high -> low (#include "low.h")', 'low -> high (#include "high.h")'],
    ),
    "of a call of what the header of another declares": (
        {"low.h": LOW + "int high(int x);\n", "low.c": '#include "low.h"\nint low(void)\n{\n\treturn high(1);\n}\n'},
        ['high -> low (#include "low.h")', "low -> high (high)"],
    ),
    "of a variable": (
        {"low.h": LOW, "low.c": '#include "low.h"\nextern int of_high;\nint low(void)\n{\n\treturn of_high;\n}\n'},
        ['high -> low (#include "low.h")', "low -> high (of_high)"],
    ),
    "of none": (
        {"low.h": LOW, "low.c": '#include "low.h"\n/* high(1) */\nint low(void)\n{\n\treturn "high"[0];\n}\n'},
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_circle_is_found(tmp_path: Path, case: str) -> None:
    files, expected = CASES[case]
    (tmp_path / "high.h").write_text("int high(int x);\n")
    (tmp_path / "high.c").write_text('#include "low.h"\nint of_high = 2;\nint high(int x)\n{\n\treturn low() + x;\n}\n')
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert circle_in(graph_of(tmp_path)) == expected
