"""Mounts that a container takes over from others: which ones, their access modes, and precedence."""

from __future__ import annotations

import pytest

from pypod.engine.storage.volumes_from import with_volumes_from
from pypod.errors import InvalidSpec, NoSuchContainer
from pypod.model.container import ContainerSpec
from pypod.model.mount import Mount
from pypod.model.options.container import ContainerOptions

VOLUME = "ab" * 32
SPECS = {
    "one": ContainerSpec(
        name="one",
        rootfs="/",
        command=("true",),
        mounts=(
            Mount(type="bind", source="/srv", target="/srv"),
            Mount(type="bind", source="/etc", target="/conf", read_only=True),
            Mount(type="volume", source=VOLUME, target="/data"),
            Mount(type="tmpfs", target="/scratch"),
        ),
    ),
    "two": ContainerSpec(
        name="two", rootfs="/", command=("true",), mounts=(Mount(type="bind", source="/opt", target="/srv/"),)
    ),
}


def spec_of(ref: str) -> ContainerSpec:
    if ref not in SPECS:
        raise NoSuchContainer(ref)
    return SPECS[ref]


def taken(*words: str, **options) -> dict[str, tuple[str, bool]]:
    found = with_volumes_from(ContainerOptions(**options, volumes_from=words), spec_of)
    return {mount.target: (mount.source, mount.read_only) for mount in found.mounts}


@pytest.mark.parametrize(
    ("word", "read_only"),
    [("one", (False, True)), ("one:ro", (True, True)), ("one:rw,z", (False, False)), ("one:z", (False, True))],
)
def test_binds_and_volumes_as_they_are_or_as_asked(word: str, read_only: tuple[bool, bool]) -> None:
    assert taken(word) == {
        "/srv": ("/srv", read_only[0]),
        "/conf": ("/etc", read_only[1]),
        "/data": (VOLUME, read_only[0]),
    }


def test_the_last_one_counts_and_the_users_own_most() -> None:
    assert taken("one", "two")["/srv/"] == ("/opt", False)
    assert "/srv" not in taken("one", "two")
    assert "/data" not in taken("one", volumes=["/x:/data/"])
    assert "/conf" not in taken("one", tmpfs=["/conf"])
    assert taken("one", mounts=[Mount(type="tmpfs", target="/srv")])["/srv"] == ("", False)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("one:Z", 'invalid option "Z" specified - volumes from another container can only use z,ro,rw options'),
        ("one:ro:x", 'invalid option "ro:x" specified'),
        ("one:ro,rw", "cannot set ro or rw options more than once"),
        ("one:z,z", "cannot set :z more than once in mount options"),
        ("three", 'looking up container "three" for volumes-from: no container with name or ID "three" found'),
    ],
)
def test_mistakes(word: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        taken(word)
    assert caught.value.argument == "--volumes-from"
