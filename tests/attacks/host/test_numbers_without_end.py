"""Numbers with 5,000 digits, which int() refuses to parse (CVE-2020-10735), in an image and on the command line."""

from __future__ import annotations

import contextlib

import pytest

from pypod.cli.main import run
from pypod.errors import PypodError
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring

pytestmark = pytest.mark.root

LONG = "9" * 5000
CONFIGURATIONS = [
    {"User": LONG},
    {"User": f"0:{LONG}"},
    {"User": f"+{LONG}"},
    {"StopSignal": LONG},
    {"StopSignal": f"-{LONG}"},
    {"ExposedPorts": {LONG: {}}},
    {"ExposedPorts": {f"1-{LONG}": {}}},
    {"Volumes": {LONG: {}}},
    {"WorkingDir": f"/{LONG}"},
    {"Healthcheck": {"Test": ["CMD", "true"], "Timeout": 10**4000}},
    {"Healthcheck": {"Test": ["CMD", "true"], "Retries": -5, "Timeout": -3}},
]
FLAGS = (
    "--user=N -p=N:80 -p=80:N --memory=N --pids-limit=N --ulimit=nofile=N --stop-signal=N --stop-timeout=N "
    "--shm-size=N --cpus=N --cpu-shares=N --uidmap=0:N:1 --umask=N --tmpfs=/x:size=N --health-retries=N --group-add=N "
    "--health-timeout=Ns --expose=N --ip=N --hostname=N --oom-score-adj=N --blkio-weight=N --cpuset-cpus=N "
    "--device-read-bps=/dev/null:N --sysctl=net.x=N --userns=auto:size=N --userns=keep-id:uid=N "
    "--network=slirp4netns:mtu=N"
).split()
VERBS = [
    *("stop -t N x", "logs --tail N x", "logs --since N x", "kill -s N x", "ps --last N", "ps --filter exited=N"),
    *("port x N", "wait --interval N x", "update --memory N x", "search --limit N x", "view --port N x", "ns ls N"),
    *("network create --subnet 10.0.0.0/N", "network create --opt mtu=N", "network create --opt vlan=N", "lsns -p N"),
    *("lsns N", "exec --user N x true", "stats -i N x", "inspect -f {{index.N}} x", "ps --filter until=N"),
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: next(iter(config)))
@pytest.mark.parametrize("publish_all", [False, True])
def test_in_an_image(engine, busybox, config: dict, publish_all: bool) -> None:
    """Either a proper error, or a container that can be started and removed like any other."""
    with contextlib.suppress(PypodError):
        image = bring(engine, busybox_image(busybox, config={"Cmd": ["true"], **config}))
        container = engine.containers.create(image, publish_all=publish_all)
        container.inspect()
        with contextlib.suppress(PypodError):
            container.start()
            container.stop(timeout=0)
    for container in engine.containers.list(all=True):
        container.remove(force=True, timeout=0)
    assert engine.containers.list(all=True) == []


@pytest.mark.parametrize("flag", FLAGS)
def test_in_a_flag(engine, busybox, capsys, flag: str) -> None:
    name, _, value = flag.partition("=")
    code = run(["--root", engine.layout.root, "create", name, value.replace("N", LONG), "--rootfs", busybox, "true"])
    assert code in (0, 125)
    assert (code == 0) == (capsys.readouterr().err == "")


@pytest.mark.parametrize("words", VERBS)
def test_in_a_verb(engine, capsys, words: str) -> None:
    code = run(["--root", engine.layout.root, *(word.replace("N", LONG) for word in words.split())])
    assert (code != 0) == (capsys.readouterr().err != "")
