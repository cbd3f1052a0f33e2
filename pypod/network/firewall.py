"""The host's firewall: one table of ours with constant rules, and elements in its sets and maps.

``table.nft`` has the rules and is loaded once by ``nft``. Networks and ports are elements, sent to the kernel directly
(pypod/network/nftables.py): one transaction for a network, one element for a port.
"""

from __future__ import annotations

import os
import sys

from pypod.errors import Unsupported
from pypod.kernel.netlink import NETFILTER, Channel
from pypod.model.network import BRIDGE, packed_address
from pypod.model.port import PROTOCOLS
from pypod.network.nftables import (
    DATA,
    KEY,
    KEY_END,
    add_elements,
    batch,
    change_elements,
    delete_elements,
    dump,
    element,
    has,
    has_destroy,
    value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import TypeVar

    from pypod.model.network import NetworkSpec
    from pypod.model.port import Port
    from pypod.network.nftables import Element

    T = TypeVar("T")

VERSION = 2  # of the rules: a newer pypod replaces an older one's
TABLE_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "table.nft")
_PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"  # $PATH may lack nft's directory
_INTERFACE_BYTES = 16  # IFNAMSIZ
_MAPS = (("published4", 4), ("published6", 16), ("published_at4", 4), ("published_at6", 16))
_NETWORK_SETS = "bridges", "same", "internal", "isolated", "homes4", "homes6"
_BATCH_BYTES = 100_000  # a transaction is one datagram: half of net.core.wmem_default

Range = tuple[bytes, bytes]  # packed addresses


def _field(data: bytes) -> bytes:
    """The fields of a concatenation are padded to whole words."""
    return data + b"\0" * (-len(data) % 4)


def _interface(name: str) -> bytes:
    return name.encode().ljust(_INTERFACE_BYTES, b"\0")


# networks


def _network_elements(network: NetworkSpec) -> list[Element]:
    if network.driver != BRIDGE:
        return []
    bridge = _interface(network.interface)
    found = [element("bridges", bridge), element("same", bridge + bridge)]
    found += [element("internal", bridge)] if network.internal else []
    found += [element("isolated", bridge)] if network.option("isolate") in ("true", "1", "strict") else []
    for lowest, highest in ranges_of(network):
        name = "homes4" if len(lowest) == 4 else "homes6"
        found.append(element(name, bridge + lowest, end=bridge + highest))
    return found


def ranges_of(network: NetworkSpec) -> list[Range]:
    """Return the first and the last address of each of a network's subnets."""
    found = []
    for one in network.subnets:
        text, _, prefix = one.subnet.partition("/")
        lowest = packed_address(text)
        hosts = (1 << 8 * len(lowest) - int(prefix)) - 1
        found.append((lowest, (int.from_bytes(lowest, "big") | hosts).to_bytes(len(lowest), "big")))
    return found


def known_ranges(channel: Channel, interface: str) -> list[Range]:
    """Return the first and the last address of each subnet registered for a bridge. Raises OSError."""
    wanted = _interface(interface)
    return [
        (key[_INTERFACE_BYTES:], end[_INTERFACE_BYTES:])
        for name in ("homes4", "homes6")
        for own, (key, end) in _keys(channel, name)
        if own == wanted and end
    ]


def admit(network: NetworkSpec) -> bytes:
    """Return the transaction that registers a network. It is idempotent."""
    return batch(add_elements(_network_elements(network)))


def knows(channel: Channel, network: NetworkSpec) -> bool:
    """Return whether everything that ``admit`` adds is there. Raises OSError."""
    return all(has(channel, one, one) for one in _network_elements(network))


def known_bridges(channel: Channel) -> set[str]:
    """Return the interfaces registered as bridges of networks. Raises OSError."""
    return {one.rstrip(b"\0").decode("utf-8", "replace") for name in _NETWORK_SETS for one, _ in _keys(channel, name)}


def forget(channel: Channel, interface: str) -> None:
    """Remove everything registered for a bridge, whatever network it belonged to. Raises OSError."""
    wanted = _interface(interface)

    def change() -> Iterator[bytes]:
        found = [
            element(name, key, end=end)
            for name in _NETWORK_SETS
            for own, (key, end) in _keys(channel, name)
            if own == wanted
        ]
        return delete_elements(found, destroy=False)

    change_elements(channel, change)


