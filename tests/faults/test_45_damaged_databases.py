"""A database that is garbage, truncated, of a newer version or damaged in one record: nothing else suffers."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypod import Engine, NoSuchContainer, StoreError
from pypod.cli import main
from pypod.store.database import Database
from pypod.store.schema import MIGRATIONS
from tests.facts import in_threads, is_there
from tests.images.made import Made, busybox_entries, layer

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def execute(path: str | Path, statement: str, *arguments: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, arguments)


@pytest.mark.parametrize(
    ("content", "hint"), [(b"garbage" * 1000, "move"), (b"SQLite format 3\0" + b"\xff" * 4080, "move")]
)
def test_garbage(tmp_path, content: bytes, hint: str) -> None:
    with Engine(str(tmp_path / "storage")) as engine:
        Path(engine.layout.database).write_bytes(content)
        for action in (engine.pods.list, engine.containers.list, lambda: engine.pods.create("p")):
            with pytest.raises(StoreError) as caught:
                action()
            assert caught.value.path == engine.layout.database
            assert hint in caught.value.hint
        assert Path(engine.layout.database).read_bytes() == content


def test_of_a_newer_version(engine, busybox) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox)
    engine.database.close()
    path = Path(engine.layout.database)
    execute(path, "PRAGMA user_version=99")
    before = path.read_bytes()
    with Engine(engine.layout.root) as other, pytest.raises(StoreError, match="newer pypod") as caught:
        other.pods.create("p")
    assert "newer" in caught.value.hint
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.glob("pypod.db*")) == ["pypod.db", "pypod.db.reserve"]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM containers").fetchone() == (1,)
    connection.close()
    execute(path, f"PRAGMA user_version={len(MIGRATIONS)}")
    assert engine.containers.list(all=True) == [container]


@pytest.mark.parametrize(
    "spec",
    ["", "{", "[]", "null", "{}", '{"name": 5}', '{"name":"x","rootfs":"/","command":["a"],"unheard":1}', "\\x00"],
)
def test_one_damaged_record_hides_nothing_else_and_can_be_removed(engine, busybox, spec: str) -> None:
    pod = engine.pods.create("p")
    member = pod.run(SLEEP, rootfs=busybox)
    alone = engine.containers.run(SLEEP, rootfs=busybox)
    good = engine.containers.run(SLEEP, rootfs=busybox)
    engine.database.close()
    for damaged in (member, alone):
        execute(engine.layout.database, "UPDATE containers SET spec = ? WHERE id = ?", spec, damaged.id)
    execute(engine.layout.database, "UPDATE pods SET spec = ?", spec)
    assert engine.containers.list() == [member, alone, good]
    assert engine.pods.list() == [pod]
    assert (pod.status, member.state().status) == ("Running", "running")
    for read in (alone.spec, pod.spec, alone.restart):
        with pytest.raises(StoreError) as caught:
            read()
        assert "remove" in caught.value.hint
    assert not alone.state().running  # restart stopped it
    pid = member.state().pid
    alone.remove(force=True)
    pod.remove(force=True)
    assert not is_there(pid)
    assert engine.containers.list(all=True) == [good]
    good.restart(timeout=0)
    assert good.state().running


def test_a_damaged_owner_is_none(engine, busybox) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox, ephemeral=True)
    engine.database.close()
    for owner in ("nonsense", "1 2", "1 x y", "1 2 3 4", "-1 2 z"):
        execute(engine.layout.database, "UPDATE containers SET owner = ?", owner)
        assert engine.containers.list(all=True) == [container]


def test_of_an_older_version_by_two_at_once(tmp_path: Path) -> None:
    """A process that waited for another's migration finds it done."""
    path = tmp_path / "pypod.db"
    with sqlite3.connect(path) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version=1")
    old.close()
    databases = [Database(str(path)) for _ in range(4)]
    in_threads(lambda at: databases[at].read("SELECT * FROM networks"), len(databases))
    assert databases[0].read("PRAGMA user_version") == [(len(MIGRATIONS),)]
    for one in databases:
        one.close()


