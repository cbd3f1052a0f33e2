"""Options of a container's process and files, as the container sees them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

needs_zones = pytest.mark.skipif(not os.path.isfile("/usr/share/zoneinfo/Asia/Tokyo"), reason="tzdata is not installed")


def output(engine, rootfs: str, script: str, **options: Any) -> list[str]:
    container = engine.containers.run(["sh", "-c", script], rootfs=rootfs, **options)
    assert container.wait(timeout=20) == 0, b"".join(piece.data for piece in container.logs())
    return b"".join(piece.data for piece in container.logs()).decode().splitlines()


@needs_zones
def test_a_time_zone(engine, busybox: str) -> None:
    assert output(engine, busybox, "date +%Z", timezone="Asia/Tokyo") == ["JST"]


def test_the_execution_domain_also_of_an_exec(engine, busybox: str) -> None:
    container = engine.containers.run(["sleep", "100"], rootfs=busybox, personality="LINUX32")
    assert output(engine, busybox, "uname -m", personality="LINUX32") == ["i686"]
    assert container.exec(["uname", "-m"]).stdout == b"i686\n"


@pytest.mark.parametrize("overlay", [True, False])
def test_entries_for_users(engine, own_rootfs: Path, *, overlay: bool) -> None:
    before = (own_rootfs / "etc/passwd").read_text()
    lines = output(
        engine,
        str(own_rootfs),
        "tail -n 1 /etc/group; tail -n 2 /etc/passwd; grep -c ^root: /etc/passwd",
        overlay=overlay,
        user="4000:4001",
        group_entry="g$GROUPNAME:x:$GID:$USERLIST",
        host_users=("nobody", "root", "daemon"),
        passwd_entry="u:x:$UID:$GID::/:/bin/sh",
    )
    assert lines[0] == "g4001:x:4001:4000"
    assert lines[2:] == ["u:x:4000:4001::/:/bin/sh", "1"]
    assert (own_rootfs / "etc/passwd").read_text() == before


def test_files_in_other_roots(engine, busybox: str) -> None:
    script = "cat /chroot/etc/hosts /etc/hosts | sort | uniq -u; ls /chroot/etc"
    assert output(engine, busybox, script, chroot_directories=("/chroot",)) == ["hosts"]


def test_a_read_only_root_without_anything_writable(engine, busybox: str) -> None:
    script = "for at in /tmp /run /var/tmp; do touch $at/x 2>/dev/null && echo $at; done; true"
    assert output(engine, busybox, script, read_only=True, read_only_tmpfs=False) == []
    assert output(engine, busybox, script, read_only=True) == ["/tmp", "/run", "/var/tmp"]


@pytest.mark.parametrize("target", ["/scratch", "/etc"])
def test_any_user_writes_to_a_tmpfs(engine, busybox: str, target: str) -> None:
    assert output(engine, busybox, f"touch {target}/x; stat -c %a {target}", user="33", tmpfs=(target,)) == ["1777"]
    assert output(engine, busybox, f"stat -c %a {target}", tmpfs=(f"{target}:mode=700",)) == ["700"]


def test_systemd_finds_what_it_expects(engine, busybox: str) -> None:
    script = "echo $container_uuid; for at in /run /run/lock /tmp /var/log/journal; do touch $at/x || exit 1; done"
    container = engine.containers.run(["sh", "-c", script], rootfs=busybox, systemd="always", read_only=True)
    assert container.wait(timeout=20) == 0
    assert b"".join(piece.data for piece in container.logs()).decode() == f"{container.id[:32]}\n"
    assert container.spec().stop_signal == 37
