"""Published ports: a host with a network, another host beside it, and servers in containers and pods."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pypod.model.ids import new_id
from pypod.model.network import NetworkSpec, Subnet
from pypod.network import firewall
from pypod.store import networks
from tests.hosts import Here, Host, cable, run

SLEEP = ["sleep", "300"]
KINDS = pytest.mark.parametrize("kind", ["container", "pod"])


class Guest(Host):
    """The network namespace of a container or pod, as a host."""

    def __init__(self, state) -> None:
        self.name = "guest"
        self._pid = state.pid
        self._servers = []

    @property
    def pid(self) -> int:
        return self._pid

    def close(self) -> None:
        while self._servers:
            self._servers.pop().close()


@pytest.fixture
def lab(engine, busybox: str) -> Iterator[SimpleNamespace]:
    """A dual-stack network, another host beside this one, and guests that serve the published ports."""
    add(engine, "blue", "bl0", "10.99.0.0/24", "fd99::/64")
    other, guests = Host("other"), []

    def serve(started, *served: tuple[str, str, int]) -> Guest:
        container = started.infra if hasattr(started, "infra") else started
        guest = Guest(container.state())
        guests.append(guest)
        for protocol, address, port in served or (("tcp", "0.0.0.0", 80), ("tcp", "::", 80)):  # noqa: S104
            if address == "::":
                guest.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/bindv6only")
            guest.serve(protocol, address, port)
        return guest

    def container(*ports, command=SLEEP, network="blue", **options):
        return engine.containers.create(command, rootfs=busybox, network=network, ports=ports, **options)

    try:
        cable(other, "out", "eth0", ("192.0.2.2/24", "2001:db8::2/64"), ("192.0.2.1", "2001:db8::1"))
        for address in ("192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"):
            run("ip", "address", "add", address, "dev", "out", *(["nodad"] if ":" in address else []))
        yield SimpleNamespace(here=Here(), other=other, serve=serve, container=container, engine=engine)
    finally:
        for one in (other, *guests):
            one.close()
        for pod in engine.pods.list():
            pod.remove(force=True, timeout=0)
        for one in engine.containers.list(all=True):
            one.remove(force=True, timeout=0)
        subprocess.run(["nft", "flush", "ruleset"], check=True)


def add(engine, name: str, interface: str, *subnets: str) -> None:
    made = tuple(Subnet(subnet=one, gateway=one.replace("0/24", "1").replace("::/64", "::1")) for one in subnets)
    spec = NetworkSpec(id=new_id(), name=name, created_ns=0, interface=interface, subnets=made)
    with engine.database.transaction() as connection, connection:
        networks.add(connection, spec)


def elements() -> list[tuple[str, str, int, str, int]]:
    with firewall.open_channel() as channel:
        return sorted(firewall.listed(channel))


def can_be_had(port: int, protocol: str = "tcp", address: str = "") -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address, port))
        except OSError:
            return False
        return True


def started(lab, kind: str, *ports, **options):
    """Start a container or a pod that publishes ports, and return it."""
    if kind == "container":
        made = lab.container(*ports, **options)
    else:
        made = lab.engine.pods.create(network="blue", ports=ports, **options)
    made.start()
    return made
