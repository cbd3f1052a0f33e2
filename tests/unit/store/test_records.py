"""The store: rows, names, references, owners, specifications as JSON; transactions, versions, reserved space."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.errors import AlreadyExists, AmbiguousName, NoSuchContainer, NoSuchPod, PermissionDenied, StoreError
from pypod.model.container import ContainerSpec, Ulimit
from pypod.model.mount import Mount
from pypod.model.namespace import HOST, POD, Mode
from pypod.model.pod import PodSpec
from pypod.store import database as module
from pypod.store import records, stored_specs
from pypod.store.database import RESERVE_BYTES, VERSION, Database
from pypod.store.failures import failure
from pypod.store.records import ContainerRecord, Owner, PodRecord
from pypod.store.schema import MIGRATIONS

A, B = "a" * 64, "b" * 64


@pytest.fixture
def database(tmp_path):
    made = Database(str(tmp_path / "pypod.db"))
    yield made
    made.close()


def pod(identifier: str = A, name: str = "p", **fields: object) -> PodRecord:
    plain = {"created_ns": 1, "infra_id": "", "owner": "", "spec_json": "{}"}
    return PodRecord(id=identifier, name=name, **{**plain, **fields})


def container(identifier: str = A, name: str = "c", **fields: object) -> ContainerRecord:
    plain = {"kind": records.CONTAINER, "pod_id": "", "created_ns": 1, "image": "", "command": "", "cgroup": "/x/y"}
    return ContainerRecord(id=identifier, name=name, **{**plain, "remove": 0, "owner": "", "spec_json": "{}", **fields})


def add(database: Database, *rows: PodRecord | ContainerRecord) -> None:
    for row in rows:
        with database.transaction() as connection:
            (records.add_pod if isinstance(row, PodRecord) else records.add_container)(connection, row)


def is_free(database: Database, name: str) -> bool:
    return not database.read("SELECT 1 FROM names WHERE name = ?", (name,))


class TestPrivacy:
    """Specifications contain environment variables: no other user may read them."""

    def test_no_file_is_readable_by_others(self, database: Database, tmp_path: Path) -> None:
        add(database, pod())
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert {"pypod.db", "pypod.db-wal", "pypod.db-shm"} <= modes.keys()
        assert set(modes.values()) == {0o600}

    def test_one_that_is_becomes_private(self, tmp_path: Path) -> None:
        path = tmp_path / "pypod.db"
        Database(str(path)).close()
        path.touch()
        path.chmod(0o644)
        again = Database(str(path))
        assert again.read("SELECT 1 FROM pods") == []
        again.close()
        assert path.stat().st_mode & 0o777 == 0o600


class TestRows:
    def test_come_back_as_they_went(self, database: Database) -> None:
        one = container(pod_id=B, image="i", command="a b", remove=1, owner="1 2 x", spec_json='{"a":1}', kind="infra")
        add(database, pod(B, infra_id=A, owner="1 2 x", spec_json="[]"), one)
        assert records.find_container(database, A) == one
        assert records.find_pod(database, B) == pod(B, infra_id=A, owner="1 2 x", spec_json="[]")

    def test_are_listed_by_age_and_pod(self, database: Database) -> None:
        rows = [container(f"{n:064x}", f"c{n}", created_ns=100 - n, pod_id=A if n % 2 else "") for n in range(6)]
        add(database, pod(A), *rows)
        assert records.all_containers(database) == rows[::-1]
        assert records.all_containers(database, pod_id=A) == rows[5::-2]
        assert records.all_containers(database, pod_id=B) == []
        assert records.all_pods(database) == [pod(A)]

    def test_removal_frees_the_name_and_can_be_repeated(self, database: Database) -> None:
        add(database, container())
        assert not is_free(database, "c")
        for _ in range(2):
            records.remove_container(database, container())
        assert is_free(database, "c")
        add(database, container(B))

    def test_removal_takes_nobody_else_s_name(self, database: Database) -> None:
        """Of two removals of the same object, the second runs when the name has a new holder."""
        add(database, container(A))
        records.remove_container(database, container(A))
        add(database, container(B))
        records.remove_container(database, container(A))
        assert records.find_container(database, "c").id == B
        with pytest.raises(AlreadyExists):
            add(database, container(A))

    def test_a_pod_goes_with_its_members(self, database: Database) -> None:
        add(database, pod(A), container(A, "m", pod_id=A), container(B, "other"))
        records.remove_pod(database, pod(A))
        assert records.all_pods(database) == []
        assert [one.name for one in records.all_containers(database)] == ["other"]
        assert [is_free(database, name) for name in ("p", "m", "other")] == [True, True, False]

    def test_a_member_needs_its_pod(self, database: Database) -> None:
        with pytest.raises(NoSuchPod):
            add(database, container(pod_id=B))
        assert is_free(database, "c")

    def test_a_name_is_one_of_pods_and_containers(self, database: Database) -> None:
        add(database, pod(A, "x"), container(B, "y"))
        for taken, holder, kind in (("x", A, "pod"), ("y", B, "container")):
            for row in (pod("c" * 64, taken), container("c" * 64, taken)):
                with pytest.raises(AlreadyExists) as caught:
                    add(database, row)
                assert (caught.value.name, caught.value.holder_id, caught.value.holder_kind) == (taken, holder, kind)
        assert len(records.all_pods(database) + records.all_containers(database)) == 2


class TestReferences:
    def test_name_id_and_beginning(self, database: Database) -> None:
        add(database, container(f"abc{'0' * 61}", "one"), container(f"abd{'0' * 61}", "two"))
        for ref, name in (("one", "one"), (f"abc{'0' * 61}", "one"), ("abc", "one"), ("abd000", "two")):
            assert records.find_container(database, ref).name == name
        with pytest.raises(AmbiguousName) as caught:
            records.find_container(database, "ab")
        assert caught.value.matches == (f"abc{'0' * 61}", f"abd{'0' * 61}")

    def test_no_search_goes_through_all_of_them(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, Sequence[object]]] = []
        read = Database.read
        monkeypatch.setattr(
            Database, "read", lambda self, *statement: asked.append(statement) or read(self, *statement)
        )
        add(database, container(A, "one"), pod(B))
        for find, refs in ((records.find_container, (A, "one", A[:9])), (records.find_pod, (B, B[:9]))):
            assert len({find(database, ref) for ref in refs}) == 1
        assert len(asked) == 7
        for statement, arguments in asked:
            steps = [row[3] for row in read(database, f"EXPLAIN QUERY PLAN {statement}", arguments)]
            assert all(step.startswith(("SEARCH", "SCALAR")) for step in steps), steps

    def test_the_greatest_digit_is_found(self, database: Database) -> None:
        add(database, container("f" * 64))
        assert records.find_container(database, "ff").id == "f" * 64

    def test_a_whole_name_or_id_beats_a_beginning(self, database: Database) -> None:
        add(database, container(A, "abc"), container(f"abc{'0' * 61}", "other"))
        assert records.find_container(database, "abc").id == A

    @pytest.mark.parametrize("ref", ["", "x", "A", "%", "_", "*", "'", "a'--", "a\0", "\udcff", "ä", A + "0", "c "])
    def test_what_is_not_there(self, database: Database, ref: str) -> None:
        add(database, container(), pod(B))
        with pytest.raises(NoSuchContainer) as caught:
            records.find_container(database, ref)
        assert caught.value.ref == ref
        with pytest.raises(NoSuchPod):
            records.find_pod(database, ref)


class TestOwners:
    def test_round_trip(self) -> None:
        owner = Owner(pid=1, start_time=2, boot_id="x-y")
        assert records.parse_owner(str(owner)) == owner

    @pytest.mark.parametrize("text", ["", "x", "1", "1 2", "1 2 3 4", "-1 2 x", "1 -2 x", "a 2 x", "1 2.0 x", "1  2 x"])
    def test_damaged_ones_are_none(self, text: str) -> None:
        assert records.parse_owner(text) is None

    def test_can_be_set(self, database: Database) -> None:
        add(database, pod(A), container(B))
        for table, find, ref in (("pods", records.find_pod, A), ("containers", records.find_container, B)):
            records.set_owner(database, table, ref, Owner(pid=1, start_time=2, boot_id="x"))
            assert find(database, ref).owner == "1 2 x"


FULL = ContainerSpec(
    name="c",
    rootfs="/r \udcff",
    command=("a", "", "ä", "\n"),
    entrypoint=("e",),
    environment=(("A", "1=2"), ("B", "")),
    mounts=(Mount(type="bind", source="/a", target="/b", options=("x",)), Mount(type="tmpfs", target="/t")),
    ulimits=(Ulimit(name="RLIMIT_NOFILE", soft=1, hard=-1),),
    net=HOST,
    pid=Mode(mode="container", target="other"),
    user_namespace=POD,
    labels=(("k", "v"),),
    sysctls=(("net.a", "1"),),
    stop_signal=9,
    remove=True,
)


GOOD = '"name":"c","rootfs":"/","command":["x"]'
DAMAGED = [
    *("", "{", "null", "1", "[]", '"x"', "{}", '{"name":"c"}', '{"unheard":1}'),
    '{"name":5,"rootfs":"/","command":["x"]}',
    '{"name":"c","rootfs":5,"command":["x"]}',
    '{"name":"-","rootfs":"/","command":["x"]}',
    f'{{{GOOD},"unheard":1}}',
    f'{{{GOOD},"net":{{"mood":"x"}}}}',
    f'{{{GOOD},"labels":{{"a":1}}}}',
    f'{{{GOOD},"mounts":[{{"type":"nfs","target":"/a"}}]}}',
]


class TestSpecs:
    @pytest.mark.parametrize("spec", [FULL, ContainerSpec(name="c", rootfs="/", command=("x",))])
    def test_of_containers_come_back(self, spec: ContainerSpec) -> None:
        read = stored_specs.container_spec(container(spec_json=stored_specs.to_json(spec)))
        assert read == spec
        assert hash(read) == hash(spec)

    def test_of_pods_come_back(self) -> None:
        spec = PodSpec(name="p", share=(), infra_command=("a",), labels=(("k", "v"),), hostname="h", net="host")
        assert stored_specs.pod_spec(pod(spec_json=stored_specs.to_json(spec))) == spec

    @settings(max_examples=30)
    @given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.text())
    def test_any_text_comes_back(self, word: str, label: str) -> None:
        spec = ContainerSpec(name="c", rootfs="/", command=(word,), labels=((label, word),))
        assert stored_specs.container_spec(container(spec_json=stored_specs.to_json(spec))) == spec

    @pytest.mark.parametrize("text", DAMAGED)
    def test_damaged_ones_of_containers_say_so(self, text: str) -> None:
        with pytest.raises(StoreError) as caught:
            stored_specs.container_spec(container(spec_json=text))
        assert (caught.value.hint, caught.value.path) == ("remove it", A)

    @pytest.mark.parametrize(
        "text", ["", "{", "null", "{}", '{"unheard":1}', '{"name":5}', '{"name":"p","net":{"a":1}}']
    )
    def test_damaged_ones_of_pods_say_so(self, text: str) -> None:
        with pytest.raises(StoreError) as caught:
            stored_specs.pod_spec(pod(spec_json=text))
        assert (caught.value.hint, caught.value.path) == ("remove it", A)


class TestDatabase:
    def test_an_exception_undoes_the_transaction(self, database: Database) -> None:
        add(database, container())
        with contextlib.suppress(ZeroDivisionError), database.transaction() as connection:
            connection.execute("DELETE FROM containers")
            1 / 0  # noqa: B018
        assert len(records.all_containers(database)) == 1

    @pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", "COMMIT"])
    def test_a_control_c_leaves_nothing_locked(self, database: Database, monkeypatch, moment: str) -> None:
        """The traceback keeps the connection alive while the exception is handled and cleanup runs."""

        class Interrupted:
            def __init__(self, connection: sqlite3.Connection) -> None:
                self.connection = connection
                self.close = connection.close
                self.in_transaction = True

            def execute(self, statement: str) -> None:
                if statement != "COMMIT":
                    self.connection.execute(statement)
                if statement == moment:
                    raise KeyboardInterrupt

        monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
        taken = Interrupted(database.take())
        monkeypatch.setattr(database, "take", lambda: taken)
        with pytest.raises(KeyboardInterrupt) as caught, database.transaction():
            pass
        other = Database(database.path)
        add(other, container())
        other.close()
        assert caught.tb is not None

    def test_an_error_of_sqlite_is_ours(self, database: Database) -> None:
        with pytest.raises(StoreError) as caught:
            database.read("SELECT nonsense")
        assert caught.value.path == database.path
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert records.all_pods(database) == []

    def test_connections_are_used_again_and_closed(self, database: Database) -> None:
        for _ in range(3):
            records.all_pods(database)
        assert len(database._idle) == 1
        database.close()
        assert database._idle == []
        assert records.all_pods(database) == []

    def test_connections_are_closed_when_nobody_has_the_database_any_more(self, tmp_path) -> None:
        database = Database(str(tmp_path / "forgotten.db"))
        connection = database.take()
        database.give_back(connection)
        del database
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")

    def test_threads_have_connections_of_their_own(self, database: Database) -> None:
        barrier = threading.Barrier(4)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                barrier.wait(5)
                for turn in range(10):
                    add(database, container(f"{number}{turn}{'0' * 62}", f"c{number}-{turn}"))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(records.all_containers(database)) == 40

    def test_a_fork_carries_no_connection_over(self, database: Database, monkeypatch) -> None:
        add(database, container())
        (before,) = database._idle
        monkeypatch.setattr(module.os, "getpid", lambda: -1)
        assert len(records.all_containers(database)) == 1
        assert before not in database._idle
        assert any(before in kept for kept in module._lost if isinstance(kept, list))
        assert before.execute("SELECT 1").fetchone() == (1,)  # not closed: that would release the parent's locks
        database.close()
        module._lost.clear()
        before.close()

    def test_a_connection_out_during_a_fork_is_not_closed_either(self, database: Database, monkeypatch) -> None:
        connection = database.take()
        with monkeypatch.context() as patched:
            patched.setattr(module.os, "getpid", lambda: -1)
            database.give_back(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        module._lost.clear()
        connection.close()

    def test_is_made_with_its_version_and_a_log(self, database: Database) -> None:
        records.all_pods(database)
        with database.transaction(write=False) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,) == (len(MIGRATIONS),)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_one_of_a_newer_version_is_left_alone(self, tmp_path) -> None:
        path = tmp_path / "pypod.db"
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version=99")
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"newer pypod \(its layout is 99") as caught:
            records.all_pods(Database(str(path)))
        assert "another --root" in caught.value.hint
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_one_that_cannot_be_made(self, tmp_path) -> None:
        with pytest.raises(PermissionDenied) as caught:
            records.all_pods(Database(str(tmp_path / "nowhere" / "pypod.db")))
        assert "--root" in caught.value.hint


class TestReserve:
    def test_is_kept_beside_it(self, database: Database) -> None:
        path = Path(f"{database.path}.reserve")
        records.all_pods(database)
        assert path.stat().st_size == RESERVE_BYTES
        assert path.stat().st_blocks * 512 >= RESERVE_BYTES
        path.write_bytes(b"cut off by a crash")
        database.close()
        records.all_pods(database)
        assert path.stat().st_size == RESERVE_BYTES

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("SQLITE_FULL", "deleted"), ("SQLITE_IOERR_WRITE", "deleted"), ("SQLITE_CORRUPT", "kept")],
    )
    def test_is_given_up_once_when_a_deletion_finds_no_room(
        self, database, monkeypatch, name: str, expected: str
    ) -> None:
        add(database, container())
        real, path, was_there = database._execute, Path(f"{database.path}.reserve"), []

        def execute(statements) -> None:
            was_there.append(path.exists())
            if was_there == [True]:
                problem = sqlite3.OperationalError("said by the test")
                problem.sqlite_errorname = name
                raise failure(database.path, problem) from problem
            real(statements)

        monkeypatch.setattr(database, "_execute", execute)
        if expected == "kept":
            with pytest.raises(StoreError, match="move"):
                records.remove_container(database, container())
        else:
            records.remove_container(database, container())
        assert was_there == ([True] if expected == "kept" else [True, False])
        assert path.exists()  # reserved again once there is space
        assert len(records.all_containers(database)) == (expected == "kept")

    def test_it_is_not_kept_again_by_who_gave_it_up(self, database: Database) -> None:
        records.all_pods(database)
        assert database._give_up_reserve()
        assert not database._give_up_reserve()
        database.close()
        records.all_pods(database)
        assert not Path(f"{database.path}.reserve").exists()
        other = Database(database.path)
        records.all_pods(other)
        other.close()
        assert Path(f"{database.path}.reserve").exists()

    @pytest.mark.parametrize(
        ("name", "kind", "hint"),
        [
            ("SQLITE_FULL", StoreError, "free some space"),
            ("SQLITE_IOERR_SHMSIZE", StoreError, "free some space"),
            ("SQLITE_BUSY", StoreError, "try again"),
            ("SQLITE_BUSY_SNAPSHOT", StoreError, "try again"),
            ("SQLITE_CORRUPT", StoreError, "move"),
            ("SQLITE_NOTADB", StoreError, "move"),
            ("", StoreError, "move"),
            ("SQLITE_READONLY", PermissionDenied, "--root"),
            ("SQLITE_CANTOPEN", PermissionDenied, "--root"),
        ],
    )
    def test_errors_say_what_to_do(self, database: Database, name: str, kind: type, hint: str) -> None:
        problem = sqlite3.OperationalError("text")
        if name:
            problem.sqlite_errorname = name
        error = failure(database.path, problem)
        assert type(error) is kind
        assert hint in error.hint
        assert "text" in str(error)


class TestSize:
    """The space of a thousand containers is released when they are gone."""

    @staticmethod
    def fill_and_empty(database: Database, count: int) -> None:
        rows = [container(f"{number:064x}", f"c{number}", spec_json="x" * 1000) for number in range(count)]
        with database.transaction() as connection, connection:
            for row in rows:
                records.add_container(connection, row)
        database.delete([("DELETE FROM containers", ()), ("DELETE FROM names", ())])

    def test_is_given_back(self, database: Database, tmp_path: Path) -> None:
        add(database, pod())
        self.fill_and_empty(database, 1000)
        before = (tmp_path / "pypod.db").stat().st_size
        freed = database.shrink()
        after = (tmp_path / "pypod.db").stat().st_size
        assert before > 1_000_000
        assert after < 200_000
        assert freed >= before - after
        assert (tmp_path / "pypod.db-wal").stat().st_size == 0
        assert records.all_pods(database) == [pod()]

    def test_is_left_alone_when_little_would_come_of_it(self, database: Database) -> None:
        self.fill_and_empty(database, 30)
        assert database.shrink() == 0
