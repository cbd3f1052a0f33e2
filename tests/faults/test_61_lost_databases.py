"""The database is deleted, emptied or restored from an old copy while containers run: they are reported and can end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypod import Container, Engine, Pod, StoreError
from pypod.engine.containers.collect import orphans, repair
from pypod.engine.core.kept_records import NAME
from pypod.engine.images.removal import leftovers
from pypod.engine.storage import trash
from pypod.network import links
from pypod.store import restoring
from tests.cli.program import Program
from tests.facts import created_nothing, group, is_there, wait_until
from tests.images.made import Made, busybox_entries, layer

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
NEEDLE = b"in a layer\n"


class World:
    """A pod with a member, a container, an exited one, their states and records, and an old copy of the database."""

    def __init__(self, engine: Engine, busybox: str, copy: Path) -> None:
        self.engine = engine
        self.pypod = Program(engine.layout.root)
        self.database = Path(engine.layout.database)
        engine.containers.create(SLEEP, rootfs=busybox, name="older").remove()
        engine.database.close()
        shutil.copy(self.database, copy)
        self.copy = copy
        self.pod = engine.pods.create("p")
        self.member = self.pod.run(SLEEP, rootfs=busybox, name="m", labels={"a": "b"})
        self.alone = engine.containers.run(SLEEP, rootfs=busybox, name="c")
        self.ended = engine.containers.run(["sh", "-c", "exit 3"], rootfs=busybox, name="d")
        self.ended.wait()
        self.running = [self.member, self.alone, self.pod.infra]
        self.everyone = [*self.running, self.ended]
        self.pids = [one.state().pid for one in self.running]
        self.states = [one.state() for one in self.everyone]
        self.records = [one.record() for one in self.everyone]
        engine.database.close()

    def lose(self, how: str) -> None:
        if how == "deleted":
            self.database.unlink()
        elif how == "emptied":
            self.database.write_bytes(b"")
        else:
            shutil.copy(self.copy, self.database)


@pytest.fixture
def world(tmp_path: Path, busybox: str) -> Iterator[World]:
    with Engine(str(tmp_path / "storage")) as engine:
        made = World(engine, busybox, tmp_path / "copy.db")
        try:
            yield made
        finally:
            repair(engine)
            for pod in engine.pods.list():
                pod.remove(force=True, timeout=0)
            for container in engine.containers.list(all=True):
                container.remove(force=True, timeout=0)


@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_a_storage_with_containers_is_not_taken_for_an_empty_one(world: World, how: str) -> None:
    world.lose(how)
    before = {path: path.stat().st_ino for path in Path(world.engine.layout.root, "containers").rglob("*")}
    for words in ("ps", "ps -a", "pod ps", "images", "pod create new", "rm -fa", "rmi -a"):
        done = world.pypod(*words.split())
        assert (done.returncode, done.stdout) == (125, ""), words
        assert "the database was lost" in done.stderr
        assert "pypod system check --repair" in done.stderr
    assert all(map(is_there, world.pids))
    assert {path: path.stat().st_ino for path in before} == before


@pytest.mark.parametrize("how", ["deleted", "emptied", "older"])
def test_check_tells_what_runs(world: World, how: str) -> None:
    world.lose(how)
    done = world.pypod("system", "check")
    for one, pid in zip(world.running, world.pids, strict=True):
        assert f"container {one.name} ({one.id[:12]}) is running as process {pid} but has no record" in done.stdout
    assert f"container d ({world.ended.id[:12]}) was started but has no record" in done.stdout
    assert "left behind" not in done.stdout
    if how != "older":
        assert done.returncode == 1


@pytest.mark.parametrize("how", ["deleted", "emptied", "older"])
def test_repair_brings_everything_back(world: World, busybox: str, tmp_path: Path, how: str) -> None:
    with Engine(str(tmp_path / "other")) as other:
        stranger = other.containers.run(SLEEP, rootfs=busybox, name="c")
        try:
            world.lose(how)
            said = world.pypod.ok("system", "check", "--repair")
            for one in world.everyone:
                assert f"brought back the record of container {one.name} ({one.id[:12]})\n" in said
            assert [one.record() for one in world.everyone] == world.records
            assert [one.state() for one in world.everyone] == world.states
            assert world.pod.status == "Running"
            names = world.pypod.ok("ps", "-a", "--format", "{{.Names}}").split()
            assert names == [world.pod.infra.name, "m", "c", "d"]
            assert "nothing to repair" in world.pypod.ok("system", "check", "--repair")
            groups = [group(world.engine, one) for one in world.running]
            world.pypod.ok("stop", "-t", "0", "c")
            world.pypod.ok("pod", "rm", "-f", "p")
            world.pypod.ok("rm", "c", "d")
            assert not any(map(is_there, world.pids))
            assert not any(one.exists() for one in groups)
            assert created_nothing(world.engine)
            assert stranger.state().running
        finally:
            stranger.remove(force=True, timeout=0)


def test_what_was_brought_back_starts_again(world: World) -> None:
    world.lose("deleted")
    repair(world.engine)
    world.alone.restart(timeout=0)
    world.pod.restart(timeout=0)
    assert (world.alone.state().running, world.pod.status) == (True, "Running")
    world.ended.start()
    assert world.ended.wait() == 3


def test_a_name_that_was_given_away_meanwhile_stays_where_it_is(world: World, busybox: str) -> None:
    world.lose("older")
    new = world.engine.containers.create(SLEEP, rootfs=busybox, name="c")
    world.engine.pods.create("p")
    done = repair(world.engine)
    renamed = f"c_{world.alone.id[:6]}"
    assert any(f"as {renamed}" in line for line in done)
    assert world.engine.containers.get("c") == new
    assert world.engine.containers.get(renamed) == world.alone
    assert (world.alone.spec().name, world.alone.state().running) == (renamed, True)
    assert world.engine.pods.get(f"p_{world.pod.id[:6]}") == world.pod


def test_what_was_renamed_or_given_an_owner_is_brought_back_as_it_was(world: World) -> None:
    world.alone.rename("another")
    with world.alone:
        before = world.alone.record()
        world.engine.database.close()
        world.lose("deleted")
        repair(world.engine)
        assert before.owner
        assert world.alone.record() == before
    assert not is_there(world.pids[1])


def test_who_is_killed_while_repairing_has_not_made_a_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All records are committed in one transaction with the tables: a partial list would be taken for the whole."""
    world.lose("deleted")
    bring_back, seen = restoring.restore_container, []

    def fail(*arguments: object) -> str:
        seen.append(arguments)
        if len(seen) > 2:
            raise KeyboardInterrupt
        return bring_back(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "restore_container", fail)
        with pytest.raises(KeyboardInterrupt):
            repair(world.engine)
    assert world.pypod("ps", "-a").returncode == 125
    repair(world.engine)
    assert [one.record() for one in world.everyone] == world.records


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "of another", "link"])
def test_what_nothing_tells_of_is_ended_before_its_files_go(world: World, damage: str) -> None:
    path = Path(world.alone.directory, NAME)
    content = Path(world.member.directory, NAME).read_bytes()
    path.unlink()
    if damage == "link":
        path.symlink_to(Path(world.member.directory, NAME))
    elif damage != "missing":
        path.write_bytes({"empty": b"", "garbage": b'{"container":{}}', "of another": content}[damage])
    tracked = group(world.engine, world.alone)
    world.lose("deleted")
    short, pid = world.alone.id[:12], world.pids[1]
    told = world.pypod("system", "check").stdout
    assert f"container {short} is running as process {pid} but has no record, and its directory does not" in told
    assert is_there(pid)
    assert f"ended process {pid} of container {short}" in world.pypod.ok("system", "check", "--repair")
    assert not is_there(pid)
    assert not tracked.exists()
    assert not Path(world.alone.directory).exists()
    assert [one.state() for one in (world.member, world.pod.infra)] == [world.states[0], world.states[2]]


