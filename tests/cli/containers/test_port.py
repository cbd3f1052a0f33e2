"""Published ports on the command line: flags, `port`, the column of `ps`, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.program import Program

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network")]

DISCARDED = "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use\n"


@pytest.fixture
def pypod(engine) -> Iterator[Program]:
    program = Program(engine.layout.root)
    yield program
    program("pod", "rm", "-f", "-a", "-t", "0")
    program("rm", "-f", "-a", "-t", "0")
    subprocess.run(["nft", "flush", "ruleset"], check=True)


def test_a_container(pypod: Program, busybox: str) -> None:
    flags = ["--network", "bridge", "-p", "8080:80,127.0.0.1:53:53/udp", "-p", "9000-9001:90-91", "--name", "web"]
    identifier = pypod.ok("run", "-d", *flags, "--rootfs", busybox, "sleep", "300").strip()
    lines = {"53/udp -> 127.0.0.1:53", "80/tcp -> 0.0.0.0:8080", "90/tcp -> 0.0.0.0:9000", "91/tcp -> 0.0.0.0:9001"}
    assert set(pypod.ok("port", "web").splitlines()) == lines
    assert set(pypod.ok("port", "-l").splitlines()) == lines
    assert set(pypod.ok("container", "port", "-a").splitlines()) == {f"{identifier[:12]}\t{line}" for line in lines}
    assert pypod.ok("port", "web", "91") == "0.0.0.0:9001\n"
    assert pypod.ok("port", "-l", "53/udp") == "127.0.0.1:53\n"
    missing = pypod("port", "web", "53")
    assert (missing.returncode, missing.stderr) == (125, 'Error: failed to find published port "53"\n')
    shown = "0.0.0.0:8080->80/tcp, 0.0.0.0:9000-9001->90-91/tcp, 127.0.0.1:53->53/udp"
    assert pypod.ok("ps", "--format", "{{.Ports}}") == f"{shown}\n"
    assert shown in pypod.ok("ps")
    assert json.loads(pypod.ok("ps", "--format", "json"))[0]["Ports"][1] == {
        "host_ip": "",
        "container_port": 90,
        "host_port": 9000,
        "range": 2,
        "protocol": "tcp",
    }
    taken = pypod("run", "--rm", "--network", "bridge", "-p", "8080:80", "--rootfs", busybox, "true")
    assert taken.returncode == 126
    assert taken.stderr == (
        "Error: cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use: "
        "it is held by container web\n"
    )
    pypod.ok("stop", "-t", "0", "web")
    assert pypod.ok("port", "web") == ""


def test_a_pod_and_its_members(pypod: Program, busybox: str) -> None:
    pypod.ok("pod", "create", "--network", "bridge", "-p", "8080:80", "po")
    pypod.ok("run", "-d", "--pod", "po", "--name", "in", "--rootfs", busybox, "sleep", "300")
    assert pypod.ok("port", "in") == "80/tcp -> 0.0.0.0:8080\n"
    assert set(pypod.ok("ps", "--format", "{{.Ports}}").splitlines()) == {"0.0.0.0:8080->80/tcp"}
    assert len(pypod.ok("port", "-a").splitlines()) == 2  # also the infra's
    assert pypod.ok("pod", "inspect", "--format", "{{json .InfraConfig.PortBindings}}", "po") == (
        '{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}\n'
    )
    member = pypod("create", "--pod", "po", "-p", "81:81", "--rootfs", busybox, "true")
    assert member.returncode == 125
    assert "published or exposed ports must be defined when the pod is created: network cannot be" in member.stderr


def test_a_new_pod_takes_the_ports(pypod: Program, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPOD_NETWORK", "bridge")
    pypod.ok("run", "-d", "--pod", "new:po", "-p", "8080:80", "--name", "in", "--rootfs", busybox, "sleep", "300")
    assert pypod.ok("port", "in", "80") == "0.0.0.0:8080\n"
    steps = pypod.ok("run", "--explain", "--pod", "new:q", "-p", "8081:80", "--rootfs", busybox, "true")
    assert "hold port 8081/tcp on all addresses" in steps


def test_a_new_pod_has_the_network_that_was_asked_for(pypod: Program, busybox: str) -> None:
    pypod.ok("network", "create", "--subnet", "10.99.0.0/24", "blue")
    network = ["--network", "blue", "--ip", "10.99.0.9", "--mac-address", "92:d0:c6:0a:29:33", "--network-alias", "db"]
    files = ["--dns", "192.0.2.1", "--dns-search", "lan", "--add-host", "a:192.0.2.7", "--hostname", "front"]
    words = ["--pod", "new:po", "--name", "in", "-p", "8080:80", *network, *files, "--rootfs", busybox, "sleep", "300"]
    steps = pypod.ok("run", "--explain", "-d", *words)
    assert re.search(r"make veth \w+ on pypod1, its other end eth0 in the process", steps)
    assert "eth0: set up with 10.99.0.9/24, default route by 10.99.0.1" in steps
    assert "publish 0.0.0.0:8080->80/tcp" in steps
    assert "set the hostname front" in steps
    assert pypod.ok("pod", "ps", "-q") == ""
    pypod.ok("run", "-d", *words)
    assert pypod.ok("port", "in") == "80/tcp -> 0.0.0.0:8080\n"
    assert pypod.ok("pod", "inspect", "po", "--format", "{{.Hostname}} {{.InfraConfig.Networks}}") == "front [blue]\n"
    aliases = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}} {{index .Aliases 0}}{{end}}"
    assert pypod.ok("inspect", "in", "--format", aliases) == "10.99.0.9 92:d0:c6:0a:29:33 db\n"
    assert pypod.ok("exec", "in", "cat", "/etc/resolv.conf") == "search lan\nnameserver 192.0.2.1\n"
    assert "192.0.2.7\ta\n" in pypod.ok("exec", "in", "cat", "/etc/hosts")
    assert pypod.ok("exec", "in", "hostname") == "front\n"


@pytest.mark.parametrize("network", ["host", "none"])
def test_where_there_is_nothing_to_publish_it_is_said(pypod: Program, busybox: str, network: str) -> None:
    done = pypod("create", "--network", network, "-p", "80:80", "--rootfs", busybox, "true")
    assert (done.returncode, done.stderr) == (0, DISCARDED)
    assert pypod.ok("create", "--network", network, "-P", "--expose", "90", "--rootfs", busybox, "true")


def test_exposed_ports_are_published_at_random_ports(pypod: Program, busybox: str) -> None:
    flags = ["--network", "bridge", "-P", "--expose", "70-71", "--expose", "72/udp", "--name", "all"]
    pypod.ok("run", "-d", *flags, "--rootfs", busybox, "sleep", "300")
    lines = pypod.ok("port", "all").splitlines()
    assert sorted(line.partition(" ")[0] for line in lines) == ["70/tcp", "71/tcp", "72/udp"]
