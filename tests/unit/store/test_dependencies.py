"""Facts stored beside the specifications in columns and tables: of new, restored and migrated rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypod.errors import StoreError
from pypod.model import plain_json
from pypod.model.container import ContainerSpec
from pypod.model.health import Healthcheck
from pypod.model.mount import Mount
from pypod.model.namespace import POD, Mode
from pypod.model.pod import PodSpec
from pypod.model.port import Port
from pypod.model.secret import SecretUse
from pypod.model.value import Value
from pypod.store import dependencies, records, restoring, stored_specs, volumes
from pypod.store.database import Database
from pypod.store.records import ContainerRecord, PodRecord
from pypod.store.schema import MIGRATIONS

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
PLAIN = ContainerSpec(name="plain", rootfs="/", command=("x",))
FULL = ContainerSpec(
    name="full",
    rootfs="/",
    # values that only look like such facts
    command=('"auto"', '"volume"', '"ports":[{', C, '"healthcheck":{', '"labels":[]'),
    labels=(("k", 'v " ä \udcff'), ("", "")),
    ports=(Port(container_port=80, host_port=8080),),
    net=Mode(mode="container", target=A),
    pid=Mode(mode="container", target=B),
    ipc=POD,
    user_namespace=Mode(mode="container", target=A),
    healthcheck=Healthcheck(test=("CMD", "x")),
    mounts=(
        Mount(type="bind", source="/volume", target="/a"),
        Mount(type="volume", source="1" * 64, target="/b"),
        Mount(type="volume", source="2" * 64, target="/c"),
        Mount(type="volume", source="2" * 64, target="/d"),
    ),
)
AUTO = ContainerSpec(
    name="auto",
    rootfs="/",
    command=("x",),
    user_namespace=Mode(mode="auto"),
    mounts=(Mount(type="volume", source="2" * 64, target="/c"),),
)
POD_SPEC = PodSpec(name="pod", labels=(("k", "v"),), ports=FULL.ports, user_namespace=Mode(mode="auto"))
DAMAGED = ["", "{", "[]", "5", "null", '{"labels":5,"ports":{},"mounts":[5,"x",null,{}],"net":5,"healthcheck":[]}']


def container(identifier: str, spec: ContainerSpec, **fields: object) -> ContainerRecord:
    plain = {"kind": records.CONTAINER, "pod_id": "", "created_ns": 1, "image": "", "command": "", "cgroup": "/x"}
    beside = stored_specs.columns(spec)
    return ContainerRecord(id=identifier, name=spec.name, **{**plain, "remove": 0, "owner": "", **beside, **fields})


def pod(identifier: str, spec: PodSpec) -> PodRecord:
    return PodRecord(id=identifier, name=spec.name, created_ns=1, infra_id="", owner="", **stored_specs.columns(spec))


ROWS = (pod(D, POD_SPEC), container(A, PLAIN), container(B, FULL, created_ns=2), container(C, AUTO, created_ns=3))


@pytest.fixture(params=["new", "old", "restored", "restored from an older record"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database that contains the rows: added, migrated or restored."""
    path = tmp_path / "pypod.db"
    if request.param == "old":
        made = of_the_version_before(path, ROWS)
    else:
        made = Database(str(path))
        with made.transaction() as connection:
            for row in ROWS:
                if request.param == "new":
                    (records.add_pod if isinstance(row, PodRecord) else records.add_container)(connection, row)
                    continue
                kept = row
                if request.param != "restored":
                    kept = type(row)(**{name: value for name, value in row.items() if name in OLD_FIELDS})
                restore = restoring.restore_pod if isinstance(row, PodRecord) else restoring.restore_container
                restore(connection, kept)
            volumes.restore_anonymous(connection)
    yield made
    made.close()


NEW_COLUMNS = ("labels", "publishes_ports", "has_auto_ids", "has_healthcheck")
OLD_FIELDS = {*PodRecord._fields, *ContainerRecord._fields}.difference(NEW_COLUMNS)


