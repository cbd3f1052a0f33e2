"""Networks, their connections and their allocated addresses. Functions over a database.

A row of ``connections`` is what was asked for and lasts as long as its container (a pod's are its infra's). A row of
``addresses`` is an allocated address; it and a connection's ``attachment``, the result of a start, go at its end.
"""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchNetwork, StoreError
from pypod.model.ids import is_id
from pypod.model.network import Connection, Endpoint, NetworkSpec, Route, Subnet, address_number
from pypod.store.rows import parse_value, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection as Database_Connection

    from pypod.store.database import Database

NETWORK = "network"
_REMEMBERED = 1000
_read: dict[str, NetworkSpec] = {}


def add(connection: Database_Connection, spec: NetworkSpec) -> None:
    """Insert a network. Raises AlreadyExists when the name is taken."""
    holder = connection.execute("SELECT id FROM networks WHERE name = ?", (spec.name,)).fetchone()
    if holder:
        raise AlreadyExists(NETWORK, spec.name, NETWORK, holder[0])
    connection.execute("INSERT INTO networks VALUES (?,?,?)", (spec.id, spec.name, to_json(spec)))
    _take_gateways(connection, spec)


def _take_gateways(connection: Database_Connection, spec: NetworkSpec) -> None:
    for subnet in spec.subnets:
        if subnet.gateway:
            take_address(connection, spec.id, address_number(subnet.gateway), "")


def replace(connection: Database_Connection, spec: NetworkSpec) -> None:
    """Replace a network's specification."""
    connection.execute("UPDATE networks SET spec = ? WHERE id = ?", (to_json(spec), spec.id))


def renumber(connection: Database_Connection, spec: NetworkSpec) -> None:
    """Replace a specification by one with other subnets; no address of the old ones is in use."""
    replace(connection, spec)
    connection.execute("DELETE FROM last_addresses WHERE network_id = ?", (spec.id,))
    connection.execute("DELETE FROM addresses WHERE network_id = ?", (spec.id,))
    _take_gateways(connection, spec)


def remove(database: Database, identifier: str) -> None:
    """Delete a network's row, unless a container is connected; it may be gone already."""
    unused = "id NOT IN (SELECT network_id FROM connections)"
    database.delete([(f"DELETE FROM networks WHERE id = ? AND {unused}", (identifier,))])  # noqa: S608


def find(database: Database, ref: str) -> NetworkSpec:
    """Return the network with a name, an id or the beginning of an id. Raises NoSuchNetwork, AmbiguousName."""
    rows = database.read("SELECT id, spec FROM networks WHERE id = ? OR name = ?", (ref, ref)) if ref.isascii() else []
    if not rows and is_id(ref):
        rows = database.read("SELECT id, spec FROM networks WHERE id >= ? AND id < ? LIMIT 8", (ref, f"{ref}g"))
    if not rows:
        raise NoSuchNetwork(ref)
    if len(rows) > 1:
        raise AmbiguousName(NETWORK, ref, tuple(row[0] for row in rows))
    return _spec(*rows[0])


def all_networks(database: Database) -> list[NetworkSpec]:
    """Return every network by name."""
    return [_spec(*row) for row in database.read("SELECT id, spec FROM networks ORDER BY name")]


def unused_networks(database: Database) -> list[NetworkSpec]:
    """Return the networks without connections, by name."""
    unused = "id NOT IN (SELECT network_id FROM connections)"
    return [_spec(*row) for row in database.read(f"SELECT id, spec FROM networks WHERE {unused} ORDER BY name")]  # noqa: S608


def names(database: Database) -> dict[str, str]:
    """Return the name of every network by its id."""
    return dict(database.read("SELECT id, name FROM networks"))


def names_of(database: Database, refs: Iterable[str]) -> set[str]:
    """Return the names of the networks that names, ids or beginnings of ids refer to; unknown ones are left out."""
    found = set()
    for ref in refs:
        try:
            found.add(find(database, ref).name)
        except NoSuchNetwork:
            continue
    return found


