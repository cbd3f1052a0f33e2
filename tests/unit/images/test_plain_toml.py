"""The plain TOML reader against tomllib: the same value, or none."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.images.config.plain_toml import parse_plain

DEBIAN = """\
# For more information on this configuration file, see containers-registries.conf(5).
unqualified-search-registries = ["docker.io", "quay.io"]\r
short-name-mode="enforcing"

[[registry]]
prefix = "docker.io"
insecure = true
 [[registry]]
\tlocation = "127.0.0.1:5000/x"
blocked = false

[aliases]
  # almalinux
  "almalinux" = "docker.io/library/almalinux"
  fedora = "registry.fedoraproject.org/fedora"
"""
PIECES = [
    *('a = "b"', "a = []", "a = [ ]", 'a = ["b"]', 'a = ["b",]', 'a = ["b" "c"]', 'a = ["b,c", "d"]', "a = 'b'"),
    *("a = 5", "a = -5", "a = 05", "a = -0", "a = +5", "a = 1_000", "a = [", '"b",', '"b"', '"b" ,', "]", "],"),
    *("a = true", "a = True", 'a = "b" # c', '"a" = "b"', '"a b" = "b"', '"" = "b"', 'a.b = "c"', "a", "= 5"),
    *('a = "\\n"', 'a = "b', 'a = ""', 'a = """', 'a = """b"""', "a = [[]]", 'a = ["b"', '"a"b = "c"', 'a = "b" "c"'),
    *("[a]", "[[a]]", "[ a ]", "[a.b]", "[[a.b]]", "[a]]", "[[a]", "[]", "[[]]", '["a"]', "[b]", "[[b]]", '[a] b="c"'),
    *("# é", "#\x01", "", "  ", "\t", "\r", "x\r = 5", 'a\u00a0= "b"', 'é = "b"', '"é" = "ü"', '"\x01" = "b"'),
]


def read(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def test_what_debian_ships_is_plain() -> None:
    assert parse_plain(DEBIAN) == tomllib.loads(DEBIAN)


CONTAINERS = """\
[containers]
default_capabilities = [
  "CHOWN",
# a comment
  "KILL"
]
pids_limit = 2048
[secrets]
[secrets.opts]
root = "/example/root"
"""


def test_containers_conf_is_plain() -> None:
    assert parse_plain(CONTAINERS) == tomllib.loads(CONTAINERS)


@pytest.mark.parametrize("text", [DEBIAN + "x = 5.0", DEBIAN + "[[registry.mirror]]", DEBIAN + "[aliases]"])
def test_what_is_not_is_left_to_tomllib(text: str) -> None:
    assert parse_plain(text) is None


@given(st.lists(st.sampled_from(PIECES) | st.text(alphabet='ab"[]=,.# \t\r\\é\x01', max_size=8), max_size=6))
def test_it_never_reads_anything_else_than_tomllib(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert parse_plain(text) in (None, read(text))