def of_the_version_before(path: Path, rows: tuple[Value, ...]) -> Database:
    with sqlite3.connect(path) as old:
        for statement in (one for several in MIGRATIONS[:4] for one in several):
            old.execute(statement)
        old.execute("PRAGMA user_version=4")
        for row in rows:
            table = "pods" if isinstance(row, PodRecord) else "containers"
            fields = {name: value for name, value in row.items() if name in OLD_FIELDS}
            columns = ", ".join(fields).replace("spec_json", "spec")
            marks = ", ".join("?" * len(fields))
            old.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(fields.values()))  # noqa: S608
    old.close()
    return Database(str(path))


def test_rows_have_their_columns(database: Database) -> None:
    assert [*records.all_pods(database), *records.all_containers(database)] == list(ROWS)
    full = records.find_container(database, B)
    assert (full.publishes_ports, full.has_healthcheck, full.has_auto_ids) == (1, 1, 0)
    assert stored_specs.labels(full) == {"k": 'v " ä \udcff', "": ""}
    assert records.find_container(database, C).has_auto_ids == 1


def test_whose_namespaces_are_joined(database: Database) -> None:
    assert [one.id for one in dependencies.joining(database, A)] == [B]
    assert dependencies.joining(database, C) == []
    assert dependencies.joining_networks(database) == {B}


def test_volumes(database: Database) -> None:
    assert volumes.used(database) == {"1" * 64, "2" * 64}
    assert dependencies.volumes_only_of(database, [B]) == ["1" * 64]
    assert dependencies.volumes_only_of(database, [C]) == []
    assert dependencies.volumes_only_of(database, [C, B]) == ["1" * 64, "2" * 64]
    assert dependencies.volumes_only_of(database, []) == []


def test_they_go_with_the_container(database: Database) -> None:
    records.remove_container(database, records.find_container(database, B))
    assert dependencies.joining_networks(database) == set()
    assert volumes.used(database) == {"2" * 64}


def test_they_stay_when_it_is_renamed(database: Database) -> None:
    with database.transaction() as connection:
        records.rename_container(connection, records.find_container(database, B), "other")
    assert records.find_container(database, "other").labels == ROWS[2].labels
    assert dependencies.joining_networks(database) == {B}


@pytest.mark.parametrize("spec", DAMAGED)
@pytest.mark.parametrize("origin", ["new", "old", "restored"])
def test_a_damaged_specification_has_none(tmp_path: Path, origin: str, spec: str) -> None:
    row = container(A, PLAIN, spec_json=spec)
    if origin == "old":
        database = of_the_version_before(tmp_path / "pypod.db", (row,))
    else:
        database = Database(str(tmp_path / "pypod.db"))
        with database.transaction() as connection:
            (records.add_container if origin == "new" else restoring.restore_container)(connection, row)
    assert records.all_containers(database) == [row]
    assert volumes.used(database) == set()
    database.close()


@pytest.mark.parametrize("labels", ["", "{", "7", '[["k"]]', "[7]"])
def test_damaged_labels_say_so(labels: str) -> None:
    with pytest.raises(StoreError, match="damaged"):
        stored_specs.labels(container(A, PLAIN, labels=labels))


def test_labels_are_as_the_specification_has_them() -> None:
    columns = stored_specs.columns(FULL)
    assert plain_json.loads(columns["labels"]) == plain_json.loads(columns["spec_json"])["labels"]


@pytest.mark.parametrize(
    ("spec", "volumes", "secrets"),
    [
        (PLAIN, False, False),
        (FULL, True, False),
        (AUTO, True, False),
        (PLAIN.replace(secrets=(SecretUse(secret_id="1" * 25, name="s", target="s"),)), False, True),
    ],
)
def test_a_record_knows_whether_the_tables_may_have_rows_of_it(
    spec: ContainerSpec, volumes: bool, secrets: bool
) -> None:
    record = container(A, spec)
    assert (record.may_use_volumes, record.may_use_secrets) == (volumes, secrets)
