"""The options of volumes, in podman's forms."""

from __future__ import annotations

import pytest

from pypod.engine.storage.volume_options import is_mount, mount_words, read, size_bytes
from pypod.errors import InvalidSpec


@pytest.mark.parametrize(
    ("given", "shown", "mounts"),
    [
        ({}, {}, False),
        ({"type": "tmpfs"}, {"type": "tmpfs"}, True),
        ({"o": "uid=5,gid=6"}, {"GID": "6", "UID": "5", "o": "uid=5,gid=6"}, False),
        ({"o": "noquota"}, {"NOQUOTA": "true"}, False),
        ({"o": "size=1m,inodes=5"}, {"INODES": "5", "SIZE": "1m", "o": "size=1m,inodes=5"}, False),
        ({"nocopy": ""}, {"nocopy": ""}, False),
        ({"o": "ro"}, {"o": "ro"}, True),
        (
            {"type": "tmpfs", "o": "uid=5,size=1m"},
            {"SIZE": "1m", "UID": "5", "o": "uid=5,size=1m", "type": "tmpfs"},
            True,
        ),
        ({"type": "bind", "device": "/", "o": "bind"}, {"device": "/", "o": "bind", "type": "bind"}, True),
    ],
)
def test_options(given: dict[str, str], shown: dict[str, str], mounts: bool) -> None:
    assert (read(given), list(read(given))) == (shown, sorted(shown))
    assert is_mount(read(given)) == mounts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"foo": "bar"}, "invalid mount option foo for driver 'local': invalid argument"),
        ({"o": "uid=x"}, 'cannot convert UID x to integer: strconv.Atoi: parsing "x": invalid syntax'),
        ({"o": "gid="}, 'cannot convert GID  to integer: strconv.Atoi: parsing "": invalid syntax'),
        ({"o": "size=x"}, "cannot convert size x to integer: invalid size: 'x'"),
        ({"o": "timeout=3"}, "Volume driver timeout can only be used with non-local volume drivers"),
        ({"type": "bind", "device": "/no/such"}, "invalid volume option device for driver 'local': stat /no/such"),
        ({"o": "noquota,size=1m"}, "volume options size and inodes cannot be used without quota"),
        ({"type": "tmpfs", "o": "inodes=5"}, "volume option inodes not supported on tmpfs filesystem"),
    ],
)
def test_what_is_wrong(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read(given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "tmpfs"}, ("tmpfs", "tmpfs", "")),
        ({"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1,rw"}, ("nfs", ":/x", "addr=10.0.0.1,rw")),
        ({"type": "bind", "device": "/x"}, ("", "/x", "bind")),
        ({"type": "none", "device": "/x", "o": "bind,ro"}, ("none", "/x", "bind,ro")),
    ],
)
def test_what_mount_is_given(given: dict[str, str], words: tuple[str, str, str]) -> None:
    assert mount_words(given) == words


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("1k", 1000), ("1.5m", 1_500_000), ("2GB", 2 * 10**9)])
def test_sizes_are_powers_of_a_thousand(text: str, size: int) -> None:
    assert size_bytes(text) == size
