"""The names on a network, and the answer to a query. Pure: a function tells which containers are running."""

from __future__ import annotations

from pypod.model.value import Value
from pypod.network.dns import message
from pypod.network.dns.message import AAAA, ANY, IN, NO_SUCH_NAME, PTR, REFUSED, SERVER_FAILURE, TRANSFERS, A

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypod.network.dns.message import Query

DOMAIN = "dns.podman"


class Entry(Value):
    """Names of the same packed addresses, valid while all of ``runners`` (container ids) run."""

    names: tuple[str, ...]
    addresses: tuple[bytes, ...]
    runners: tuple[str, ...]


class Names:
    """The entries of one network, by name and by address. DNS names are case-insensitive."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_name: dict[str, list[Entry]] = {}
        self.by_address: dict[bytes, list[Entry]] = {}
        for entry in entries:
            for name in dict.fromkeys(name.lower() for name in entry.names):
                self.by_name.setdefault(name, []).append(entry)
            for address in entry.addresses:
                self.by_address.setdefault(address, []).append(entry)


class View(Value):
    """What one client sees: names of its networks, and servers (addresses as text) to forward all other queries to.

    ``subnets`` are (address, prefix length) of these networks: no other server knows names for addresses in them.
    With ``internal`` nothing is forwarded.
    """

    networks: tuple[Names, ...]
    is_running: Callable[[str], bool]
    subnets: tuple[tuple[bytes, int], ...] = ()
    servers: tuple[str, ...] = ()
    internal: bool = False

    def addresses(self, name: str) -> list[bytes] | None:
        """Return the addresses of running containers with a name; None when there are none."""
        found = [
            entry.addresses for names in self.networks for entry in names.by_name.get(name, ()) if self._is_up(entry)
        ]
        return list(dict.fromkeys(address for addresses in found for address in addresses)) if found else None

    def names(self, address: bytes) -> list[str]:
        """Return the names of running containers with an address."""
        found = [
            entry.names for names in self.networks for entry in names.by_address.get(address, ()) if self._is_up(entry)
        ]
        return list(dict.fromkeys(name.lower() for names in found for name in names))

    def _is_up(self, entry: Entry) -> bool:
        return all(map(self.is_running, entry.runners))


def is_within(address: bytes, subnets: Iterable[tuple[bytes, int]]) -> bool:
    """Return whether a packed address lies in one of the subnets."""
    number = int.from_bytes(address, "big")
    return any(
        len(address) == len(network) and not (number ^ int.from_bytes(network, "big")) >> 8 * len(network) - bits
        for network, bits in subnets
    )


def answer(query: Query, view: View | None, turn: int = 0) -> bytes | None:
    """Return the answer to a query; None when it must be forwarded to the servers of ``view``.

    ``view`` is None for a client that is not served. Several addresses are rotated with each ``turn``.
    """
    if query.error:
        return message.pack(query, query.error, authoritative=False)
    if view is None or query.cls not in (IN, ANY) or query.kind in TRANSFERS:
        return message.pack(query, REFUSED, authoritative=False)
    own = _reverse(query, view) or _forward(query, view, turn)
    if own is not None:
        return own
    if view.internal:
        return message.pack(query, NO_SUCH_NAME)
    return None if view.servers else message.pack(query, SERVER_FAILURE, authoritative=False)


def _forward(query: Query, view: View, turn: int) -> bytes | None:
    name = query.name.removesuffix(f".{DOMAIN}")
    addresses = view.addresses(name)
    if addresses is not None or query.name == DOMAIN:
        wanted = {A: (4,), AAAA: (16,), ANY: (4, 16)}.get(query.kind, ())
        records = [(A if len(one) == 4 else AAAA, one) for one in addresses or () if len(one) in wanted]
        first = turn % len(records) if records else 0
        return message.pack(query, records=records[first:] + records[:first])
    # Other servers do not know the domain, and would receive only typos of single-label names.
    if name != query.name or (name and "." not in name and query.kind in (A, AAAA, ANY)):
        return message.pack(query, NO_SUCH_NAME)
    return None


def _reverse(query: Query, view: View) -> bytes | None:
    address = message.reversed_address(query.name)
    if address is None:
        return None
    names = view.names(address)
    if not names and not is_within(address, view.subnets):
        return None
    encoded = filter(None, map(message.encode_name, names)) if query.kind in (PTR, ANY) else ()
    code = message.NO_ERROR if names else NO_SUCH_NAME
    return message.pack(query, code, [(PTR, name) for name in encoded])
