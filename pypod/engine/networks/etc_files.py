"""/etc/hosts, /etc/hostname and /etc/resolv.conf as containers see them, one set per pod; /run/.containerenv."""

from __future__ import annotations

import os

from pypod.engine.core.effects import Effect
from pypod.engine.storage.layers import etc_file
from pypod.kernel.descriptors import read_whole
from pypod.kernel.idmap import in_user_namespace
from pypod.model.network import BRIDGE, packed_address
from pypod.model.network_flags import HOST_GATEWAY, NO_SEARCH
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypod.engine.networks.running import Attachment
    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.network.user_mode import UserMode
    from pypod.store.records import ContainerRecord

NAMES = ("hosts", "hostname", "resolv.conf")
SEARCH_DOMAIN = "dns.podman"  # of networks with name resolution
_HOST_NAMES = ("host.containers.internal", "host.docker.internal")
_LIMIT_BYTES = 1 << 20
# Where local stub resolvers list their upstream servers: systemd-resolved(8), NetworkManager.conf(5).
_REAL_FILES: dict[tuple[str, ...], str] = {
    ("127.0.0.53",): "/run/systemd/resolve/resolv.conf",
    ("127.0.0.1",): "/run/NetworkManager/no-stub-resolv.conf",
}
# podman's defaults, for a host whose own servers cannot be reached from a network namespace
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4")
_PUBLIC_SERVERS_IPV6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")


