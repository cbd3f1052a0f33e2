"""Save and load what was asked for: one record per pod and per container. Functions over a database."""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchContainer, NoSuchImage, NoSuchPod
from pypod.model import plain_json
from pypod.model.ids import is_id, is_whole_id
from pypod.model.value import Value
from pypod.store.rows import of_types, record_of, types_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection
    from typing import Any, TypeVar

    from pypod.store.database import Database

    V = TypeVar("V", bound=Value)

CONTAINER, INFRA, POD = "container", "infra", "pod"
_ID_DIGITS = 64


class Owner(Value):
    """The process that an ephemeral object must not outlive: pid, start time and boot id."""

    pid: int
    start_time: int
    boot_id: str

    def __str__(self) -> str:
        return f"{self.pid} {self.start_time} {self.boot_id}"


def parse_owner(text: str) -> Owner | None:
    """Parse the output of ``str(owner)``; return None if it is empty or damaged: the object stays until removed."""
    words = text.split(" ")
    if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()):
        return None
    return Owner(pid=int(words[0]), start_time=int(words[1]), boot_id=words[2])


# Most use neither, which saves a query. The triggers that fill the tables look for the same words (schema.py).
_VOLUME, _SECRET = '"volume"', '"secret_id"'


class PodRecord(Value):
    """A row of the table of pods; store/stored_specs.py writes and reads ``spec_json`` and the columns after it."""

    id: str
    name: str
    created_ns: int
    infra_id: str
    owner: str
    spec_json: str
    labels: str = "[]"
    publishes_ports: int = 0
    has_auto_ids: int = 0

    @property
    def may_use_volumes(self) -> bool:
        """Whether the table of containers' volumes may have rows of its infra."""
        return _VOLUME in self.spec_json


class ContainerRecord(Value):
    """A row of the table of containers; ``spec_json``, ``labels`` and the rest are as in ``PodRecord``."""

    id: str
    name: str
    kind: str
    pod_id: str
    created_ns: int
    image: str
    command: str
    cgroup: str
    remove: int
    owner: str
    spec_json: str
    image_id: str = ""
    labels: str = "[]"
    publishes_ports: int = 0
    has_auto_ids: int = 0
    has_healthcheck: int = 0

    @property
    def may_use_volumes(self) -> bool:
        """Whether the table of containers' volumes may have rows of it."""
        return _VOLUME in self.spec_json

    @property
    def initializes(self) -> bool:
        """Whether it is an init container of its pod."""
        return '"init_container"' in self.spec_json

    @property
    def counts_in_pod(self) -> bool:
        """Whether the status of its pod depends on its state: not on those of the infra and of init containers."""
        return self.kind == CONTAINER and not self.initializes

    @property
    def may_restart(self) -> bool:
        """Whether it has, or had, a restart policy."""
        return '"restart_policy"' in self.spec_json

    @property
    def may_use_secrets(self) -> bool:
        """Whether the table of containers' secrets may have rows of it."""
        return _SECRET in self.spec_json


_POD_COLUMNS, _CONTAINER_COLUMNS = (
    ", ".join("spec" if name == "spec_json" else name for name in cls._fields) for cls in (PodRecord, ContainerRecord)
)
_NUMBERS = ("created_ns", "remove", "publishes_ports", "has_auto_ids", "has_healthcheck")
_POD_TYPES, _CONTAINER_TYPES = types_of(PodRecord, *_NUMBERS), types_of(ContainerRecord, *_NUMBERS)


def _pod(row: tuple[Any, ...]) -> PodRecord:
    return record_of(PodRecord, _POD_TYPES, row)


def _container(row: tuple[Any, ...]) -> ContainerRecord:
    return record_of(ContainerRecord, _CONTAINER_TYPES, row)


def checked(record: V) -> V:
    """Return a record from outside the store if it is a valid one. Raises ValueError."""
    of_types(record, _POD_TYPES if isinstance(record, PodRecord) else _CONTAINER_TYPES)
    if not is_whole_id(_values(record)[0]):
        raise ValueError("not a record")
    return record


