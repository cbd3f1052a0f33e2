"""Mounts as they are written on the command line."""

from __future__ import annotations

import pytest

from pypod.errors import InvalidSpec
from pypod.model.mount import Mount, parse_tmpfs
from pypod.model.mount_flags import parse_mount, parse_volume


def bind(source: str, target: str, **fields: object) -> dict[str, object]:
    return {"type": "bind", "source": source, "target": target, **fields}


def volume(source: str, target: str, **fields: object) -> dict[str, object]:
    return {"type": "volume", "source": source, "target": target, "no_suid": True, "no_dev": True, **fields}


def tmpfs(target: str, **fields: object) -> dict[str, object]:
    return {"type": "tmpfs", "target": target, "no_suid": True, "no_dev": True, **fields}


def devpts(target: str) -> dict[str, object]:
    return {"type": "devpts", "target": target, "copy_up": False}


def image(source: str, target: str, **fields: object) -> dict[str, object]:
    return {"type": "image", "source": source, "target": target, "read_only": True, "copy_up": False, **fields}


VOLUMES = [
    ("/a:/b", bind("/a", "/b")),
    ("/a:/b:ro", bind("/a", "/b", read_only=True)),
    ("/a:/b:rw", bind("/a", "/b", read_only=False)),
    ("/a:/b:nosuid,nodev,noexec", bind("/a", "/b", no_suid=True, no_dev=True, no_exec=True)),
    ("/a:/b:suid,dev,exec", bind("/a", "/b")),
    ("/a:/b:bind", bind("/a", "/b", recursive=False)),
    ("/a:/b:rbind", bind("/a", "/b", recursive=True)),
    ("/a:/b:rslave", bind("/a", "/b", propagation="rslave")),
    ("/a:/b:z", bind("/a", "/b", relabel="z")),
    ("/a:/b:Z,ro", bind("/a", "/b", read_only=True, relabel="Z")),
    ("/a:/b:rshared", bind("/a", "/b", propagation="rshared")),
    ("/a:/b:U", bind("/a", "/b", chown=True)),
    ("/a:/b:O", bind("/a", "/b", overlay=True)),
    ("/a:/b:O,upperdir=/u,workdir=/w", bind("/a", "/b", overlay=True, options=("upperdir=/u", "workdir=/w"))),
    ("/a:/b:cached", bind("/a", "/b")),
    ("/b", volume("", "/b", anonymous=True)),
    ("a:/b", volume("a", "/b")),
    ("a:/b:ro,nocopy,suid,U", volume("a", "/b", read_only=True, copy_up=False, no_suid=False, chown=True)),
    ("a:/b:O", volume("a", "/b", overlay=True)),
    ("/a b:/c d", bind("/a b", "/c d")),
]
TMPFS = [
    ("/a", tmpfs("/a")),
    ("/a:size=64m", tmpfs("/a", options=("size=64m",))),
    ("/a:size=64m,mode=1777,ro", tmpfs("/a", options=("size=64m", "mode=1777"), read_only=True)),
    ("/a:exec,suid,dev", tmpfs("/a", no_suid=False, no_dev=False)),
    ("/a:noexec", tmpfs("/a", no_exec=True)),
]
MOUNTS = [
    ("type=bind,source=/a,target=/b", bind("/a", "/b")),
    ("type=bind,src=/a,dst=/b", bind("/a", "/b")),
    ("type=bind,src=/a,destination=/b", bind("/a", "/b")),
    ("type=bind,src=/a,dest=/b,ro", bind("/a", "/b", read_only=True)),
    ("type=bind,src=/a,dst=/b,ro=true", bind("/a", "/b", read_only=True)),
    ("type=bind,src=/a,dst=/b,ro=false", bind("/a", "/b", read_only=False)),
    ("type=bind,src=/a,dst=/b,readonly", bind("/a", "/b", read_only=True)),
    ("type=bind,src=/a,dst=/b,rw", bind("/a", "/b", read_only=False)),
    ("type=bind,src=/a,dst=/b,rw=false", bind("/a", "/b", read_only=True)),
    ("type=bind,src=/a,dst=/b,bind-propagation=slave", bind("/a", "/b", propagation="slave")),
    ("type=bind,src=/a,dst=/b,propagation=private", bind("/a", "/b", propagation="private")),
    ("type=bind,src=/a,dst=/b,bind-nonrecursive", bind("/a", "/b", recursive=False)),
    ("type=bind,src=/a,dst=/b,bind-nonrecursive=false", bind("/a", "/b", recursive=True)),
    ("type=bind,src=/a=b,dst=/c", bind("/a=b", "/c")),
    ("src=/a,type=bind,nosuid,dst=/b", bind("/a", "/b", no_suid=True)),
    ("type=tmpfs,dst=/b", tmpfs("/b")),
    ("type=tmpfs,target=/b,tmpfs-size=1m,tmpfs-mode=700", tmpfs("/b", options=("size=1m", "mode=700"))),
    ("type=tmpfs,target=/b,dev", tmpfs("/b", no_dev=False)),
    ("type=tmpfs,target=/b,U=true,notmpcopyup", tmpfs("/b", chown=True, copy_up=False)),
    ("type=ramfs,dst=/b", {**tmpfs("/b"), "type": "ramfs"}),
    ("type=devpts,dst=/b,uid=5,mode=640", {**devpts("/b"), "options": ("uid=5", "mode=640")}),
    ("type=devpts,dst=/b", devpts("/b")),
    ("type=bind,src=/a,dst=/b,relabel=shared", bind("/a", "/b", relabel="z")),
    ("type=bind,src=/a,dst=/b,bind-propagation=shared", bind("/a", "/b", propagation="shared")),
    ("type=bind,src=/a,dst=/b,chown,idmap", bind("/a", "/b", chown=True, idmap=True)),
    ('type=bind,"src=/a,b",dst=/b', bind("/a,b", "/b")),
    ("type=bind,dst=/b", bind("/b", "/b")),  # as podman's
    ("type=volume,src=a,dst=/b", volume("a", "/b")),
    ("type=volume,dst=/b", volume("", "/b", anonymous=True)),
    ("type=volume,src=a,dst=/b,ro=true,U=false", volume("a", "/b", read_only=True)),
    ("type=volume,src=a,dst=/b,readonly=false", volume("a", "/b")),
    ("type=volume,src=a,dst=/b,subpath=/x/y", volume("a", "/b", subpath="/x/y")),
    ("type=volume,src=a,dst=/b,volume-subpath=x", volume("a", "/b", subpath="x")),
    (
        "type=volume,src=a,dst=/b,nocopy,dev,relabel=private",
        volume("a", "/b", copy_up=False, no_dev=False, relabel="Z"),
    ),
    (
        "type=volume,src=a,dst=/b,volume-opt=type=tmpfs,volume-opt=o=size=1m",
        volume("a", "/b", options=("type=tmpfs", "o=size=1m")),
    ),
    ("type=image,src=busybox,dst=/b", image("busybox", "/b")),
    ("type=image,src=busybox,dst=/b,rw=true,subpath=/etc", image("busybox", "/b", read_only=False, subpath="/etc")),
]
ALL = [
    *((parse_volume, "--volume", *case) for case in VOLUMES),
    *((parse_tmpfs, "--tmpfs", *case) for case in TMPFS),
    *((parse_mount, "--mount", *case) for case in MOUNTS),
]


