"""Images in the store, and containers on them, seen from inside the containers and on disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pypod import (
    Container,
    Engine,
    InUse,
    InvalidImage,
    InvalidSpec,
    LaunchFailed,
    NoSuchImage,
    RegistryError,
    SystemFailure,
)
from pypod.api.images.image import Image
from pypod.engine.containers.collect import repair
from pypod.engine.core import kept_records
from pypod.engine.images import pulling
from pypod.engine.storage import volume_files
from tests.images.forms import digest
from tests.images.made import Made, busybox_image, layer, names_of

pytestmark = pytest.mark.root


def bring(engine: Engine, made: Made, name: str = "localhost/made:latest", **options) -> Image:
    with made as source:
        return Image(engine, pulling.pull(engine, source, name, names=[name] if name else (), **options), name)


def output(container: Container) -> str:
    assert container.wait(20) == 0
    return b"".join(piece.data for piece in container.logs()).decode()


def run(engine: Engine, image: Image | str, *command: str, **options) -> str:
    container = engine.containers.run(image, list(command), **options)
    try:
        return output(container)
    finally:
        container.remove(force=True)


def store(engine: Engine) -> dict[str, list[str]]:
    base = engine.layout.images
    return {
        "layers": names_of(f"{base}/layers"),
        "blobs": names_of(f"{base}/blobs/sha256"),
        "incoming": names_of(f"{base}/incoming"),
    }


def written(engine: Engine) -> dict[str, tuple[int, int]]:
    """Return time and size of each file and directory, except the database's WAL index, which is in memory only."""
    paths = (f"{at}/{name}" for at, below, files in os.walk(engine.layout.root) for name in (*below, *files))
    found = {path: os.stat(path) for path in paths if not path.endswith("-shm")}
    return {path: (status.st_mtime_ns, status.st_size) for path, status in found.items()}