def _keys(channel: Channel, name: str) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Yield for each key of a set its leading interface, the key, and the range's end."""
    for one in dump(channel, name):
        key = value(one, KEY)
        yield key[:_INTERFACE_BYTES], (key, value(one, KEY_END))


# ports


def _ways(
    ports: Iterable[Port], address4: str, address6: str, comment: str = "", *, keys_only: bool = False
) -> Iterator[Element]:
    for family, address in (("4", address4), ("6", address6)):
        if not address:
            continue
        target = packed_address(address.partition("/")[0])
        for port in ports:
            if port.host_ip and (":" in port.host_ip) != (family == "6"):
                continue
            own = packed_address(port.host_ip) if port.host_ip else b""
            name = f"published_at{family}" if any(own) else f"published{family}"
            before = (own if any(own) else b"") + _field(bytes((PROTOCOLS[port.protocol],)))
            for at in range(port.count):
                data = b"" if keys_only else target + _field((port.container_port + at).to_bytes(2, "big"))
                key = before + _field((port.host_port + at).to_bytes(2, "big"))
                yield element(name, key, data, comment=comment if data else "")


def publish(
    ports: Sequence[Port], address4: str, address6: str = "", *, comment: str = "", destroy: bool | None = None
) -> bytes:
    """Return the transaction that forwards host ports to a container's addresses (with or without a prefix length).

    ``comment`` is what nft shows with it. Elements that a crash left for the same ports are replaced; before Linux 6.3
    they cause EEXIST, until ``withdraw_own`` or a reload removes them.
    """
    can = has_destroy() if destroy is None else destroy
    old = delete_elements(_ways(ports, address4, address6, keys_only=True), destroy=True) if can else ()
    return batch((*old, *add_elements(_ways(ports, address4, address6, comment))))


def withdraw(ports: Sequence[Port], address4: str, address6: str = "", *, destroy: bool | None = None) -> bytes:
    """Return the transaction that stops forwarding ports, wherever they lead: for the holder of the ports.

    Before Linux 6.3 it fails when one of them is missing.
    """
    return batch(delete_elements(_ways(ports, address4, address6, keys_only=True), destroy=destroy))


def withdraw_own(channel: Channel, ports: Sequence[Port], address4: str, address6: str = "") -> None:
    """Stop forwarding to these addresses, but keep what is forwarded elsewhere by now.

    For a caller who no longer holds the ports: once a container has ended, another may have published them. Raises
    OSError.
    """

    def change() -> Iterator[bytes]:
        keys = tuple(_ways(ports, address4, address6, keys_only=True))
        whole = tuple(_ways(ports, address4, address6))
        mine = [key for key, way in zip(keys, whole, strict=True) if has(channel, key, way)]
        return delete_elements(mine, destroy=False)

    change_elements(channel, change)


def withdraw_ways(channel: Channel, ranges: Collection[Range]) -> None:
    """Stop forwarding to addresses in some ranges, whoever published the ports. Raises OSError."""

    def change() -> Iterator[bytes]:
        found = [
            element(name, value(one, KEY))
            for name, size in _MAPS
            for one in dump(channel, name)
            if any(len(first) == size and first <= value(one, DATA)[:size] <= last for first, last in ranges)
        ]
        return delete_elements(found, destroy=False)

    change_elements(channel, change)


def listed(channel: Channel) -> list[tuple[str, str, int, str, int]]:
    """Return the forwarded ports: protocol, host address (empty: all), port, address and port inside.

    A port published on all addresses of both families is listed twice. Raises OSError.
    """
    import _socket

    names = {number: name for name, number in PROTOCOLS.items()}
    found = []
    for family, size, at in ((4, 4, 0), (6, 16, 0), (4, 4, 4), (6, 16, 16)):
        kind = _socket.AF_INET if family == 4 else _socket.AF_INET6
        for one in dump(channel, f"published{'_at' if at else ''}{family}"):
            key, data = value(one, KEY), value(one, DATA)
            own = _socket.inet_ntop(kind, key[:at]) if at else ""
            inside = _socket.inet_ntop(kind, data[:size]), int.from_bytes(data[size : size + 2], "big")
            found.append((names[key[at]], own, int.from_bytes(key[at + 4 : at + 6], "big"), *inside))
    return found


