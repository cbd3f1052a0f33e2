"""JSON parsed by the C half of the standard module gives the same results as the whole module, and loads no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.model import plain_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PIECES = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    '"a"',
    "\\",
    "\\u12",
    "1",
    "-",
    "1e5",
    "true",
    "nul",
    "NaN",
    " ",
    "\n",
    "\x00",
    "é",
]


@given(VALUES)
def test_it_writes_and_reads_what_the_module_does(value: object) -> None:
    text = plain_json.dumps(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert plain_json.loads(f" \n{text}\t\r ") == plain_json.loads(text.encode()) == value


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_it_refuses_what_the_module_refuses(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            plain_json.loads(text)
    else:
        assert repr(plain_json.loads(text)) == repr(expected)  # repr, since NaN is not equal to itself


@pytest.mark.parametrize("data", [b"\xff", b'"\xff"', b'\xef\xbb\xbf"bom"', b"", b" ", b"1 2", b'{"a":1}x'])
def test_bytes_that_are_no_utf_8_or_no_single_value(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain_json.loads(data)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {(1, 2): 3}])
def test_what_json_has_no_form_for(value: object) -> None:
    with pytest.raises(TypeError):
        plain_json.dumps(value)


def test_too_deep_or_in_itself() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        plain_json.dumps(loop)
    with pytest.raises(RecursionError):
        plain_json.loads("[" * 100_000)


def test_it_loads_nothing_but_the_c_half() -> None:
    code = (
        "import sys; from pypod.model import plain_json; plain_json.loads(plain_json.dumps([1])); print(*sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert "_json" in done.stdout.split()
    assert not {"json", "re", "enum"} & set(done.stdout.split())


@pytest.mark.parametrize("text", ["{", '{"a" 1}', '"\\x"', "[1 2]", '"\n"'])
def test_what_is_none_is_a_value_error_where_nobody_has_imported_json(text: str) -> None:
    """The C half takes its exception from json.decoder if that is loaded, which it always is under pytest."""
    program = (
        "import sys; from pypod.model import plain_json\n"
        "try: plain_json.loads(sys.argv[1])\nexcept ValueError: print('ValueError')"
    )
    done = subprocess.run([sys.executable, "-c", program, text], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ValueError\n", "")
