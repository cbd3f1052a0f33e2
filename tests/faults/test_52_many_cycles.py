"""Many cycles of create, start, exec and remove: nothing accumulates."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pypod import Engine
from pypod.engine.storage import trash
from tests.facts import created_nothing, wait_until
from tests.hosts import run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

SLEEP = ("sleep", "1000")


def residue(engine: Engine, ids: set[str]) -> dict[str, object]:
    """Count what containers could leave behind."""
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    namespaces = {link for path in processes for link in _links(path / "ns")}
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    keys = [line for line in Path("/proc/keys").read_text().splitlines() if any(i[:32] in line for i in ids)]
    tree = Path(engine.cgroups.tracking_directory("/pypod"))
    return {
        "children": children,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "groups": [path.name for path in tree.rglob("*") if path.name in ids],
        "keys": keys,
        # a podman on this host creates its locks there
        "shared memory": sorted(name for name in os.listdir("/dev/shm") if not name.startswith("libpod")),
        "rubbish": trash.contents(engine),
        "namespaces": len(namespaces),
        "zombies": [path.name for path in processes if _is_zombie(path)],
        "links": [link["ifname"] for link in json.loads(run("ip", "-j", "link"))],
        "rules": run("nft", "list", "ruleset"),
        "addresses": engine.database.read("SELECT count(*) FROM addresses WHERE container_id != ''"),
        "files": sorted(str(path) for path in Path(engine.layout.root).glob("*/*")),
        "of ours": [path.name for path in processes if _mentions(path, engine.layout.root)],
    }


def _mentions(process: Path, text: str) -> bool:
    try:
        return text.encode() in (process / "cmdline").read_bytes() or text in os.readlink(process / "cwd")
    except OSError:
        return False


def _links(directory: Path) -> list[str]:
    try:
        return [os.readlink(path) for path in directory.iterdir()]
    except OSError:  # it has exited, or is about to
        return []


def _is_zombie(process: Path) -> bool:
    try:
        return (process / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return False


def test_many_times_over(engine, busybox, full: bool) -> None:
    """No more processes, namespaces, mounts, links, rules, cgroups, descriptors, keyrings, shared memory or files."""
    ids: set[str] = set()
    engine.networks.create("blue", interface="bl0", subnets=["10.99.0.0/24"], dns=False)

    def cycle(number: int) -> None:
        pod = engine.pods.create(network="blue", ports=["8080:80"])
        member = pod.run(SLEEP, rootfs=busybox, tmpfs=["/scratch"])
        alone = engine.containers.run(["true"], rootfs=busybox, init=True, network="blue" if number % 2 else "none")
        ids.update((pod.id, member.id, alone.id, pod.infra.id))
        if number % 10 == 0:
            assert member.exec(["true"]).exit_code == 0
        assert alone.wait(10) == 0
        alone.remove()
        pod.remove(force=True, timeout=0)

    for number in range(3):
        cycle(number)
    # the kernel garbage-collects keys with a delay
    wait_until(lambda: not trash.contents(engine) and not residue(engine, ids)["keys"])
    # idle bridges are removed with a delay too, and so is the process that removes them
    wait_until(lambda: residue(engine, ids)["links"] == ["lo"] and not residue(engine, ids)["of ours"])
    before = residue(engine, ids)
    for number in range(1000 if full else 30):
        cycle(number)
    deadline = time.monotonic() + 10
    # the last reading is the one asserted: in another, a process that has just exited would be a zombie for a moment
    while (after := residue(engine, ids)) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after == before
    assert created_nothing(engine)
