"""Published ports: what leads from the host into a container."""

from __future__ import annotations

from pypod.model.value import Value

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}  # IPPROTO_* of netinet/in.h


class Port(Value):
    """``count`` ports from ``host_port`` on the host's address ``host_ip`` (empty: all) lead to ``container_port``."""

    container_port: int
    host_port: int
    host_ip: str = ""
    protocol: str = "tcp"
    count: int = 1