def add_pod(connection: Connection, record: PodRecord) -> None:
    """Insert a pod. Raises AlreadyExists when the name is taken."""
    _take_name(connection, POD, record.name, record.id)
    _insert(connection, "pods", _POD_COLUMNS, record)


def add_container(connection: Connection, record: ContainerRecord) -> None:
    """Insert a container.

    Raises AlreadyExists when the name is taken, NoSuchPod or NoSuchImage when the pod or image was removed meanwhile.
    """
    if record.pod_id and not connection.execute("SELECT 1 FROM pods WHERE id = ?", (record.pod_id,)).fetchone():
        raise NoSuchPod(record.pod_id)
    if record.image_id and not connection.execute("SELECT 1 FROM images WHERE id = ?", (record.image_id,)).fetchone():
        raise NoSuchImage(record.image)
    _take_name(connection, CONTAINER, record.name, record.id)
    _insert(connection, "containers", _CONTAINER_COLUMNS, record)


def _insert(connection: Connection, table: str, columns: str, record: Value) -> None:
    marks = ",".join("?" * len(record._fields))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", _values(record))  # noqa: S608


def _values(record: Value) -> tuple[Any, ...]:
    return tuple(value for _, value in record.items())


def _take_name(connection: Connection, kind: str, name: str, identifier: str) -> None:
    holder = connection.execute("SELECT kind, id FROM names WHERE name = ?", (name,)).fetchone()
    if holder:
        raise AlreadyExists(kind, name, *holder)
    connection.execute("INSERT INTO names VALUES (?,?,?)", (name, kind, identifier))


def remove_pod(database: Database, record: PodRecord, volumes: Sequence[str] = ()) -> None:
    """Delete a pod's row and those of its containers and volumes, and free their names; they may be gone already."""
    database.delete(
        [
            ("DELETE FROM names WHERE name IN (SELECT name FROM containers WHERE pod_id = ?)", (record.id,)),
            ("DELETE FROM containers WHERE pod_id = ?", (record.id,)),
            ("DELETE FROM pods WHERE id = ?", (record.id,)),
            ("DELETE FROM names WHERE name = ? AND id = ?", (record.name, record.id)),
            *(_without_volume(one) for one in volumes),
        ]
    )


def _without_volume(name: str) -> tuple[str, Sequence[Any]]:
    return "DELETE FROM volumes WHERE name = ? AND anonymous != 0", (name,)


def remove_container(database: Database, record: ContainerRecord, volumes: Sequence[str] = ()) -> None:
    """Delete a container's row and those of its volumes, and free its name; it may be gone already."""
    database.delete(
        [
            # by its current name: it may have been renamed since it was read
            ("DELETE FROM names WHERE name = (SELECT name FROM containers WHERE id = ?)", (record.id,)),
            ("DELETE FROM containers WHERE id = ?", (record.id,)),
            *(_without_volume(one) for one in volumes),
        ]
    )


def rename_container(connection: Connection, record: ContainerRecord, name: str) -> None:
    """Rename a container. Raises AlreadyExists when the name is taken, NoSuchContainer."""
    row = connection.execute("SELECT name, kind, spec FROM containers WHERE id = ?", (record.id,)).fetchone()
    if row is None:
        raise NoSuchContainer(record.name)
    before, kind, spec = row
    if name == before:
        return
    try:
        _take_name(connection, CONTAINER, name, record.id)
    except AlreadyExists as error:
        taken = f"name {name} already in use, cannot rename container {record.id}: {error.holder_kind} already exists"
        error.message = f"renaming container {record.id}: {taken}"
        raise
    connection.execute("DELETE FROM names WHERE name = ?", (before,))
    if kind == CONTAINER:
        spec = renamed(spec, before, name)
    connection.execute("UPDATE containers SET name = ?, spec = ? WHERE id = ?", (name, spec, record.id))