def test_nothing_is_ended_while_the_store_cannot_be_read(world: World) -> None:
    Path(world.alone.directory, NAME).unlink()
    world.database.write_bytes(b"garbage" * 1000)
    told = world.pypod("system", "check", "--repair")
    assert told.returncode == 1
    assert all(f"process {pid}" in told.stdout for pid in world.pids)
    assert all(map(is_there, world.pids))
    assert Path(world.alone.directory).exists()
    world.lose("deleted")


def test_what_was_removed_stays_removed(world: World) -> None:
    """A crash between deleting rows and files leaves a directory, but no saved record, which is deleted before both."""
    trash.discard, discard = lambda *_, **__: None, trash.discard
    try:
        from pypod.engine.lifecycle import stopping

        stopping.discard = trash.discard
        world.ended.remove()
    finally:
        trash.discard = stopping.discard = discard
    left = Path(world.ended.directory)
    assert left.exists()
    assert orphans(world.engine) == [str(left)]
    assert repair(world.engine) == [f"removed {left}"]
    assert "d" not in {one.name for one in world.engine.containers.list(all=True)}


@pytest.fixture
def with_image(tmp_path: Path, busybox: str) -> Iterator[tuple[Engine, Container, Pod]]:
    with Engine(str(tmp_path / "storage")) as engine:
        entries = layer({"srv": None, "srv/needle": NEEDLE})
        archive = Made(layer(busybox_entries(busybox)), entries).archive(tmp_path / "made.tar", "localhost/made:latest")
        engine.images.load(str(archive))
        made = engine.containers.run("localhost/made", SLEEP, name="c")
        pod = engine.pods.create("p", infra_image="localhost/made", infra_command=SLEEP)
        pod.start()
        engine.database.close()
        try:
            yield engine, made, pod
        finally:
            repair(engine)
            pod.remove(force=True, timeout=0)
            made.remove(force=True, timeout=0)
            repair(engine)


