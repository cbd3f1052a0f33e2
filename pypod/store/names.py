"""Names on a network, from the store. Functions over a database.

The specifications are read by SQLite's JSON functions: a name server, which lives as long as its networks, does not
need Python's otherwise, and one statement reads 300 connections in a millisecond.
"""

from __future__ import annotations

from pypod.model.value import Value
from pypod.store.records import INFRA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection as DatabaseConnection


class Zone(Value):
    """The naming configuration of a network: ``subnets`` in CIDR notation, and the servers for all other names."""

    subnets: tuple[str, ...]
    servers: tuple[str, ...]
    internal: bool


class Attached(Value):
    """A container (or a pod's infra, for the pod) that was started on a network, and may have ended since.

    ``addresses`` are in CIDR notation; ``servers`` are the name servers it asked for; ``pod_id`` and ``pod_name`` are
    of the pod that it is the infra of; ``start`` is a different string after each start.
    """

    container_id: str
    name: str
    hostname: str
    pod_id: str
    pod_name: str
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    servers: tuple[str, ...]
    start: str


class Member(Value):
    """A container in the network namespace of a pod."""

    id: str
    name: str
    pod_id: str


def _list(column: str, field: str) -> str:
    """Return SQL for a list of strings without spaces in a JSON value; empty when it is damaged or missing."""
    valid = f"CASE WHEN json_valid({column}) THEN {column} ELSE '{{}}' END"
    return f"coalesce((SELECT group_concat(value, ' ') FROM json_each({valid}, '$.{field}')), '')"  # noqa: S608


def _text(column: str, field: str) -> str:
    return f"CASE WHEN json_valid({column}) THEN coalesce(json_extract({column}, '$.{field}'), '') ELSE '' END"


_SPEC = "coalesce(pods.spec, containers.spec)"  # a pod's infra uses what was asked for the pod
_SUBNETS = _list("spec", "subnets").replace("value", "json_extract(value, '$.subnet')")
_ZONE = f"""SELECT {_SUBNETS}, {_list("spec", "dns_servers")}, {_text("spec", "internal")} FROM networks
    WHERE id = ?"""  # noqa: S608
_STARTED = """connections JOIN containers ON containers.id = container_id
    LEFT JOIN pods ON pods.id = containers.pod_id AND pods.infra_id = container_id
    WHERE network_id = ? AND attachment != '' ORDER BY containers.created_ns, container_id"""
_ATTACHED = f"""
    SELECT container_id, containers.name, {_text(_SPEC, "hostname")}, coalesce(pods.id, ''), coalesce(pods.name, ''),
        {_list("attachment", "addresses")}, {_list("asked", "aliases")} || ' ' || {_list("attachment", "aliases")},
        {_list(_SPEC, "dns_servers")}, attachment
    FROM {_STARTED}"""  # noqa: S608
_MEMBERS = f"""
    SELECT id, name, pod_id FROM containers
    WHERE pod_id IN (SELECT pods.id FROM {_STARTED}) AND kind != '{INFRA}' AND {_text("spec", "net.mode")} = 'pod'
    ORDER BY created_ns, id"""  # noqa: S608


def zone(connection: DatabaseConnection, network_id: str) -> Zone | None:
    """Return the naming configuration of a network; None when it was removed."""
    row = connection.execute(_ZONE, (network_id,)).fetchone()
    if row is None:
        return None
    subnets, servers, internal = row
    return Zone(subnets=tuple(subnets.split()), servers=tuple(servers.split()), internal=bool(internal))


def attached(connection: DatabaseConnection, network_id: str) -> list[Attached]:
    """Return the containers that were started on a network, oldest first."""
    found = []
    for container_id, name, hostname, pod_id, pod_name, *lists, start in connection.execute(_ATTACHED, (network_id,)):
        addresses, aliases, servers = (tuple(dict.fromkeys(text.split())) for text in lists)
        found.append(
            Attached(
                container_id=container_id,
                name=name,
                hostname=str(hostname),
                pod_id=pod_id,
                pod_name=pod_name,
                addresses=addresses,
                aliases=aliases,
                servers=servers,
                start=start,
            )
        )
    return found


def members(connection: DatabaseConnection, network_id: str) -> list[Member]:
    """Return the containers that share the network namespace of a pod started on a network."""
    rows = connection.execute(_MEMBERS, (network_id,))
    return [Member(id=identifier, name=name, pod_id=pod_id) for identifier, name, pod_id in rows]


def version(connection: DatabaseConnection) -> int:
    """Return a number that changes with every change by another connection (4 us)."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
