"""Networks, who is connected to them, and which addresses are given away. Functions over a database.

A row of ``connections`` is what was asked and lasts as long as its container (a pod's are its infra's). A row of
``addresses`` is an address given away; that and a connection's ``attachment``, what a start made of it, go at its end.
"""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchNetwork
from pypod.model.ids import is_id
from pypod.model.network import Attachment, Connection, NetworkSpec, Route, Subnet
from pypod.store.records import parse_value, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection as Database_Connection

    from pypod.store.database import Database

NETWORK = "network"


def add(connection: Database_Connection, spec: NetworkSpec) -> None:
    """Insert a network. Raises AlreadyExists when the name is taken."""
    holder = connection.execute("SELECT id FROM networks WHERE name = ?", (spec.name,)).fetchone()
    if holder:
        raise AlreadyExists(NETWORK, spec.name, NETWORK, holder[0])
    connection.execute("INSERT INTO networks VALUES (?,?,?)", (spec.id, spec.name, to_json(spec)))


def replace(connection: Database_Connection, spec: NetworkSpec) -> None:
    """Write a network's specification anew."""
    connection.execute("UPDATE networks SET spec = ? WHERE id = ?", (to_json(spec), spec.id))


def remove(database: Database, identifier: str) -> None:
    """Delete a network's row; it may be gone already. The caller has seen to it that nobody is connected."""
    database.delete([("DELETE FROM networks WHERE id = ?", (identifier,))])


def find(database: Database, ref: str) -> NetworkSpec:
    """Return the network that a name, an id or the beginning of one names. Raises NoSuchNetwork, AmbiguousName."""
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


def _spec(identifier: str, text: str) -> NetworkSpec:
    return parse_value(NetworkSpec, identifier, text, {"subnets": Subnet, "routes": Route})


def connect(connection: Database_Connection, container_id: str, asked: Connection) -> None:
    """Write down that a container is to be connected; ``asked.network`` is the network's id.

    Raises NoSuchNetwork when that was removed meanwhile.
    """
    if not connection.execute("SELECT 1 FROM networks WHERE id = ?", (asked.network,)).fetchone():
        raise NoSuchNetwork(asked.network)
    position = "(SELECT coalesce(max(position), -1) + 1 FROM connections WHERE container_id = ?)"
    connection.execute(
        f"INSERT INTO connections VALUES (?,?,{position},?,'')",  # noqa: S608
        (container_id, asked.network, container_id, to_json(asked)),
    )


def disconnect(database: Database, container_id: str, network_id: str) -> None:
    """Forget a connection and give its addresses back."""
    database.delete(
        [
            ("DELETE FROM addresses WHERE container_id = ? AND network_id = ?", (container_id, network_id)),
            ("DELETE FROM connections WHERE container_id = ? AND network_id = ?", (container_id, network_id)),
        ]
    )


def connections_of(database: Database, container_id: str) -> list[tuple[Connection, Attachment | None]]:
    """Return a container's connections in their order, each with what the last start made of it."""
    rows = database.read(
        "SELECT asked, attachment FROM connections WHERE container_id = ? ORDER BY position", (container_id,)
    )
    return [(_connection(container_id, asked), _attachment(container_id, made)) for asked, made in rows]


def connected_to(database: Database, network_id: str) -> list[tuple[str, Connection, Attachment | None]]:
    """Return who is connected to a network: container id, what was asked, what a start made of it."""
    rows = database.read(
        "SELECT container_id, asked, attachment FROM connections WHERE network_id = ? ORDER BY container_id",
        (network_id,),
    )
    return [(one, _connection(one, asked), _attachment(one, made)) for one, asked, made in rows]


def _connection(identifier: str, text: str) -> Connection:
    return parse_value(Connection, identifier, text, {})


def _attachment(identifier: str, text: str) -> Attachment | None:
    return parse_value(Attachment, identifier, text, {}) if text else None


def attach(connection: Database_Connection, container_id: str, made: Attachment) -> None:
    """Write down what a start made of a connection."""
    connection.execute(
        "UPDATE connections SET attachment = ? WHERE container_id = ? AND network_id = ?",
        (to_json(made), container_id, made.network),
    )


def take_address(connection: Database_Connection, network_id: str, address: int, container_id: str) -> bool:
    """Give an address (a number, as in ``ipaddress``) away; return False when somebody has it."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO addresses VALUES (?,?,?)", (network_id, _key(address), container_id)
    )
    return cursor.rowcount == 1


def taken(connection: Database_Connection, network_id: str, first: int, last: int) -> list[tuple[int, str]]:
    """Return the addresses from ``first`` to ``last`` that are given away, in their order, and to whom."""
    rows = connection.execute(
        "SELECT address, container_id FROM addresses WHERE network_id = ? AND address BETWEEN ? AND ? ORDER BY address",
        (network_id, _key(first), _key(last)),
    )
    return [(int(address, 16), holder) for address, holder in rows]


def _key(address: int) -> str:
    # SQLite's integers have 64 bits, IPv6 addresses 128; as text of one length they keep their order
    return f"{address:032x}"


def give_back(database: Database, container_ids: Iterable[str]) -> None:
    """Take the addresses of containers that have ended back, and forget what their starts made."""
    for one in container_ids:
        database.delete(
            [
                ("DELETE FROM addresses WHERE container_id = ?", (one,)),
                ("UPDATE connections SET attachment = '' WHERE container_id = ?", (one,)),
            ]
        )