class Storage:
    """A storage with objects of every kind, none of them running, and the bytes of its database."""

    def __init__(self, engine: Engine, busybox: str, tmp_path: Path) -> None:
        archive = Made(layer(busybox_entries(busybox))).archive(tmp_path / "made.tar", "localhost/made:latest")
        engine.images.load(str(archive))
        engine.networks.create("net")
        engine.pods.create("p").create_container(SLEEP, rootfs=busybox, name="m")
        engine.containers.create("localhost/made", SLEEP, name="n", labels={"a": "b"}, network="net")
        engine.database.close()
        self.root = engine.layout.root
        self.path = Path(engine.layout.database)
        self.whole = self.path.read_bytes()

    def damage(self, content: bytes) -> None:
        for end in ("-wal", "-shm"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)
        self.path.write_bytes(content)

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command in this process; an unexpected exception propagates."""
        output, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = main.run(["--root", self.root, *words])
        return code, errors.getvalue()


READING = [
    ("ps", "-a", "--pod", "--size"),
    ("ps", "-a", "--format", "json"),
    ("pod", "ps", "--format", "json"),
    ("pod", "inspect", "p"),
    ("images", "--format", "json"),
    ("image", "tree", "localhost/made"),
    ("history", "localhost/made"),
    ("history", "made"),
    ("inspect", "n", "localhost/made"),
    ("network", "ls"),
    ("network", "inspect", "net"),
    ("port", "-a"),
    ("logs", "m"),
    ("lsns",),
    ("info",),
    ("diff", "n"),
    ("exec", "m", "true"),
    ("system", "check"),
]


def require_answers(storage: Storage, damage: str) -> None:
    """Fail unless each command that reads works or reports something."""
    for words in READING:
        try:
            code, said = storage.run(*words)
        except Exception as error:
            error.add_note(f"{damage}: {words}")
            raise
        assert code == 0 or said or words == ("system", "check"), (damage, words)


@pytest.fixture
def storage(engine: Engine, busybox: str, tmp_path: Path) -> Iterator[Storage]:
    made = Storage(engine, busybox, tmp_path)
    yield made
    made.damage(made.whole)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_byte_of_the_schema_that_is_not_utf_8(storage: Storage, words: tuple[str, ...]) -> None:
    at = storage.whole.index(b"CREATE TABLE pods") + len("CREATE TABL")  # SQLite quotes the keyword in its message
    storage.damage(storage.whole[:at] + b"\xff" + storage.whole[at + 1 :])
    code, said = storage.run(*words)
    assert code
    if words != ("system", "check"):  # which reports on its standard output
        assert "is damaged" in said
        assert "move it away" in said


def test_each_byte_by_itself(storage: Storage, points: Callable[[int, int], range]) -> None:
    """Whatever one byte becomes, a command works or reports a damaged database. ``--full``: every byte."""
    whole = storage.whole
    signs = [at for at, byte in enumerate(whole) if byte]
    for number in points(len(signs), 60):
        at = signs[number - 1]
        for value in {0xFF, 0, whole[at] ^ 1, whole[at] ^ 0x80} - {whole[at]}:
            storage.damage(whole[:at] + bytes([value]) + whole[at + 1 :])
            require_answers(storage, f"byte {at} is {value}")


def test_each_column_of_another_type(storage: Storage) -> None:
    """One damaged byte can turn a text into bytes, a number or nothing (sqlite.org/fileformat2.html: serial types)."""
    with contextlib.closing(sqlite3.connect(storage.path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]
    tried = 0
    for table, column in columns:
        for value in (f"CAST({column} AS BLOB)", "'x'", "7", "NULL", f"{column} || char(0) || 'x'", f"'/' || {column}"):
            storage.damage(storage.whole)
            try:
                execute(storage.path, f"UPDATE {table} SET {column} = {value}")  # noqa: S608
            except sqlite3.Error:  # a key, which SQLite itself checks
                continue
            tried += 1
            require_answers(storage, f"{table}.{column} is {value}")
    assert tried > 100


@pytest.mark.parametrize("size", [1, 16, 100, 512, 4096, 8192, -4096, -1])
def test_cut_short(storage: Storage, size: int) -> None:
    storage.damage(storage.whole[:size])
    require_answers(storage, f"cut to {size}")


def test_an_id_that_is_none_is_nobody_s_directory(engine: Engine, busybox: str) -> None:
    """An empty ID would be the directory of all containers."""
    good = engine.containers.run(SLEEP, rootfs=busybox)
    for identifier in ("", "..", "../pods", "x" * 63, "/" * 64):
        bad = engine.containers.create(SLEEP, rootfs=busybox, name="bad")
        engine.database.close()
        execute(engine.layout.database, "UPDATE containers SET id = ? WHERE id = ?", identifier, bad.id)
        execute(engine.layout.database, "UPDATE names SET id = ? WHERE id = ?", identifier, bad.id)
        assert engine.containers.list(all=True) == [good]
        with pytest.raises(NoSuchContainer):
            engine.containers.get("bad")
        execute(engine.layout.database, "DELETE FROM containers WHERE name = 'bad'")
        execute(engine.layout.database, "DELETE FROM names WHERE name = 'bad'")
    assert good.state().running


def test_text_that_is_not_utf_8_hides_no_other_row(engine: Engine, busybox: str) -> None:
    good, bad = (engine.containers.create(SLEEP, rootfs=busybox, name=name) for name in ("good", "bad"))
    engine.database.close()
    execute(engine.layout.database, "UPDATE containers SET command = CAST(x'ff' AS TEXT) WHERE id = ?", bad.id)
    assert engine.containers.list(all=True) == [good, bad]
    bad.remove()
    assert engine.containers.list(all=True) == [good]


def test_values_of_another_type_are_read_as_what_they_should_be(engine: Engine, busybox: str) -> None:
    container = engine.containers.create(SLEEP, rootfs=busybox)
    engine.database.close()
    execute(engine.layout.database, "UPDATE containers SET created_ns = 'x', image = x'00', command = 5, remove = 'y'")
    record = container.record()
    assert (record.created_ns, record.command, record.remove) == (0, "5", 0)
    container.remove()