def replace_spec(database: Database, table: str, identifier: str, spec: str) -> None:
    """Replace the JSON of a specification in which nothing that has a column of its own has changed."""
    with database.transaction() as connection, connection:
        connection.execute(f"UPDATE {table} SET spec = ? WHERE id = ?", (spec, identifier))  # noqa: S608


def renamed(spec: str, before: str, name: str) -> str:
    """Return the JSON of a specification with another name in it."""
    return spec if name == before else plain_json.dumps({**plain_json.loads(spec), "name": name})


def set_owner(database: Database, table: str, identifier: str, owner: Owner) -> None:
    """Make an object ephemeral."""
    with database.transaction() as connection, connection:
        connection.execute(f"UPDATE {table} SET owner = ? WHERE id = ?", (str(owner), identifier))  # noqa: S608


def find_pod(database: Database, ref: str) -> PodRecord:
    """Return the pod with a name, an id or the beginning of an id. Raises NoSuchPod, AmbiguousName."""
    rows = _find(database, "pods", _POD_COLUMNS, ref)
    if not rows:
        raise NoSuchPod(ref)
    return _pod(_one(rows, POD, ref))


def find_container(database: Database, ref: str) -> ContainerRecord:
    """Return the container with a name, an id or the beginning of an id. Raises NoSuchContainer, AmbiguousName."""
    rows = _find(database, "containers", _CONTAINER_COLUMNS, ref)
    if not rows:
        raise NoSuchContainer(ref)
    return _container(_one(rows, CONTAINER, ref))


def is_container(database: Database, identifier: str) -> bool:
    """Return whether a container with this id exists."""
    return bool(database.read("SELECT 1 FROM containers WHERE id = ?", (identifier,)))


def _find(database: Database, table: str, columns: str, ref: str) -> list[tuple[Any, ...]]:
    if not ref.isascii():  # names are ASCII; and a string that is not UTF-8 cannot even be queried
        return []
    if len(ref) == _ID_DIGITS:  # all handles do this, and it takes SQLite a third less time
        rows = database.read(f"SELECT {columns} FROM {table} WHERE id = ?", (ref,))  # noqa: S608
        if rows:
            return _usable(rows)
    named = "SELECT id FROM names WHERE name = ?"  # an id has 64 digits, and no name of another object does
    rows = database.read(f"SELECT {columns} FROM {table} WHERE id IN (?, ({named}))", (ref, ref))  # noqa: S608
    if not rows and is_id(ref):
        statement = f"SELECT {columns} FROM {table} WHERE id >= ? AND id < ? LIMIT 8"  # noqa: S608
        rows = database.read(statement, (ref, f"{ref}g"))
    return _usable(rows)


def _usable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows except those with a damaged id: an empty one would make every directory theirs."""
    return [row for row in rows if is_whole_id(row[0])]


def _one(rows: list[tuple[Any, ...]], kind: str, ref: str) -> tuple[Any, ...]:
    if len(rows) > 1:
        raise AmbiguousName(kind, ref, tuple(row[0] for row in rows))
    return rows[0]


def all_pods(database: Database) -> list[PodRecord]:
    """Return every pod, oldest first."""
    rows = database.read(f"SELECT {_POD_COLUMNS} FROM pods ORDER BY created_ns")  # noqa: S608
    return [_pod(row) for row in _usable(rows)]


def all_containers(database: Database, *, pod_id: str | None = None) -> list[ContainerRecord]:
    """Return every container (or those of a pod), oldest first, including infras."""
    return containers_where(database, *(("1", ()) if pod_id is None else ("pod_id = ?", (pod_id,))))


def containers_where(database: Database, condition: str, arguments: Sequence[str]) -> list[ContainerRecord]:
    """Return the containers that an SQL condition holds for, oldest first, including infras."""
    statement = f"SELECT {_CONTAINER_COLUMNS} FROM containers WHERE {condition} ORDER BY created_ns, kind DESC"  # noqa: S608
    return [_container(row) for row in _usable(database.read(statement, arguments))]
