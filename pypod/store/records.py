"""Save and load what was asked: one record per pod and per container. Functions over a database."""

from __future__ import annotations

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchContainer, NoSuchImage, NoSuchPod, StoreError, Unsupported
from pypod.model import plain_json
from pypod.model.ids import is_id, is_whole_id
from pypod.model.value import Value
from pypod.store.database import as_declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any, TypeVar

    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.store.database import Database

    V = TypeVar("V", bound=Value)

CONTAINER, INFRA, POD = "container", "infra", "pod"
NO_SPEC = "{}"  # of an infra that was made without an image: what it needs is asked of its pod
_ID_DIGITS = 64


class Owner(Value):
    """The process that an ephemeral object must not outlive: pid, start time and boot id."""

    pid: int
    start_time: int
    boot_id: str

    def __str__(self) -> str:
        return f"{self.pid} {self.start_time} {self.boot_id}"


def parse_owner(text: str) -> Owner | None:
    """Read what ``str(owner)`` wrote; what is empty or damaged is no owner, and the object stays until removed."""
    words = text.split(" ")
    if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()):
        return None
    return Owner(pid=int(words[0]), start_time=int(words[1]), boot_id=words[2])


class PodRecord(Value):
    """A row of the table of pods; ``spec_json`` is read with ``pod_spec``."""

    id: str
    name: str
    created_ns: int
    infra_id: str
    owner: str
    spec_json: str


class ContainerRecord(Value):
    """A row of the table of containers; ``spec_json`` is read with ``container_spec``."""

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


_POD_COLUMNS = "id, name, created_ns, infra_id, owner, spec"
_CONTAINER_COLUMNS = "id, name, kind, pod_id, created_ns, image, command, cgroup, remove, owner, spec, image_id"


_NUMBERS = {"created_ns", "remove"}
_POD_TYPES, _CONTAINER_TYPES = (
    tuple(int if name in _NUMBERS else str for name in cls._fields) for cls in (PodRecord, ContainerRecord)
)


def _pod(row: tuple[Any, ...]) -> PodRecord:
    return PodRecord(**dict(zip(PodRecord._fields, as_declared(row, _POD_TYPES), strict=True)))


def _container(row: tuple[Any, ...]) -> ContainerRecord:
    return ContainerRecord(**dict(zip(ContainerRecord._fields, as_declared(row, _CONTAINER_TYPES), strict=True)))


def checked(record: V) -> V:
    """Return a record that came from elsewhere than the store, if it could be one of it. Raises ValueError."""
    types = _POD_TYPES if isinstance(record, PodRecord) else _CONTAINER_TYPES
    if tuple(map(type, _values(record))) != types or not is_whole_id(_values(record)[0]):
        raise ValueError("no record")
    return record


def add_pod(connection: Connection, record: PodRecord) -> None:
    """Insert a pod. Raises AlreadyExists when the name is taken."""
    _take_name(connection, POD, record.name, record.id)
    connection.execute(f"INSERT INTO pods ({_POD_COLUMNS}) VALUES (?,?,?,?,?,?)", _values(record))  # noqa: S608


def add_container(connection: Connection, record: ContainerRecord) -> None:
    """Insert a container.

    Raises AlreadyExists when the name is taken, NoSuchPod and NoSuchImage when they were removed meanwhile.
    """
    if record.pod_id and not connection.execute("SELECT 1 FROM pods WHERE id = ?", (record.pod_id,)).fetchone():
        raise NoSuchPod(record.pod_id)
    if record.image_id and not connection.execute("SELECT 1 FROM images WHERE id = ?", (record.image_id,)).fetchone():
        raise NoSuchImage(record.image)
    _take_name(connection, CONTAINER, record.name, record.id)
    marks = ",".join("?" * len(record._fields))
    connection.execute(f"INSERT INTO containers ({_CONTAINER_COLUMNS}) VALUES ({marks})", _values(record))  # noqa: S608


def _values(record: Value) -> tuple[Any, ...]:
    return tuple(value for _, value in record.items())


def _take_name(connection: Connection, kind: str, name: str, identifier: str) -> None:
    holder = connection.execute("SELECT kind, id FROM names WHERE name = ?", (name,)).fetchone()
    if holder:
        raise AlreadyExists(kind, name, *holder)
    connection.execute("INSERT INTO names VALUES (?,?,?)", (name, kind, identifier))