def test_layers_in_use_stay(with_image) -> None:
    engine, container, pod = with_image
    layers = set(Path(engine.layout.image_layers).iterdir())
    assert len(layers) == 2
    Path(engine.layout.database).unlink()
    done = repair(engine)
    assert "image localhost/made:latest of container c is not known any more: pypod pull brings it back" in done
    for _ in range(2):
        assert set(Path(engine.layout.image_layers).iterdir()) == layers
        assert container.exec(["cat", "/srv/needle"]).stdout == NEEDLE
        container.restart(timeout=0)
        repair(engine)
    container.remove(force=True, timeout=0)
    pod.remove(force=True, timeout=0)
    repair(engine)
    assert not set(Path(engine.layout.image_layers).iterdir())
    assert leftovers(engine) == []


def test_layers_in_use_stay_while_only_directories_know_of_them(with_image, tmp_path: Path) -> None:
    """As with an old copy of the database, which contains neither image nor container."""
    engine, container, pod = with_image
    layers = set(Path(engine.layout.image_layers).iterdir())
    with Engine(str(tmp_path / "empty")) as other:
        other.containers.list()
    shutil.copy(other.layout.database, engine.layout.database)
    engine.images.prune(all=True)
    assert set(Path(engine.layout.image_layers).iterdir()) == layers
    Path(container.directory, NAME).rename(tmp_path / NAME)
    engine.images.prune(all=True)
    assert set(Path(engine.layout.image_layers).iterdir()) == layers
    (tmp_path / NAME).rename(Path(container.directory, NAME))
    assert pod.id not in (one.id for one in engine.pods.list())


def test_connections_come_back_with_addresses_and_ports(engine: Engine, busybox: str, own_network) -> None:
    network = engine.networks.create("n")
    container = engine.containers.run(SLEEP, rootfs=busybox, name="c", network="n", ports=["18080:80"])
    pod = engine.pods.create("p", network="n")
    pod.start()
    before = (container.addresses, container.ports, pod.infra.addresses, network.spec())
    engine.database.close()
    Path(engine.layout.database).unlink()
    repair(engine)
    assert (container.addresses, container.ports, pod.infra.addresses, network.spec()) == before
    later = engine.containers.run(SLEEP, rootfs=busybox, network="n")
    assert not set(later.addresses["n"]) & {*container.addresses["n"], *pod.infra.addresses["n"]}
    for one in (container, later):
        one.remove(force=True, timeout=0)
    pod.remove(force=True, timeout=0)
    network.remove()
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert "18080" not in rules
    assert not links.index_of(before[3].interface)


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_who_has_it_open_writes_no_more_into_what_is_gone(tmp_path: Path, how: str) -> None:
    with Engine(str(tmp_path / "storage")) as engine, Engine(engine.layout.root) as other:
        engine.pods.create("p")
        other.pods.list()
        path = Path(engine.layout.database)
        if how == "replaced":
            copy = path.with_name("copy")
            shutil.copy(path, copy)
            copy.rename(path)
        elif how == "deleted":
            path.unlink()
        else:
            other.database.close()  # SQLite initializes an emptied file only after other connections are closed
            path.write_bytes(b"")
        engine.pods.create("q")
        assert "q" in {one.name for one in other.pods.list()}