def names_of_container(database: Database, container_id: str) -> list[str]:
    """Return the names of a container's networks, in the order of its connections."""
    rows = database.read(
        "SELECT name FROM connections JOIN networks ON id = network_id WHERE container_id = ? ORDER BY position",
        (container_id,),
    )
    return [name for (name,) in rows]


def names_by_container(database: Database) -> dict[str, list[str]]:
    """Return the names of each container's networks, in the order of its connections."""
    found: dict[str, list[str]] = {}
    rows = database.read(
        "SELECT container_id, name FROM connections JOIN networks ON id = network_id ORDER BY container_id, position"
    )
    for container_id, name in rows:
        found.setdefault(container_id, []).append(name)
    return found


def _spec(identifier: str, text: str) -> NetworkSpec:
    """Parse a specification (0.1 ms), or return the cached value for the same text."""
    spec = _read.get(text)
    if spec is None:
        if len(_read) >= _REMEMBERED:
            _read.clear()
        spec = _read[text] = parse_value(NetworkSpec, identifier, text, {"subnets": Subnet, "routes": Route})
    return spec


def restore(connection: Database_Connection, container_id: str, asked: str, made: str, network: str) -> str:
    """Insert a connection whose row was lost, with its network and addresses; return why it failed, or an empty string.

    The strings are the ``to_json`` output of the connection, of the result of its start, and of the network.
    """
    try:
        spec, wanted = _spec("", network), _connection(container_id, asked)
        attachment = _attachment(container_id, made)
        if not connection.execute("SELECT 1 FROM networks WHERE id = ?", (spec.id,)).fetchone():
            add(connection, spec)
        connect(connection, container_id, wanted.replace(network=spec.id))
        if attachment is not None:
            attach(connection, container_id, attachment)
            for address in attachment.addresses:
                take_address(connection, spec.id, address_number(address.partition("/")[0]), container_id)
    except (StoreError, AlreadyExists, ValueError) as error:
        return str(error)
    return ""


def connect(connection: Database_Connection, container_id: str, asked: Connection) -> None:
    """Record that a container is to be connected; ``asked.network`` is the network's id.

    Raises NoSuchNetwork when the network was removed meanwhile.
    """
    if not connection.execute("SELECT 1 FROM networks WHERE id = ?", (asked.network,)).fetchone():
        raise NoSuchNetwork(asked.network)
    position = "(SELECT coalesce(max(position), -1) + 1 FROM connections WHERE container_id = ?)"
    connection.execute(
        f"INSERT INTO connections VALUES (?,?,{position},?,'')",  # noqa: S608
        (container_id, asked.network, container_id, to_json(asked)),
    )


def disconnect(database: Database, container_id: str, network_id: str) -> None:
    """Delete a connection and release its addresses."""
    database.delete(
        [
            ("DELETE FROM addresses WHERE container_id = ? AND network_id = ?", (container_id, network_id)),
            ("DELETE FROM connections WHERE container_id = ? AND network_id = ?", (container_id, network_id)),
        ]
    )


def connections_of(database: Database, container_id: str) -> list[tuple[Connection, Endpoint | None]]:
    """Return a container's connections in their order, each with the attachment of the last start."""
    rows = database.read(
        "SELECT asked, attachment FROM connections WHERE container_id = ? ORDER BY position", (container_id,)
    )
    return [(_connection(container_id, asked), _attachment(container_id, made)) for asked, made in rows]


def is_connected(database: Database, container_id: str) -> bool:
    """Return whether a container is connected to any network, or the pod with this id by its infra."""
    query = "SELECT 1 FROM connections WHERE container_id IN (SELECT ?1 UNION SELECT infra_id FROM pods WHERE id = ?1)"
    return bool(database.read(f"{query} LIMIT 1", (container_id,)))


def connected_to(database: Database, network_id: str) -> list[tuple[str, Connection, Endpoint | None]]:
    """Return the connections to a network: container id, what was asked for, and the attachment of the last start."""
    rows = database.read(
        "SELECT container_id, asked, attachment FROM connections WHERE network_id = ? ORDER BY container_id",
        (network_id,),
    )
    return [(one, _connection(one, asked), _attachment(one, made)) for one, asked, made in rows]