class TestContent:
    def test_layers_are_stacked(self, engine, busybox) -> None:
        below = layer(
            {"srv": None, "srv/a": b"low", "srv/gone": b"x", "srv/dir": None, "srv/dir/old": b"x"}, mode=0o755
        )
        above = layer(
            {
                "srv": None,
                "srv/a": b"high",
                "srv/.wh.gone": b"",
                "srv/dir": None,
                "srv/dir/.wh..wh..opq": b"",
                "srv/dir/new": b"y",
            }
        )
        image = bring(engine, busybox_image(busybox, below, above))
        shown = run(engine, image, "sh", "-c", "cat /srv/a; echo; ls /srv /srv/dir; hostname")
        assert shown.splitlines()[:-1] == ["high", "/srv:", "a", "dir", "", "/srv/dir:", "new"]

    def test_what_is_written_stays_out_of_the_image(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        assert run(engine, image, "sh", "-c", "echo x > /new; rm /bin/vi; ls /new") == "/new\n"
        assert run(engine, image, "sh", "-c", "ls /new 2>/dev/null; ls /bin/vi") == "/bin/vi\n"

    def test_layer_without_entries_for_its_directories_keeps_those_below(self, engine, busybox) -> None:
        below = layer({"data": None}, mode=0o711, uid=7, gid=8)
        image = bring(engine, busybox_image(busybox, below, layer({"data/x": b"1"})))
        assert run(engine, image, "stat", "-c", "%a %u %g", "/data") == "711 7 8\n"

    def test_more_layers_than_fit_on_a_page(self, tmp_path, busybox) -> None:
        """mount(2) takes one page of options: the names of 150 layers in a deep directory do not fit."""
        deep = tmp_path / ("d" * 60) / "storage"
        deep.parent.mkdir()
        with Engine(str(deep)) as engine:
            made = busybox_image(busybox, *[layer({f"f{n}": str(n).encode()}) for n in range(150)])
            image = bring(engine, made)
            assert run(engine, image, "sh", "-c", "cat /f0 /f149; ls / | grep -c ^f") == "0149150\n"


CONFIG = {
    "Entrypoint": ["sh", "-c"],
    "Cmd": ["echo $A $B; pwd; id -u"],
    "Env": ["A=1", "B=2"],
    "WorkingDir": "/made/here",
    "User": "7:8",
    "Labels": {"of": "image"},
    "StopSignal": "SIGUSR1",
}


class TestConfiguration:
    def test_is_honoured(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config=CONFIG))
        container = engine.containers.run(image)
        assert output(container) == "1 2\n/made/here\n7\n"
        spec = container.spec()
        assert dict(spec.environment) == {"A": "1", "B": "2"}
        assert (dict(spec.labels), spec.stop_signal, spec.image) == (
            {"of": "image"},
            signal.SIGUSR1,
            "localhost/made:latest",
        )
        assert container.inspect()["Image"] == image.id

    def test_what_the_user_says_wins(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config=CONFIG))
        options = {"environment": {"B": "3"}, "user": "9", "working_directory": "/tmp", "stop_signal": "SIGTERM"}
        assert run(engine, image, "echo $A $B; pwd; id -u", **options) == "1 3\n/tmp\n9\n"
        assert run(engine, image, "-u", entrypoint=["id"], user="5") == "5\n"
        with pytest.raises(InvalidSpec, match="no command or entrypoint"):
            engine.containers.create(image, entrypoint=[])  # setting the entrypoint drops the image's command

    def test_working_directory_that_is_missing_in_a_read_only_root(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config={"WorkingDir": "/not/there"}))
        assert run(engine, image, "pwd", read_only=True) == "/not/there\n"

    def test_exposed_ports(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config={"ExposedPorts": {"8080/tcp": {}, "53/udp": {}}}))
        container = engine.containers.create(image, ["true"], exposed_ports=["9000-9001"])
        assert container.spec().exposed_ports == ("8080/tcp", "53/udp", "9000-9001/tcp")
        for bad in ("http", "0", "70000", "9-8", "80/icmp", "1-2-3"):
            with pytest.raises(InvalidSpec) as caught:
                engine.containers.create(image, ["true"], exposed_ports=[bad])
            assert caught.value.argument == "--expose"
        assert engine.containers.list(all=True) == [container]

    def test_what_builders_write_that_is_of_no_use(self, engine, busybox) -> None:
        """podman runs such images, too."""
        config = {
            "Entrypoint": [""],
            "Cmd": ["ls", "-d", "/rel"],
            "Volumes": {"rel": {}},
            "ExposedPorts": {"x/y": {}, "99999": {}, "80": {}},
            "Labels": {"empty": None},
        }
        image = bring(engine, busybox_image(busybox, config=config))
        assert run(engine, image) == "/rel\n"
        spec = engine.containers.create(image).spec()
        assert (spec.exposed_ports, dict(spec.labels)) == (("80/tcp",), {"empty": ""})
        with pytest.raises(InvalidSpec, match="invalid range format for --expose: x/y"):
            engine.containers.create(image, publish_all=True)

    def test_only_the_image_s_own_working_directory_is_made(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config={"WorkingDir": "/made/here/", "User": "7:8"}))
        shown = run(engine, image, "sh", "-c", "pwd; stat -c '%u %g %a' . .. /")
        assert shown == "/made/here\n7 8 755\n0 0 755\n0 0 755\n"  # the directory belongs to the user
        with pytest.raises(LaunchFailed, match='workdir "/asked" does not exist on container') as caught:
            engine.containers.run(image, ["pwd"], working_directory="/asked")
        assert caught.value.exit_code == 126

    def test_volumes(self, engine, busybox) -> None:
        """Existing content is copied into a new volume; data written there are not in the container's own layer."""
        image = bring(
            engine,
            busybox_image(
                busybox, layer({"data": None, "data/f": b"old"}), config={"Volumes": {"/new": {}, "/data": {}}}
            ),
        )
        container = engine.containers.run(
            image, ["sh", "-c", "cat /data/f; echo x > /data/g; echo y >/new/h; ls /data"]
        )
        assert output(container) == "oldf\ng\n"
        assert not os.path.exists(f"{container.directory}/upper/data/g")
        container.start()
        assert container.wait(20) == 0
        shown = [(mount["Destination"], mount["Options"]) for mount in container.inspect()["Mounts"]]
        assert shown == [("/data", ["nosuid", "nodev", "rbind"]), ("/new", ["nosuid", "nodev", "rbind"])]
        assert Path(container.inspect()["Mounts"][0]["Source"], "g").read_text() == "x\n"
        volumes = names_of(engine.layout.volumes)
        container.remove()
        assert len(volumes) == 2
        assert not os.path.exists(container.directory)
        assert names_of(engine.layout.volumes) == []

    def test_a_volume_goes_with_the_last_container_that_has_it(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config={"Volumes": {"/data": {}}}))
        pod = engine.pods.create("mipod")
        first = engine.containers.create(image, ["true"], name="first", pod="mipod")
        (volume,) = (mount.source for mount in first.spec().mounts)
        second = engine.containers.run(image, ["touch", "/data/kept"], volumes_from=["first"])
        third = engine.containers.create(["true"], rootfs=busybox, volumes_from=[second.id])
        assert second.wait(20) == 0
        assert third.spec().mounts[0].source == volume
        pod.remove(force=True)
        assert names_of(f"{engine.layout.volumes}/{volume}/_data") == ["kept"]
        second.remove()
        repair(engine)  # it is still in use
        assert names_of(f"{engine.layout.volumes}/{volume}/_data") == ["kept"]
        third.remove()
        assert names_of(engine.layout.volumes) == []

    def test_what_a_crash_leaves_of_a_volume_is_found(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox, config={"Volumes": {"/data": {}}}))
        container = engine.containers.run(image, ["true"])
        assert container.wait(20) == 0
        engine.cgroups.remove(container.record().cgroup)
        kept_records.forget(engine, [container.id])
        volume_files.forget(engine, names_of(engine.layout.volumes))
        with engine.database.transaction() as connection:  # as if the process had been killed here
            connection.execute("DELETE FROM containers WHERE id = ?", (container.id,))
            connection.execute("DELETE FROM volumes")
        assert len(names_of(engine.layout.volumes)) == 1
        repair(engine)
        assert names_of(engine.layout.volumes) == []

    @pytest.mark.parametrize(("mode", "kind"), [("bind", "volume"), ("tmpfs", "tmpfs"), ("ignore", "")])
    def test_what_becomes_of_volumes(self, engine, busybox, mode, kind) -> None:
        image = bring(
            engine, busybox_image(busybox, layer({"data": None, "data/f": b"old"}), config={"Volumes": {"/data": {}}})
        )
        container = engine.containers.run(
            image, ["sh", "-c", "cat /data/f; grep -c ' /data ' /proc/mounts; stat -f -c %T /data"], image_volume=mode
        )
        there, of_root = output(container).split(), run(engine, image, "stat", "-f", "-c", "%T", "/").strip()
        assert there == {"bind": ["old1", there[1]], "tmpfs": ["old1", "tmpfs"], "ignore": ["old0", of_root]}[mode]
        assert [mount.type for mount in container.spec().mounts] == [kind] * bool(kind)

    def test_unknown_use_of_volumes(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        with pytest.raises(InvalidSpec, match='invalid image volume mode "x" required value: bind, tmpfs, ignore'):
            engine.containers.create(image, ["true"], image_volume="x")

    def test_a_mount_of_the_users_replaces_a_volume(self, engine, busybox, tmp_path) -> None:
        (tmp_path / "mine").write_text("")
        image = bring(engine, busybox_image(busybox, config={"Volumes": {"/data": {}}}))
        assert run(engine, image, "ls", "/data", volumes=[f"{tmp_path}:/data"]).splitlines()[-1:] != []


class TestPull:
    def test_layers_are_there_once_for_all_images(self, engine, busybox) -> None:
        first = busybox_image(busybox, layer({"a": b"1"}))
        second = busybox_image(busybox, layer({"b": b"2"}))
        bring(engine, first, "localhost/first:latest")
        bring(engine, second, "localhost/second:latest")
        assert len(store(engine)["layers"]) == 3
        assert [of for of, _ in second.layers_asked()] == [digest(second.layers[1])]

    def test_what_is_here_is_not_fetched_again(self, engine, busybox) -> None:
        made = busybox_image(busybox)
        image = bring(engine, made)
        made.asked.clear()
        states = []
        assert bring(engine, made, progress=lambda report: states.append(report.state)) == image
        assert made.asked == []
        assert set(states) == {"present", "done"}

    def test_two_compressions_are_one_layer(self, engine, busybox) -> None:
        plain, packed = busybox_image(busybox), busybox_image(busybox)
        packed.__init__(*plain.layers, config={"Cmd": ["sh"]}, compress=True)  # type: ignore[misc]
        assert bring(engine, plain) == bring(engine, packed)
        assert len(store(engine)["layers"]) == 1

    @pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
    def test_goes_on_after_a_cut(self, engine, compress) -> None:
        made = Made(layer({"f": os.urandom(100_000)}), config={"Cmd": ["x"]}, compress=compress)
        made.cut_after = 40_960
        with pytest.raises(RegistryError, match="cut"):
            bring(engine, made)
        assert engine.images.list() == []
        assert names_of(engine.layout.image_layers) == []
        bring(engine, made)
        assert made.layers_asked() == [(digest(made.layers[0]), 0), (digest(made.layers[0]), 40_960)]
        assert store(engine)["incoming"] == []

    def test_what_an_attempt_left_unpacked_goes(self, engine) -> None:
        made = Made(layer({"f": b"1"}), config={"Cmd": ["x"]})
        left = Path(engine.layout.incoming(digest(made.layers[0]), digest(made.layers[0])), "deadbeef")
        left.mkdir(parents=True)
        Path(left, "g").touch()
        bring(engine, made)
        assert store(engine)["incoming"] == []
        (name,) = names_of(engine.layout.image_layers)
        assert names_of(f"{engine.layout.image_layers}/{name}") == ["f"]

    def test_what_is_here_already_is_not_written_again(self, engine) -> None:
        made = Made(layer({"f": b"1"}), config={"Cmd": ["x"]})
        image = bring(engine, made)
        before = written(engine)
        assert bring(engine, made) == image
        assert written(engine) == before
        bring(engine, made, "localhost/another:latest")
        assert written(engine) != before
        assert image.names == ("localhost/another:latest", "localhost/made:latest")
        bring(engine, made)  # the name used last comes first
        assert image.names == ("localhost/made:latest", "localhost/another:latest")

    def test_two_clients_do_the_work_once(self, engine, busybox) -> None:
        made = busybox_image(busybox, layer({"a": os.urandom(50_000)}))
        made.before_piece = threading.Event()
        found = []

        def pull() -> None:
            with Engine(engine.layout.root) as own:
                found.append(bring(own, made).id)

        threads = [threading.Thread(target=pull) for _ in range(4)]
        for thread in threads:
            thread.start()
        while not made.asked:
            time.sleep(0.01)
        made.before_piece.set()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
        assert len(found) == 4
        assert sorted(of for of, _ in made.layers_asked()) == sorted(map(digest, made.layers))

    def test_failure_of_one_layer_ends_the_others(self, engine) -> None:
        made = Made(*[layer({f"f{n}": os.urandom(20_000)}) for n in range(6)], config={"Cmd": ["x"]})
        made.lies[digest(made.layers[1])] = b"\0" * len(made.layers[1])
        with pytest.raises(InvalidImage, match=digest(made.layers[1])):
            bring(engine, made)
        assert engine.images.list() == []

    def test_killed_in_the_middle(self, engine) -> None:
        """SIGKILL of a client: nothing of the image is visible, and the next client completes it."""
        code = """
import os, sys, time
from pypod import Engine
from pypod.engine.images import pulling
from tests.images.made import Made, layer
import random
made = Made(*[layer({f"f{n}": random.Random(n).randbytes(300_000)}) for n in range(3)], config={"Cmd": ["x"]})
if len(sys.argv) > 2:
    count = 0
    def progress(report):
        global count
        count += report.state == "pulling"
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
    pulling.pull(Engine(sys.argv[1]), made, "made", names=["localhost/made:latest"], progress=progress)
else:
    print(pulling.pull(Engine(sys.argv[1]), made, "made", names=["localhost/made:latest"]))
"""
        for at in ("1", "30", "60", "20"):
            done = subprocess.run([sys.executable, "-c", code, engine.layout.root, at], check=False)
            assert done.returncode == -signal.SIGKILL
            assert engine.images.list() == []
        done = subprocess.run(
            [sys.executable, "-c", code, engine.layout.root], capture_output=True, text=True, check=True
        )
        image = engine.images.get("made")
        assert done.stdout == f"{image.id}\n"
        assert store(engine)["incoming"] == []
        assert len(store(engine)["layers"]) == 3
        for number, directory in enumerate(reversed(image.layer_directories())):
            assert os.stat(f"{engine.layout.image_layers}/{directory}/f{number}").st_size == 300_000


class TestNames:
    @pytest.mark.parametrize(
        "ref", ["docker.io/library/made", "made", "made:latest", "library/made", "docker.io/library/made:latest"]
    )
    def test_is_found_by(self, engine, busybox, ref) -> None:
        image = bring(engine, busybox_image(busybox), "docker.io/library/made:latest")
        assert engine.images.get(ref) == image
        assert engine.images.get(image.id[:12]) == engine.images.get(f"sha256:{image.id}") == image

    @pytest.mark.parametrize("ref", ["mad", "ade", "made:1", "other/made", "quay.io/library/made", "0000"])
    def test_is_not_found_by(self, engine, busybox, ref) -> None:
        bring(engine, busybox_image(busybox), "docker.io/library/made:latest")
        with pytest.raises(NoSuchImage):
            engine.images.get(ref)

    def test_a_name_has_one_image(self, engine, busybox) -> None:
        first = bring(engine, busybox_image(busybox), "localhost/made:latest")
        second = bring(engine, busybox_image(busybox, layer({"a": b""})), "localhost/made:latest")
        assert engine.images.get("made") == second
        assert first.names == ()
        first.tag("old:1")
        assert engine.images.get("localhost/old:1") == first
        first.untag("old:1")
        assert first.names == ()

    @pytest.mark.parametrize("name", ["", "Up", "a:b:c", "../x", "a//b", "a@sha256:" + "0" * 64, "a b"])
    def test_bad_name(self, engine, busybox, name) -> None:
        image = bring(engine, busybox_image(busybox))
        with pytest.raises(InvalidSpec):
            image.tag(name)
        assert image.names == ("localhost/made:latest",)


class TestRemoval:
    def test_layers_go_with_the_last_image(self, engine, busybox) -> None:
        first = bring(engine, busybox_image(busybox, layer({"a": b"1"})), "localhost/first:latest")
        second = bring(engine, busybox_image(busybox), "localhost/second:latest")
        first.remove()
        assert len(store(engine)["layers"]) == 1
        assert run(engine, second, "echo", "x") == "x\n"
        second.remove()
        second.remove()  # already removed
        assert store(engine) == {"layers": [], "blobs": [], "incoming": []}

    def test_not_while_a_container_needs_it(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        container = engine.containers.run(image, ["sleep", "1000"])
        with pytest.raises(InUse, match=container.id):
            image.remove()
        assert engine.images.get("made") == image
        image.remove(force=True)
        assert engine.containers.list(all=True) == engine.images.list() == []

    def test_force_while_containers_come_and_go(self, engine, busybox, monkeypatch) -> None:
        """One is gone when its turn comes, and another was created after the list of users was read."""
        from pypod.engine.images import removal

        image = bring(engine, busybox_image(busybox))
        engine.containers.create(image, ["true"])
        look, seen = removal.images.users_of, [[("f" * 64, "gone")]]
        monkeypatch.setattr(removal.images, "users_of", lambda *them: seen.pop() if seen else look(*them))
        image.remove(force=True)
        assert engine.containers.list(all=True) == engine.images.list() == []

    def test_prune(self, engine, busybox) -> None:
        used = bring(engine, busybox_image(busybox), "localhost/made:latest")
        container = engine.containers.create(used, ["true"])
        named = bring(engine, busybox_image(busybox, layer({"a": b""})), "localhost/made:latest")
        assert engine.images.prune() == []  # unnamed, but in use
        container.remove()
        assert engine.images.prune() == [used.id]
        assert engine.images.list() == [named]
        assert engine.images.prune(all=True) == [named.id]
        assert store(engine)["layers"] == []

    def test_not_under_a_pull(self, engine, busybox) -> None:
        """Layers being pulled are not needed by any image yet; a concurrent removal leaves them alone."""
        base = bring(engine, busybox_image(busybox), "localhost/base:latest")
        made = busybox_image(busybox, layer({"a": os.urandom(50_000)}))
        made.before_piece = threading.Event()
        thread = threading.Thread(target=lambda: bring(engine, made, "localhost/next:latest"))
        thread.start()
        while not made.layers_asked():
            time.sleep(0.01)
        base.remove()
        made.before_piece.set()
        thread.join()
        assert run(engine, "next", "echo", "x") == "x\n"

    def test_on_a_full_disk(self, tmp_path, busybox) -> None:
        where = tmp_path / "small"
        where.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=711", "tmpfs", where], check=True)
        try:
            with Engine(str(where / "storage")) as engine:
                first = bring(engine, busybox_image(busybox), "localhost/first:latest")
                second = bring(engine, busybox_image(busybox, layer({"a": b"1"})), "localhost/second:latest")
                with suppress(OSError), open(where / "fill", "wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))
                with pytest.raises(SystemFailure) as caught:
                    bring(
                        engine, Made(layer({"b": os.urandom(200_000)}), config={"Cmd": ["x"]}), "localhost/third:latest"
                    )
                assert caught.value.errno == errno.ENOSPC
                assert {image.id for image in engine.images.list()} == {first.id, second.id}
                second.remove()
                first.untag()
                assert engine.images.prune() == [first.id]
                assert engine.images.list() == []
                assert store(engine) == {"layers": [], "blobs": [], "incoming": []}
        finally:
            subprocess.run(["umount", "-l", where], check=True)

    def test_repair_finds_what_a_crash_left(self, engine, busybox) -> None:
        from pypod.engine.containers.collect import repair
        from pypod.engine.storage import trash

        image = bring(engine, busybox_image(busybox))
        for number in range(5000):  # more than can be deleted instantly
            Path(engine.layout.trash, "x", str(number // 50)).mkdir(parents=True, exist_ok=True)
            Path(engine.layout.trash, "x", str(number // 50), str(number)).touch()
        os.mkdir(f"{engine.layout.image_layers}/deadbeef")
        Path(engine.layout.blobs, "sha256", "0" * 64).write_text("")
        os.makedirs(f"{engine.layout.images}/incoming/{'1' * 64}/tree")
        removed = repair(engine)
        assert trash.contents(engine) == []  # "deleted" means completed, not only begun
        assert len([line for line in removed if "removed" in line]) == 3
        assert run(engine, image, "echo", "x") == "x\n"
        assert len(store(engine)["layers"]) == 1


class TestUse:
    def test_unknown_image(self, engine) -> None:
        with pytest.raises(NoSuchImage, match="nowhere"):
            engine.containers.create("localhost/nowhere", pull="never")
        with pytest.raises(InvalidSpec, match="pull policy"):
            engine.containers.create("localhost/nowhere", pull="perhaps")
        assert engine.containers.list(all=True) == []

    def test_image_of_another_platform_is_not_taken(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        for platform in ("linux/amd64", "linux/amd64/v1"):
            assert engine.images.for_container("made", "never", platform=platform) == image
        for platform in ("linux/arm64", "linux/amd64/v3"):
            with pytest.raises(NoSuchImage, match="is for linux/amd64"):
                engine.images.for_container("made", "never", platform=platform)

    def test_image_and_rootfs(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        for arguments in ((image,), ("made", ["true"])):
            with pytest.raises(InvalidSpec, match="cannot be given together"):
                engine.containers.create(*arguments, rootfs="/")

    def test_layer_that_is_gone(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        container = engine.containers.create(image, ["true"])
        os.rename(f"{engine.layout.image_layers}/{image.layer_directories()[0]}", f"{engine.layout.trash}/x")
        with pytest.raises(InvalidSpec, match="layer of image localhost/made:latest is missing"):
            container.start()

    def test_explained(self, engine, busybox) -> None:
        bring(engine, busybox_image(busybox))
        text = str(engine.containers.explain("made", ["true"]))
        assert engine.layout.image_layers in text
        assert engine.containers.list(all=True) == []

    def test_in_a_pod(self, engine, busybox) -> None:
        bring(engine, busybox_image(busybox))
        with engine.pods.create("p") as pod:
            assert output(pod.run("made", ["hostname"])) == "p\n"

    def test_archive(self, engine, busybox, tmp_path) -> None:
        path = busybox_image(busybox).archive(tmp_path / "a.tar", "docker.io/library/made:1")
        image = engine.images.pull(f"oci-archive:{path}")
        assert image.names == ("docker.io/library/made:1",)
        assert [one.id for one in engine.images.load(str(path))] == [image.id]
        assert json.loads(image.config.body)["created"] == "2026-01-02T03:04:05Z"
        assert image.created_ns == 1767323045 * 10**9