FIRST = """
import sys
from pypod import Engine
sys.stdin.read(1)
with Engine(sys.argv[1]) as engine:
    engine.pods.create(sys.argv[2])
    print(engine.containers.create(["sleep", "1000"], rootfs=sys.argv[3]).id)
"""


def test_of_many_who_are_the_first_each_has_the_same_database(tmp_path: Path, busybox: str) -> None:
    root = str(tmp_path / "storage")
    words = [sys.executable, "-c", FIRST, root]
    everyone = [
        subprocess.Popen([*words, f"p{n}", busybox], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for n in range(8)
    ]
    for one in everyone:
        assert one.stdin is not None
        one.stdin.write(b"x")
        one.stdin.flush()
    ids = {one.communicate(timeout=60)[0].decode().strip() for one in everyone}
    with Engine(root) as engine:
        assert {one.id for one in engine.containers.list(all=True)} == ids
        assert len(ids) == len(engine.pods.list()) == 8
        for pod in engine.pods.list():
            pod.remove()
        for container in engine.containers.list(all=True):
            container.remove()


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(("replace", "words"), [(_link, "symbolic link"), (_directory, "directory"), (_fifo, "FIFO")])
def test_what_is_no_file_is_refused(world: World, replace: Callable[[Path], None], words: str) -> None:
    replace(world.database)
    elsewhere = world.database.with_name("elsewhere")
    before = elsewhere.read_bytes() if elsewhere.exists() else b""
    with Engine(world.engine.layout.root) as engine:
        for action in (engine.pods.list, lambda: engine.pods.create("q")):
            with pytest.raises(StoreError, match=words) as caught:
                action()
            assert "system check --repair" in caught.value.hint
    told = world.pypod("system", "check")
    assert (told.returncode, told.stderr) == (1, "")
    assert all(f"process {pid}" in told.stdout for pid in world.pids)
    assert (elsewhere.read_bytes() if elsewhere.exists() else b"") == before
    if world.database.is_dir():
        world.database.rmdir()
    else:
        world.database.unlink()
    repair(world.engine)
    assert [one.record() for one in world.everyone] == world.records
    wait_until(lambda: not trash.contents(world.engine))


@pytest.mark.parametrize("how", ["deleted", "emptied", "older"])
def test_secrets_that_no_container_uses_come_back(world: World, busybox: str, how: str) -> None:
    world.pypod.ok("secret", "create", "--label=a=b", "s1", "-", stdin=b"swordfish")
    world.pypod.ok("secret", "create", "s2", "-", stdin=b"marlin")
    world.pypod.ok("secret", "rm", "s2")
    before = world.pypod.ok("secret", "inspect", "s1")
    world.lose(how)
    assert "secret s1 has no record\n" in world.pypod("system", "check").stdout
    if how == "older":
        world.pypod.ok("secret", "create", "s1", "-", stdin=b"taken")
    else:
        assert "1 secrets are here" in world.pypod("secret", "ls").stderr
    said = world.pypod.ok("system", "check", "--repair")
    name = "s1" if how != "older" else f"s1_{json.loads(before)[0]['ID'][:6]}"
    assert "brought back the record of secret s1" in said
    assert world.pypod.ok("secret", "inspect", name) == before.replace('"s1"', f'"{name}"')
    assert world.pypod.ok("run", "--rm", f"--secret={name}", "--rootfs", busybox, "cat", f"/run/secrets/{name}") == (
        "swordfish"
    )
    assert "nothing to repair" in world.pypod.ok("system", "check", "--repair")


def test_a_secret_whose_copy_is_damaged_keeps_its_content(world: World) -> None:
    identifier = world.pypod.ok("secret", "create", "s1", "-", stdin=b"swordfish").strip()
    Path(world.engine.layout.secrets, f"{identifier}.json").write_bytes(b"{")
    world.lose("deleted")
    world.pypod.ok("system", "check", "--repair")
    shown = world.pypod.ok("secret", "inspect", "--showsecret", "--format={{.Spec.Name}} {{.SecretData}}", identifier)
    assert shown == f"secret_{identifier[:12]} swordfish\n"
