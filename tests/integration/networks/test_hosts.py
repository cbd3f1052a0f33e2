"""/etc/hosts as containers read it: the host's names and address, and the names of a pod's members."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypod import CommandNotFound
from pypod.network.host import first_address

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def names_in(text: str) -> dict[str, str]:
    """Return addresses by name."""
    lines = (line.split() for line in text.splitlines())
    return {name: address for address, *names in lines for name in names}


def seen(container) -> dict[str, str]:
    return names_in(container.exec(["cat", "/etc/hosts"]).stdout.decode())


def test_the_host_has_a_name_in_its_own_network(engine, busybox: str) -> None:
    address = first_address()
    found = seen(engine.containers.run(SLEEP, rootfs=busybox, network="host"))
    if not address:
        pytest.skip("this host has no address but loopback")
    assert [found.get(f"host.{name}.internal") for name in ("containers", "docker")] == [address] * 2


def test_members_of_a_pod_have_names_while_they_run(engine, busybox: str) -> None:
    pod = engine.pods.create("p")
    first = pod.run(SLEEP, name="first", rootfs=busybox)
    second = pod.run(SLEEP, name="second", rootfs=busybox)
    assert {name: address for name, address in seen(first).items() if name in ("first", "second")} == {
        "first": "127.0.0.1",
        "second": "127.0.0.1",
    }
    second.stop(timeout=0)
    assert "second" not in seen(first)
    second.start()
    assert "second" in seen(first)
    second.remove(force=True)
    assert "second" not in seen(first)
    with pytest.raises(CommandNotFound):
        pod.run(["nosuch"], name="third", rootfs=busybox)
    assert "third" not in seen(first)


def test_what_members_write_into_their_file_stays(engine, busybox: str) -> None:
    """It is theirs; a file that is no text, or too big, is left alone."""
    pod = engine.pods.create("p")
    first = pod.run(SLEEP, name="first", rootfs=busybox)
    first.exec(["sh", "-c", "printf '1.2.3.4\\tmine \\377\\n127.0.0.1\\tsecond third\\n' >>/etc/hosts"])
    second = pod.run(SLEEP, name="second", rootfs=busybox)
    second.remove(force=True)
    found = first.exec(["tail", "-n", "2", "/etc/hosts"]).stdout
    assert found == b"1.2.3.4\tmine \xff\n127.0.0.1\tsecond third\n"
    first.exec(["sh", "-c", "yes '127.0.0.1 many' | head -c 2000000 >/etc/hosts"])
    pod.run(SLEEP, name="late", rootfs=busybox)
    assert first.exec(["sh", "-c", "grep -c late /etc/hosts; wc -c </etc/hosts"]).stdout.split() == [b"0", b"2000000"]


def test_members_in_the_network_of_the_host_do_not_add_names(engine, busybox: str) -> None:
    pod = engine.pods.create("p", network="host")
    assert "first" not in seen(pod.run(SLEEP, name="first", rootfs=busybox))
    assert "first" not in names_in(Path("/etc/hosts").read_text())