@pytest.mark.parametrize(("parse", "argument", "text", "fields"), ALL, ids=[case[2] for case in ALL])
def test_is_read(parse, argument: str, text: str, fields: dict[str, object]) -> None:
    assert parse(text) == Mount(argument=argument, **fields)


WRONG = [
    (parse_volume, "--volume", ["", ":", "a", "/a:", ":/b", "/a:/b:ro:x", "a/b:/b", "/a:b", "/a:/", "/a://"]),
    (parse_volume, "--volume", ["/a:/b:", "/a:/b:nonsense", "/a:/b:ro,", "/a:/../b", "/a:/b/..", "/a\0:/b", "/a:/b\0"]),
    (
        parse_volume,
        "--volume",
        ["/a:/b:Shared", "/a:/b:RO", "/a:/b:ro,rw", "/a:/b:suid,nosuid", "a:/b:upperdir=/x", "-a:/b"],
    ),
    (parse_tmpfs, "--tmpfs", ["", "a", "/", "/a:nonsense", "/a:size", "/a/../b", ":size=1m", "/a\0", "/a:rw,ro"]),
    (parse_mount, "--mount", ["", "bind", "type=bind", "type=bind,src=/a", "type=bind,src=,dst=/b", "src=/a,dst=/b"]),
    (parse_mount, "--mount", ["type=volume,src=a/b,dst=/b", "type=,dst=/b", "type=nope,dst=/b", "type=image,dst=/b"]),
    (parse_mount, "--mount", ["type=bind,src=/a,dst=b", "type=bind,src=/a,dst=/b,nonsense", "type=bind,src=/a,dst=/"]),
    (parse_mount, "--mount", ["type=bind,src=/a,dst=/b,unheard=1", "type=bind,src=/a,dst=/b,propagation=some"]),
    (parse_mount, "--mount", ["type=volume,src=a,dst=/b,ro=x", "type=volume,src=a", "type=tmpfs,src=a,dst=/b"]),
    (parse_mount, "--mount", ["type=bind,src=/a,dst=/b,relabel=x", "type=devpts,dst=/b,x=1", "type=image,src=a"]),
    (parse_mount, "--mount", ["type=volume,volume-label=a=b,dst=/b", "type=volume,src=../a,dst=/b"]),
    (
        parse_mount,
        "--mount",
        ["type=tmpfs,dst=b", "type=tmpfs", "type=tmpfs,dst=/a/../../b", "type=tmpfs,dst=/b,ro,rw"],
    ),
]
EACH_WRONG = [(parse, argument, text) for parse, argument, texts in WRONG for text in texts]


@pytest.mark.parametrize(("parse", "argument", "text"), EACH_WRONG, ids=[repr(case[2]) for case in EACH_WRONG])
def test_what_is_wrong_names_the_argument(parse, argument: str, text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(text)
    assert caught.value.argument == argument
    with pytest.raises(InvalidSpec) as caught:
        parse(text, "--other")
    assert caught.value.argument == "--other"


@pytest.mark.parametrize(("kind", "expected"), [("tmpfs", True), ("ramfs", True), ("bind", False), ("volume", False)])
def test_file_systems_in_memory_have_neither_setuid_nor_devices(kind: str, *, expected: bool) -> None:
    mount = Mount(type=kind, source="/a" if kind == "bind" else "", target="/b")
    assert (mount.no_suid, mount.no_dev) == (expected, expected)
    assert Mount(type=kind, source=mount.source, target="/b", no_suid=False).no_suid is False


def test_a_mount_made_by_hand_is_checked_like_a_parsed_one() -> None:
    good = Mount(type="bind", source="/a", target="/b")
    assert (good.argument, good.recursive, good.propagation) == ("--mount", True, "rprivate")
    for changes in (
        {"type": "nfs"},
        {"source": "a"},
        {"target": "b"},
        {"propagation": "x"},
        {"target": "/a/.."},
        {"subpath": "\0"},
    ):
        with pytest.raises(InvalidSpec):
            good.replace(**changes)
