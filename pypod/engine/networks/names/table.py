"""The names on networks, reread from the store when it changes; what runs is read from the kernel each time."""

from __future__ import annotations

import os
import time

from pypod.engine.core import observe
from pypod.engine.networks import user_network
from pypod.model.ids import short
from pypod.model.network import packed_address
from pypod.network.dns.names import Entry, Names, View, is_within
from pypod.store import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypod.engine.core.context import Context
    from pypod.store.names import Attached, Member, Zone

# How long a container may take from its addresses being allocated until it runs.
STARTING_S = 10.0
_RESOLV_CONF = "/etc/resolv.conf"
_SERVERS_LIMIT = 3  # MAXNS of resolv.h
_FILE_BYTES = 1 << 16


class _Network:
    """The names read for one network."""

    def __init__(self, zone: Zone, attached: Iterable[Attached], members: Iterable[Member]) -> None:
        self.zone = zone
        self.subnets = tuple(map(_subnet, zone.subnets))
        self.attached = tuple(attached)
        self.containers = frozenset(one.container_id for one in self.attached)
        self.holders = {_packed(text): one for one in self.attached for text in one.addresses}
        by_id = {one.pod_id: one for one in self.attached if one.pod_id}
        entries = [_entry(one) for one in self.attached]
        entries += [_member_entry(member, by_id[member.pod_id]) for member in members if member.pod_id in by_id]
        self.names = Names(entries)


def _subnet(text: str) -> tuple[bytes, int]:
    address, _, bits = text.partition("/")
    return packed_address(address), int(bits)


def _packed(address: str) -> bytes:
    return packed_address(address.partition("/")[0])


def _entry(one: Attached) -> Entry:
    own = (one.name, one.pod_name, short(one.container_id), short(one.pod_id), one.hostname, *one.aliases)
    addresses = tuple(map(_packed, one.addresses))
    return Entry(names=tuple(filter(None, own)), addresses=addresses, runners=(one.container_id,))


def _member_entry(member: Member, infra: Attached) -> Entry:
    """A member has the addresses of its pod's infra while both run."""
    addresses = tuple(map(_packed, infra.addresses))
    return Entry(names=(member.name, short(member.id)), addresses=addresses, runners=(infra.container_id, member.id))


class Table:
    """The names of the ``served`` networks, a set of ids that the caller maintains."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # one connection for the lifetime of the table: data_version is relative to a connection
        self._connection = context.database.take()
        self._version = -1
        self._networks: dict[str, _Network | None] = {}
        self._seen: dict[tuple[str, str], float] = {}
        self._resolv_conf = _ResolvConf(user_network.host_name_server() if context.rootless else "")
        self.served: set[str] = set()

    def has_changed(self) -> bool:
        """Return whether the store has changed since it was read."""
        return names.version(self._connection) != self._version

    def refresh(self) -> None:
        """Reread the networks when the store or the set of served networks has changed."""
        version = names.version(self._connection)  # first: later changes cause another read
        if version == self._version and self.served == self._networks.keys():
            return
        self._networks = {one: self._read(one) for one in self.served}
        self._version = version
        now = time.monotonic()
        starts = {(one.container_id, one.start) for network in self._known() for one in network.attached}
        self._seen = {start: self._seen.get(start, now) for start in starts}

    def _known(self) -> list[_Network]:
        return [one for one in self._networks.values() if one is not None]

    def _read(self, network_id: str) -> _Network | None:
        zone = names.zone(self._connection, network_id)
        if zone is None:  # removed meanwhile
            return None
        return _Network(zone, names.attached(self._connection, network_id), names.members(self._connection, network_id))

    def view(self, network_id: str, client: bytes) -> View | None:
        """Return what a client on a network sees; None for one that does not belong to the network.

        A client on several networks sees them all, those of the network it asked on first.
        """
        self.refresh()
        asked = self._networks.get(network_id)
        if asked is None or not is_within(client, asked.subnets):
            return None
        holder = asked.holders.get(client)
        seen = [asked]
        if holder is not None:
            seen += [one for one in self._known() if one is not asked and holder.container_id in one.containers]
        own = holder.servers if holder is not None else ()
        return View(
            networks=tuple(one.names for one in seen),
            is_running=self.is_running,
            subnets=tuple(subnet for one in seen for subnet in one.subnets),
            servers=own or asked.zone.servers or self._resolv_conf.servers(),
            internal=all(one.zone.internal for one in seen),
        )

    def is_running(self, container_id: str) -> bool:
        """Return whether a container is running."""
        return observe.running_process(self._context.layout.container(container_id), self._context.boot_id) is not None

    def runner(self, network_id: str) -> tuple[int, int] | None:
        """Return pid and start time of some container that is running on a network."""
        network = self._networks.get(network_id)
        for one in network.attached if network is not None else ():
            found = observe.running_process(self._context.layout.container(one.container_id), self._context.boot_id)
            if found is not None:
                return found
        return None

    def is_starting(self, network_id: str) -> bool:
        """Return whether a container may be about to run on a network: its address was allocated just now."""
        network = self._networks.get(network_id)
        since = time.monotonic() - STARTING_S
        attached = network.attached if network is not None else ()
        return any(self._seen[one.container_id, one.start] > since for one in attached)


class _ResolvConf:
    """The host's name servers; the file is reread when it changes."""

    def __init__(self, for_loopback: str) -> None:
        """``for_loopback`` is an address that stands in for servers on the host's loopback, if not that itself."""
        self._for_loopback = for_loopback
        self._known: tuple[int, ...] = ()
        self._servers: tuple[str, ...] = ()

    def servers(self) -> tuple[str, ...]:
        """Return the addresses of up to three servers."""
        try:
            status = os.stat(_RESOLV_CONF)
            known = (status.st_ino, status.st_size, status.st_mtime_ns)
            if known != self._known:
                found = _name_servers(_RESOLV_CONF)
                if self._for_loopback:
                    found = tuple(self._for_loopback if one.startswith("127.") else one for one in found)
                self._servers, self._known = tuple(dict.fromkeys(found)), known
        except OSError:
            return ()
        return self._servers


def _name_servers(path: str) -> tuple[str, ...]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        lines = os.read(fd, _FILE_BYTES).decode("utf-8", "replace").splitlines()
    finally:
        os.close(fd)
    words = [line.split() for line in lines]
    return tuple(line[1] for line in words if len(line) > 1 and line[0] == "nameserver")[:_SERVERS_LIMIT]
