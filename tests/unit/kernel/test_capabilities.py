from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.errors import InvalidSpec
from pypod.kernel import capabilities
from pypod.kernel.capabilities import ALL, CAPABILITIES, DEFAULT_CAPABILITIES, mask, merge, names, normalize

BOUNDING = ("CAP_CHOWN", "CAP_NET_ADMIN", "CAP_SYS_ADMIN")


def test_table_is_the_kernels() -> None:
    assert len(CAPABILITIES) == 41
    # From linux/capability.h: one from each decade, and both ends.
    for name, bit in {
        "CAP_CHOWN": 0,
        "CAP_SETPCAP": 8,
        "CAP_NET_ADMIN": 12,
        "CAP_SYS_ADMIN": 21,
        "CAP_SETFCAP": 31,
        "CAP_AUDIT_READ": 37,
        "CAP_CHECKPOINT_RESTORE": 40,
    }.items():
        assert CAPABILITIES.index(name) == bit


@pytest.mark.skipif(
    not os.path.exists("/usr/include/linux/capability.h"), reason="the kernel's headers are not installed"
)
def test_table_agrees_with_the_installed_header() -> None:
    with open("/usr/include/linux/capability.h", encoding="ascii") as file:
        words = [line.split() for line in file if line.startswith("#define CAP_")]
    header = {name: int(bit) for _, name, bit, *_ in (line for line in words if len(line) > 2) if bit.isdigit()}
    assert {name: bit for bit, name in enumerate(CAPABILITIES) if name in header} == header


def test_defaults_are_podmans_eleven() -> None:
    assert len(DEFAULT_CAPABILITIES) == 11
    assert mask(DEFAULT_CAPABILITIES) == 0x800405FB


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("net_admin", "CAP_NET_ADMIN"),
        ("CAP_NET_ADMIN", "CAP_NET_ADMIN"),
        ("Cap_Net_Admin", "CAP_NET_ADMIN"),
        ("NET_ADMIN", "CAP_NET_ADMIN"),
        ("all", ALL),
        ("ALL", ALL),
    ],
)
def test_normalize(given_name: str, expected: str) -> None:
    assert normalize(given_name) == expected


@pytest.mark.parametrize(
    ("bad", "shown"), [("foo", "CAP_FOO"), ("", "CAP_"), ("CAP_ALL", "CAP_ALL"), ("chown ", "CAP_CHOWN ")]
)
def test_an_unknown_name_is_refused_in_podmans_words(bad: str, shown: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        normalize(bad)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == f'"{shown}": unknown capability'


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), ("CAP_CHOWN", "CAP_KILL")),
        (("sys_ptrace",), (), ("CAP_CHOWN", "CAP_KILL", "CAP_SYS_PTRACE")),
        (("kill", "KILL"), (), ("CAP_CHOWN", "CAP_KILL")),
        ((), ("kill", "mknod"), ("CAP_CHOWN",)),
        ((), ("all",), ()),
        (("net_raw",), ("ALL",), ("CAP_NET_RAW",)),
        # Dropping a capability and ALL: an added one stays, even if it is also dropped by name.
        (("net_raw",), ("ALL", "net_raw"), ("CAP_NET_RAW",)),
        (("all",), (), BOUNDING),
        (("all",), ("net_admin",), ("CAP_CHOWN", "CAP_SYS_ADMIN")),
        # With ALL added, other additions have no effect: no conflict, and nothing outside the bounding set.
        (("all", "net_admin", "syslog"), ("net_admin",), ("CAP_CHOWN", "CAP_SYS_ADMIN")),
    ],
)
def test_merge(add: tuple[str, ...], drop: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert merge(("KILL", "chown"), add, drop, bounding=BOUNDING) == expected


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (("chown",), ("CAP_CHOWN",), 'capability "CAP_CHOWN" cannot be dropped and added'),
        (("all",), ("all",), "adding all caps and removing all caps not allowed"),
        (("bad",), (), '"CAP_BAD": unknown capability'),
        (("all",), ("bad",), '"CAP_BAD": unknown capability'),
    ],
)
def test_merge_refuses_in_podmans_words(add: tuple[str, ...], drop: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        merge(DEFAULT_CAPABILITIES, add, drop, bounding=BOUNDING)
    assert str(caught.value) == message


def test_adding_all_gives_the_bounding_set_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "bounding_set", lambda: BOUNDING)
    assert merge((), ("all",)) == BOUNDING


def test_bounding_set_is_the_kernels() -> None:
    with open("/proc/self/status", encoding="utf-8") as status:
        (bounding,) = (int(line.split()[1], 16) for line in status if line.startswith("CapBnd"))
    assert mask(capabilities.bounding_set()) == bounding & (1 << 41) - 1


def test_mask_and_names_know_all_and_newer_bits() -> None:
    assert mask(["all"]) == (1 << 41) - 1
    assert names(1 << 45 | 1) == ("CAP_CHOWN", "CAP_45")
    with pytest.raises(InvalidSpec):
        mask(["CAP_45"])


@given(st.sets(st.integers(0, 40)))
@settings(database=None)
def test_names_undoes_mask(bits: set[int]) -> None:
    number = sum(1 << bit for bit in bits)
    assert names(number) == tuple(CAPABILITIES[bit] for bit in sorted(bits))
    assert mask(names(number)) == number
