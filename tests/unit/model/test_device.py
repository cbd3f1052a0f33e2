"""Devices and rules of access in podman's notation."""

from __future__ import annotations

import pytest

from pypod.errors import InvalidSpec
from pypod.model.device import DEFAULT_RULES, parse_device, parse_rule, split_rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/fuse:r", ("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/fuse:wm", ("/dev/fuse", "/dev/fuse", "wm")),
        ("/dev/fuse:/dev/x", ("/dev/fuse", "/dev/x", "rwm")),
        ("/dev/fuse:/dev/x:rw", ("/dev/fuse", "/dev/x", "rw")),
        ("/dev/fuse:", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev//fuse:/dev//x/", ("/dev//fuse", "/dev/x", "rwm")),
    ],
)
def test_a_device(text: str, expected: tuple[str, str, str]) -> None:
    assert parse_device(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/dev/fuse:x", "invalid device mode: x"),
        ("/dev/fuse:rr", "invalid device mode: rr"),
        ("/dev/fuse:/dev/x:rz", "invalid device mode: rz"),
        ("/dev/fuse:/dev/x:", "invalid device mode: "),
        ("/dev/fuse:r:w", "invalid device specification: /dev/fuse:r:w"),
        ("/dev/fuse:/dev/x:r:w", "invalid device specification: /dev/fuse:/dev/x:r:w"),
        ("", "invalid device specification: "),
        ("dev/fuse", "stat dev/fuse: no such file or directory"),
        ("/dev/fuse:/dev/../etc/x", "invalid device specification: /dev/fuse:/dev/../etc/x"),
        ("/dev/fuse:/dev/\0", "invalid device specification: /dev/fuse:/dev/\0"),
        ("nvidia.com/gpu=all", "setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all"),
    ],
)
def test_no_device(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_device(text)
    assert (caught.value.argument, caught.value.message) == ("--device", message)


def test_rules() -> None:
    assert [parse_rule(text) for text in ("c 10:229 rwm", "b *:0 m", "c 010 r", "a 1:2 rw")] == [
        *("c 10:229 rwm", "b *:0 m", "c 10:* r", "a *:* rw"),
    ]
    assert split_rule("b *:0 m") == ("b", -1, 0, "m")
    assert all(parse_rule(rule) == rule for rule in DEFAULT_RULES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c 1:1", 'invalid device cgroup rule requires type, major:Minor, and access rules: "c 1:1"'),
        ("x 1:1 r", "invalid device type in device-access-add: x"),
        ("c 1:1 rx", "invalid device access in device-access-add: x"),
        ("c 1:z r", 'strconv.ParseUint: parsing "z": invalid syntax'),
        ("c -1:1 r", 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("c 1:2:3 r", 'strconv.ParseUint: parsing "2:3": invalid syntax'),
        ("c 4294967296:1 r", 'strconv.ParseUint: parsing "4294967296": value out of range'),
    ],
)
def test_no_rule(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_rule(text)
    assert (caught.value.argument, caught.value.message) == ("--device-cgroup-rule", message)