def remove_pod(database: Database, record: PodRecord) -> None:
    """Delete a pod's row and those of its containers and free their names; they may be gone already."""
    database.delete(
        [
            ("DELETE FROM names WHERE name IN (SELECT name FROM containers WHERE pod_id = ?)", (record.id,)),
            ("DELETE FROM containers WHERE pod_id = ?", (record.id,)),
            ("DELETE FROM pods WHERE id = ?", (record.id,)),
            ("DELETE FROM names WHERE name = ? AND id = ?", (record.name, record.id)),
        ]
    )


def remove_container(database: Database, record: ContainerRecord) -> None:
    """Delete a container's row and free its name; it may be gone already."""
    database.delete(
        [
            # by what it is called now: it may have been renamed since it was read
            ("DELETE FROM names WHERE name = (SELECT name FROM containers WHERE id = ?)", (record.id,)),
            ("DELETE FROM containers WHERE id = ?", (record.id,)),
        ]
    )


def rename_container(connection: Connection, record: ContainerRecord, name: str) -> None:
    """Give a container another name. Raises AlreadyExists when it is taken, NoSuchContainer."""
    row = connection.execute("SELECT name, kind, spec FROM containers WHERE id = ?", (record.id,)).fetchone()
    if row is None:
        raise NoSuchContainer(record.name)
    before, kind, spec = row
    _take_name(connection, CONTAINER, name, record.id)
    connection.execute("DELETE FROM names WHERE name = ?", (before,))
    if kind == CONTAINER:
        spec = _renamed(spec, before, name)
    connection.execute("UPDATE containers SET name = ?, spec = ? WHERE id = ?", (name, spec, record.id))


def restore_pod(connection: Connection, record: PodRecord) -> str:
    """Insert a pod whose row was lost, under another name when its own is taken; return the name, nothing for none."""
    if connection.execute("SELECT 1 FROM pods WHERE id = ?", (record.id,)).fetchone():
        return ""
    name = _free_name(connection, record.name, record.id)
    add_pod(connection, record.replace(name=name, spec_json=_renamed(record.spec_json, record.name, name)))
    return name


def restore_container(connection: Connection, record: ContainerRecord) -> str:
    """Insert a container as ``restore_pod`` does a pod; its pod is there, its image need not be."""
    if connection.execute("SELECT 1 FROM containers WHERE id = ?", (record.id,)).fetchone():
        return ""
    name = _free_name(connection, record.name, record.id)
    text = record.spec_json if record.kind == INFRA else _renamed(record.spec_json, record.name, name)
    add_container(connection, record.replace(name=name, spec_json=text, image_id=""))
    connection.execute("UPDATE containers SET image_id = ? WHERE id = ?", (record.image_id, record.id))
    return name


def _free_name(connection: Connection, name: str, identifier: str) -> str:
    taken = connection.execute("SELECT 1 FROM names WHERE name = ?", (name,)).fetchone()
    return f"{name}_{identifier[:6]}" if taken else name


def _renamed(spec: str, before: str, name: str) -> str:
    return spec if name == before else plain_json.dumps({**plain_json.loads(spec), "name": name})


def set_owner(database: Database, table: str, identifier: str, owner: Owner) -> None:
    """Make an object ephemeral."""
    with database.transaction() as connection, connection:
        connection.execute(f"UPDATE {table} SET owner = ? WHERE id = ?", (str(owner), identifier))  # noqa: S608


def find_pod(database: Database, ref: str) -> PodRecord:
    """Return the pod that a name, an id or the beginning of one names. Raises NoSuchPod, AmbiguousName."""
    rows = _find(database, "pods", _POD_COLUMNS, ref)
    if not rows:
        raise NoSuchPod(ref)
    return _pod(_one(rows, POD, ref))


def find_container(database: Database, ref: str) -> ContainerRecord:
    """Return the container that a name, an id or the beginning of one names. Raises NoSuchContainer, AmbiguousName."""
    rows = _find(database, "containers", _CONTAINER_COLUMNS, ref)
    if not rows:
        raise NoSuchContainer(ref)
    return _container(_one(rows, CONTAINER, ref))


def is_container(database: Database, identifier: str) -> bool:
    """Return whether there is a container of this id."""
    return bool(database.read("SELECT 1 FROM containers WHERE id = ?", (identifier,)))