class Resolver(Value):
    """The content of a resolv.conf (resolv.conf(5))."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.search)}\n"] if self.search else []
        lines += [f"nameserver {server}\n" for server in self.servers]
        return "".join([*lines, f"options {' '.join(self.options)}\n" if self.options else ""])


def network_files(
    directory: str,
    spec: ContainerSpec | PodSpec,
    hostname: str,
    names: Iterable[str],
    attached: Sequence[Attachment] = (),
    *,
    on_host: bool = False,
    running: bool = False,
    layers: Sequence[str] = (),
) -> Effect:
    """Return what writes the files into ``directory``, for a container that is ``attached`` or in the host's network.

    The order in hosts is podman's: added entries, the host's own, then those missing in both: names of the host, and
    ``hostname`` and ``names`` at the container's addresses. A ``running`` container keeps the same inodes. ``layers``
    are the directories of its image, the uppermost first, for a specification that starts from the image's file.
    """
    return Effect(
        f"write {', '.join(NAMES)} in {directory}",
        "hosts(5)",
        lambda: _write_network_files(
            directory, spec, hostname, names, attached, layers, on_host=on_host, running=running
        ),
    )


def _write_network_files(
    directory: str,
    spec: ContainerSpec | PodSpec,
    hostname: str,
    names: Iterable[str],
    attached: Sequence[Attachment],
    layers: Sequence[str],
    *,
    on_host: bool,
    running: bool,
) -> None:
    if not running:  # the last file marks the set as complete
        _unlink(f"{directory}/{NAMES[-1]}")
    own = tuple(dict.fromkeys((hostname, *names)))
    mode = _mode(spec)
    hosts = _hosts(spec, _base(spec.hosts_file, layers), own, attached, mode, on_host=on_host)
    contents = (hosts, f"{hostname}\n", _resolv_conf(spec, attached, mode))
    for name, content in zip(NAMES, contents, strict=True):
        _write(f"{directory}/{name}", content)


def _mode(spec: ContainerSpec | PodSpec) -> UserMode | None:
    if not spec.net_program:
        return None
    from pypod.network.user_mode import parse

    return parse(spec.net_program)


def _base(path: str, layers: Sequence[str]) -> str:
    """Return the text that /etc/hosts starts from: the host's, a file's, or that of an image."""
    if path == "none":
        return ""
    return etc_file(layers, "hosts") if path == "image" else _host_file(path or "/etc/hosts")


def _hosts(
    spec: ContainerSpec | PodSpec,
    base: str,
    own: tuple[str, ...],
    attached: Sequence[Attachment],
    mode: UserMode | None,
    *,
    on_host: bool,
) -> str:
    add_hosts = spec.add_hosts
    needed = any(one.endswith(HOST_GATEWAY) for one in add_hosts)
    host_address = _host_address(attached, mode, on_host=on_host, needed=needed)
    reached = _first_address() if on_host else host_address
    named_address = "" if spec.host_address == "none" else spec.host_address or reached
    entries: list[tuple[str, tuple[str, ...]]] = []
    for entry in add_hosts:
        name, _, address = entry.partition(":")
        address = host_address if address == HOST_GATEWAY else address
        entries += [(address, (name,))] if address else []  # the host no longer has the address
    for line in base.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        entries += [(address, tuple(names))] if names else []
    known = {name for _, found in entries for name in found}
    addresses = [one.partition("/")[0] for attachment in attached for one in attachment.made.addresses]
    if mode:
        addresses = [address for address in (mode.address or _first_address(),) if address]
    more: list[tuple[str, tuple[str, ...]]] = [("127.0.0.1", ("localhost",)), ("::1", ("localhost",))]
    more += [(named_address, _HOST_NAMES)] if (attached or mode or on_host) and named_address else []
    if not on_host:
        more += [(address, own) for address in addresses or ["127.0.0.1"]]
    for address, found in more:
        free = tuple(name for name in found if name not in known)
        entries += [(address, free)] if free else []
    return "".join([f"{address}\t{' '.join(found)}\n" for address, found in entries])


def _host_address(attached: Sequence[Attachment], mode: UserMode | None, *, on_host: bool, needed: bool) -> str:
    """Return an address that reaches the host: its bridge's, or one of its other interfaces'."""
    if mode or (attached and in_user_namespace()):
        from pypod.engine.networks.user_network import host_address, host_of_default

        # the gateway of a bridge is in a namespace of the user's, which a program connects
        return host_address(mode) if mode else host_of_default()
    bridges = [attachment.network for attachment in attached if attachment.network.driver == BRIDGE]
    gateways = [subnet.gateway for network in bridges for subnet in network.subnets if subnet.gateway]
    for gateway in sorted(gateways, key=lambda one: ":" in one):
        return gateway
    if not attached and not (on_host and needed):
        return "127.0.0.1"
    return _first_address() or "127.0.0.1"


def _first_address() -> str:
    from pypod.network.host import first_address

    return first_address()


def _resolv_conf(spec: ContainerSpec | PodSpec, attached: Sequence[Attachment], mode: UserMode | None) -> str:
    given = Resolver(servers=spec.dns_servers, search=spec.dns_search, options=spec.dns_options)
    text = _host_file("/etc/resolv.conf")
    if mode:
        found = parse_resolv_conf(text)
        # servers listening beyond the host's loopback are kept for queries over TCP
        servers = (mode.name_server, *(one for one in found.servers if not _is_loopback(one)))
        return str(_merged(given, found, Resolver(servers=servers)))
    if not attached:
        return text if given == Resolver() else str(_merged(given, parse_resolv_conf(text), Resolver()))
    found = parse_resolv_conf(text)
    if path := _REAL_FILES.get(found.servers):
        found = parse_resolv_conf(_host_file(path) or text)
    named = [
        attachment.network for attachment in attached if attachment.network.dns and attachment.network.driver == BRIDGE
    ]
    gateways = tuple(subnet.gateway for network in named for subnet in network.subnets if subnet.gateway)
    own = Resolver(servers=gateways, search=(SEARCH_DOMAIN,) if gateways else ())
    ipv6 = any(":" in one for attachment in attached for one in attachment.made.addresses)
    return str(_merged(given, found.replace(servers=_reachable(found.servers, ipv6=ipv6)), own))


def _merged(given: Resolver, found: Resolver, own: Resolver) -> Resolver:
    """Prefer what was asked for over the networks' own, and that over the host's.

    The host's servers are not listed beside a network's: some resolvers ask all at once, and trust any that says
    NXDOMAIN.
    """
    # given servers do not know the networks' domain
    domains = () if given.servers else own.search
    search = () if NO_SEARCH in given.search else given.search or tuple(dict.fromkeys((*domains, *found.search)))
    return Resolver(
        servers=given.servers or own.servers or found.servers, search=search, options=given.options or found.options
    )


def parse_resolv_conf(text: str) -> Resolver:
    """Parse a resolv.conf: the last search and options lines win, and invalid server addresses are ignored."""
    servers: list[str] = []
    values: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest and _is_address(rest[0]):
            servers.append(rest[0])
        elif word in ("search", "domain", "options"):
            values["search" if word == "domain" else word] = tuple(rest)
    return Resolver(servers=tuple(servers), search=values.get("search", ()), options=values.get("options", ()))


def _is_address(text: str) -> bool:
    try:
        packed_address(text.partition("%")[0])
    except (OSError, ValueError):  # ValueError: an embedded NUL
        return False
    return True


def _reachable(servers: Iterable[str], *, ipv6: bool) -> tuple[str, ...]:
    """Return the servers reachable from a separate network namespace, podman's public ones if there are none."""
    found = tuple(one for one in servers if not _is_loopback(one) and (ipv6 or ":" not in one))
    return found or (*_PUBLIC_SERVERS, *(_PUBLIC_SERVERS_IPV6 if ipv6 else ()))


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def are_complete(directory: str) -> bool:
    """Return whether ``network_files`` completed: the last file exists only then."""
    return os.path.exists(f"{directory}/{NAMES[-1]}")


def container_env(path: str, record: ContainerRecord, *, rootless: bool) -> Effect:
    """Return what writes a privileged container's own file, in podman's form; for others it is empty."""
    fields = {
        "engine": "pypod",
        "name": record.name,
        "id": record.id,
        "image": record.image,
        "imageid": record.image_id,
    }
    lines = [f"{key}={_quoted(value)}\n" for key, value in fields.items()]
    content = "".join((*lines, f"rootless={int(rootless)}\n"))
    return Effect(f"write {path}", "open(2)", lambda: _write(path, content))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _host_file(path: str) -> str:
    """Return the content of a host file, empty when it is missing or not regular, without blocking on a FIFO."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return read_whole(fd, _LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _write(path: str, content: str) -> None:
    # In place: running containers have this inode bind-mounted.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, content.encode())
    finally:
        os.close(fd)