def _connection(identifier: str, text: str) -> Connection:
    return parse_value(Connection, identifier, text, {})


def _attachment(identifier: str, text: str) -> Endpoint | None:
    return parse_value(Endpoint, identifier, text, {}) if text else None


def attach(connection: Database_Connection, container_id: str, made: Endpoint) -> None:
    """Record the attachment that a start created for a connection."""
    connection.execute(
        "UPDATE connections SET attachment = ? WHERE container_id = ? AND network_id = ?",
        (to_json(made), container_id, made.network),
    )


def take_address(connection: Database_Connection, network_id: str, address: int, container_id: str) -> bool:
    """Allocate an address (a number, as in ``ipaddress``); return False when it is taken."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO addresses VALUES (?,?,?)", (network_id, _key(address), container_id)
    )
    return cursor.rowcount == 1


def holder_of(connection: Database_Connection, network_id: str, address: int) -> str:
    """Return the id of the container that has an address, or an empty string."""
    found = connection.execute(
        "SELECT container_id FROM addresses WHERE network_id = ? AND address = ?", (network_id, _key(address))
    ).fetchone()
    return found[0] if found else ""


def is_given(database: Database, network_id: str, address: int) -> bool:
    """Return whether an address is allocated."""
    return bool(
        database.read("SELECT 1 FROM addresses WHERE network_id = ? AND address = ?", (network_id, _key(address)))
    )


def next_address(connection: Database_Connection, network_id: str, first: int, last: int) -> int | None:
    """Return the free address after the last allocated one, from ``first`` to ``last``, wrapping around; None: full.

    An address that was just released is not reused at once: neighbours may still remember its previous holder.
    """
    row = connection.execute(
        "SELECT address FROM last_addresses WHERE network_id = ? AND first = ?", (network_id, _key(first))
    ).fetchone()
    start = int(row[0], 16) + 1 if row else first
    for lowest, highest in ((start, last), (first, min(start - 1, last))):
        candidate = lowest
        rows = connection.execute(
            "SELECT address FROM addresses WHERE network_id = ? AND address BETWEEN ? AND ? ORDER BY address",
            (network_id, _key(lowest), _key(highest)),
        )
        for (address,) in rows:
            if int(address, 16) != candidate:
                break
            candidate += 1
        if candidate <= highest:
            return candidate
    return None


def remember_address(connection: Database_Connection, network_id: str, first: int, address: int) -> None:
    """Record the last allocated address of the range that begins with ``first``."""
    connection.execute("REPLACE INTO last_addresses VALUES (?,?,?)", (network_id, _key(first), _key(address)))


def _key(address: int) -> str:
    # SQLite's integers have 64 bits, IPv6 addresses 128; as strings of equal length they sort correctly
    return f"{address:032x}"


def give_back(database: Database, container_id: str) -> None:
    """Release the addresses of a container that has ended, and forget its attachments."""
    database.delete(
        [
            ("DELETE FROM addresses WHERE container_id = ?", (container_id,)),
            ("UPDATE connections SET attachment = '' WHERE container_id = ?", (container_id,)),
        ]
    )


def is_attached_to(database: Database, network_id: str) -> bool:
    """Return whether any container is attached to a network."""
    statement = "SELECT 1 FROM connections WHERE network_id = ? AND attachment != '' LIMIT 1"
    return bool(database.read(statement, (network_id,)))


def any_attached(database: Database) -> bool:
    """Return whether any container is attached to any network."""
    return bool(database.read("SELECT 1 FROM connections WHERE attachment != '' LIMIT 1"))


def attached(database: Database) -> set[str]:
    """Return the ids of the containers that are attached to any network."""
    return {row[0] for row in database.read("SELECT DISTINCT container_id FROM connections WHERE attachment != ''")}


def holders(database: Database, network_id: str) -> list[str]:
    """Return the ids of the containers that have addresses of a network."""
    rows = database.read("SELECT DISTINCT container_id FROM addresses WHERE network_id = ?", (network_id,))
    return [row[0] for row in rows]