def _find(database: Database, table: str, columns: str, ref: str) -> list[tuple[Any, ...]]:
    if not ref.isascii():  # no name is; and text that is not UTF-8 could not even be asked for
        return []
    if len(ref) == _ID_DIGITS:  # every handle asks like this, and SQLite answers in two thirds of the time
        rows = database.read(f"SELECT {columns} FROM {table} WHERE id = ?", (ref,))  # noqa: S608
        if rows:
            return _usable(rows)
    named = "SELECT id FROM names WHERE name = ?"  # an id is 64 digits, and no name of another object is one
    rows = database.read(f"SELECT {columns} FROM {table} WHERE id IN (?, ({named}))", (ref, ref))  # noqa: S608
    if not rows and is_id(ref):
        statement = f"SELECT {columns} FROM {table} WHERE id >= ? AND id < ? LIMIT 8"  # noqa: S608
        rows = database.read(statement, (ref, f"{ref}g"))
    return _usable(rows)


def _usable(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows but for those with a damaged id: their directories would be those of everything."""
    return [row for row in rows if is_whole_id(row[0])]


def _one(rows: list[tuple[Any, ...]], kind: str, ref: str) -> tuple[Any, ...]:
    if len(rows) > 1:
        raise AmbiguousName(kind, ref, tuple(row[0] for row in rows))
    return rows[0]


def all_pods(database: Database) -> list[PodRecord]:
    """Return every pod, the oldest first."""
    rows = database.read(f"SELECT {_POD_COLUMNS} FROM pods ORDER BY created_ns")  # noqa: S608
    return [_pod(row) for row in _usable(rows)]


def all_containers(database: Database, *, pod_id: str | None = None) -> list[ContainerRecord]:
    """Return every container (or those of a pod), the oldest first; infras among them."""
    where, arguments = ("", ()) if pod_id is None else ("WHERE pod_id = ?", (pod_id,))
    statement = f"SELECT {_CONTAINER_COLUMNS} FROM containers {where} ORDER BY created_ns, kind DESC"  # noqa: S608
    return [_container(row) for row in _usable(database.read(statement, arguments))]


def to_json(value: Value) -> str:
    """Return a spec as JSON text."""
    return plain_json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def pod_spec(record: PodRecord) -> PodSpec:
    """Return what was asked of a pod. Raises StoreError when the row is damaged."""
    from pypod.model.limits import Limits
    from pypod.model.namespace import Mode
    from pypod.model.pod import PodSpec
    from pypod.model.port import Port

    classes: dict[str, type[Value]] = {"ports": Port, "limits": Limits, "user_namespace": Mode}
    return parse_value(PodSpec, record.id, record.spec_json, classes)


def container_spec(record: ContainerRecord) -> ContainerSpec:
    """Return what was asked of a container.

    Raises StoreError when the row is damaged, Unsupported for the infra of a pod, which nobody asked anything of.
    """
    if record.kind == INFRA and record.spec_json == NO_SPEC:
        raise Unsupported(
            "infra container",
            f"container {record.name} is the infra of pod {record.pod_id[:12]}: it has neither a command nor files",
            hint="name a member of the pod, or make the pod with --infra-image",
        )
    from pypod.model.container import ContainerSpec, Ulimit
    from pypod.model.health import Healthcheck
    from pypod.model.limits import Limits
    from pypod.model.mount import Mount
    from pypod.model.namespace import Mode
    from pypod.model.port import Port

    classes: dict[str, type[Value]] = dict.fromkeys(("net", "pid", "ipc", "uts", "cgroup", "user_namespace"), Mode)
    classes |= {"mounts": Mount, "ulimits": Ulimit, "healthcheck": Healthcheck, "ports": Port, "limits": Limits}
    return parse_value(ContainerSpec, record.id, record.spec_json, classes)


def parse_value(cls: type[V], identifier: str, text: str, classes: dict[str, type[Value]]) -> V:
    """Read what ``to_json`` wrote of a value; ``classes`` are those of the fields that are values themselves.

    Raises StoreError naming the object ``identifier`` when it is damaged.
    """

    def value(name: str, item: Any) -> Any:
        if isinstance(item, dict):
            return classes[name](**{key: value(key, part) for key, part in item.items()})
        if isinstance(item, list):
            return tuple(value(name, part) for part in item)
        return item

    try:
        return cls(**{name: value(name, item) for name, item in plain_json.loads(text).items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # InvalidSpec is a ValueError
        raise StoreError(
            identifier, f"the record of {identifier[:12]} is damaged: {error}", hint="remove it"
        ) from error