# the table


def ensure_table(channel: Channel, *, again: bool = False) -> bool:
    """Load the rules when they are missing, an older pypod's, or in any case with ``again``; return whether they were.

    Existing elements are kept. Raises Unsupported when nft or the kernel's part of it is missing.
    """
    if not again and table_version(channel) >= VERSION:
        return False
    import subprocess

    without = "or use no network (--network none) or the host's (--network host)"
    try:
        done = subprocess.run(
            ["nft", "-f", TABLE_FILE], capture_output=True, text=True, check=False, env={"PATH": _PROGRAMS}
        )
    except (FileNotFoundError, PermissionError):
        message = "bridge networks need the program nft, which is not installed"
        raise Unsupported("nftables", message, hint=f"apt-get install nftables; {without}") from None
    if done.returncode:
        first = done.stderr.strip().partition("\n")[0]
        # Debian's User-Mode Linux has nftables without NAT
        hint = "the kernel needs nftables with NAT (CONFIG_NF_TABLES, CONFIG_NFT_NAT: modprobe nft_nat)"
        if done.returncode < 0:
            # 1.0.6 crashes on sets made by a later version, as by a container with the host's network
            first = f"killed by signal {-done.returncode}"
            hint = "a later nftables may be able to read the tables that exist"
        raise Unsupported("nftables", f"the firewall's rules cannot be loaded: nft: {first}", hint=f"{hint}; {without}")
    return True


def table_version(channel: Channel) -> int:
    """Return the version of the loaded rules, 0 without any. Raises Unsupported."""
    try:
        found = dump(channel, "version")
    except OSError as error:
        raise Unsupported("nftables", f"the kernel's firewall does not answer: {error.strerror}") from error
    return max((int.from_bytes(value(one, KEY), sys.byteorder) for one in found), default=0)


def open_channel() -> Channel:
    """Return a channel to this network namespace's firewall. Raises Unsupported."""
    try:
        return Channel(NETFILTER)
    except OSError as error:
        raise Unsupported("nftables", f"the kernel has no netfilter: {error.strerror}") from error


class Channels:
    """A pool of channels.

    Closing one waits for elements that any process deleted just before, some 10 ms (nft_rcv_nl_event in
    net/netfilter/nf_tables_api.c).
    """

    def __init__(self) -> None:
        self._kept: list[tuple[tuple[int, int, int], Channel]] = []

    def lend(self, use: Callable[[Channel], T]) -> T:
        """Call ``use`` with a channel of this thread's network namespace; return its result. Raises Unsupported."""
        here = _here()
        channel = self._take(here)
        try:
            done = use(channel)
        except BaseException:
            channel.close()  # it may have unread answers
            raise
        self._kept.append((here, channel))
        return done

    def _take(self, here: tuple[int, int, int]) -> Channel:
        for one in tuple(self._kept):
            if one[0] == here:
                try:
                    self._kept.remove(one)
                except ValueError:  # another thread took it
                    continue
                return one[1]
        return open_channel()

    def close(self) -> None:
        """Close the pooled channels."""
        while self._kept:
            self._kept.pop()[1].close()


def _here() -> tuple[int, int, int]:
    status = os.stat("/proc/thread-self/ns/net")
    return os.getpid(), status.st_dev, status.st_ino  # with the pid, since after a fork the channels are the parent's


Published = tuple["Sequence[Port]", str, str, str]  # ports, IPv4 address, IPv6 address, comment


def everything(networks: Iterable[NetworkSpec], ways: Iterable[Published]) -> Iterator[bytes]:
    """Yield the transactions that register networks and ports, whatever exists already."""
    for network in networks:
        if network.driver == BRIDGE:
            yield admit(network)
    ready: list[bytes] = []
    for ports, address4, address6, comment in ways:
        ready += delete_elements(_ways(ports, address4, address6, keys_only=True)) if has_destroy() else ()
        ready += add_elements(_ways(ports, address4, address6, comment))
        if sum(map(len, ready)) > _BATCH_BYTES:
            yield batch(ready)
            ready = []
    if ready:
        yield batch(ready)
