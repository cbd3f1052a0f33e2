"""Volumes: what containers find in them, who may remove them, and what a crash leaves of them."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from pathlib import Path

import pytest

from pypod import (
    AlreadyExists,
    AmbiguousName,
    Engine,
    InUse,
    InvalidImage,
    InvalidSpec,
    LaunchFailed,
    Mount,
    NoSuchVolume,
    StoreError,
    SystemFailure,
    Unsupported,
    Volume,
)
from pypod.engine.containers.collect import orphans, repair
from pypod.engine.images import pulling
from pypod.engine.storage import volume_files
from tests.images.made import busybox_image, layer, names_of

pytestmark = pytest.mark.root


def output(engine: Engine, rootfs: str, script: str, **options) -> str:
    """Run a shell script in a container; return its output and remove it, but none of its volumes."""
    what = {"rootfs": rootfs} if rootfs.startswith("/") else {"image": rootfs}
    container = engine.containers.run(command=["sh", "-c", script], **what, **options)
    try:
        assert container.wait(20) == 0, b"".join(piece.data for piece in container.logs())
        return b"".join(piece.data for piece in container.logs()).decode()
    finally:
        container.remove(force=True, volumes=False)


def mounted(path: str) -> list[str]:
    """Return the mount points on the host at or below a path."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point == path or point.startswith(f"{path}/")]


def archive(*members: tuple[str, dict[str, object]], content: bytes = b"new\n") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            if info.isreg():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return made.getvalue()


class TestLife:
    def test_what_is_written_stays_for_the_next(self, engine, busybox) -> None:
        output(engine, busybox, "echo kept > /data/f", volumes=["data:/data"])
        volume = engine.volumes.get("data")
        assert Path(volume.path, "f").read_text() == "kept\n"
        assert output(engine, busybox, "cat /elsewhere/f", volumes=["data:/elsewhere:ro"]) == "kept\n"
        assert [one.name for one in engine.volumes.list()] == ["data"]
        volume.remove()
        assert (engine.volumes.exists("data"), names_of(engine.layout.volumes)) == (False, [])
        volume.remove()

    def test_names(self, engine) -> None:
        first = engine.volumes.create("abc", labels={"a": "b"})
        assert (first.labels, first.options, first.anonymous) == ({"a": "b"}, {}, False)
        with pytest.raises(AlreadyExists, match="volume with name abc already exists"):
            engine.volumes.create("abc")
        assert engine.volumes.create("abc", ignore=True) == first
        assert engine.volumes.get("ab") == first
        engine.volumes.create("abd")
        with pytest.raises(AmbiguousName):
            engine.volumes.get("ab")
        with pytest.raises(NoSuchVolume):
            Volume.get("x", engine=engine)
        assert engine.volumes.exists("ab") is False
        for name in ("../abc", ".", "a/b", "-a", "a\n", "/abc", "é"):
            with pytest.raises(InvalidSpec, match="names must match"):
                engine.volumes.create(name)
        assert names_of(engine.layout.volumes) == ["abc", "abd"]

    def test_one_in_use_stays(self, engine, busybox) -> None:
        container = engine.containers.run(["sleep", "100"], rootfs=busybox, volumes=["data:/data"])
        volume = engine.volumes.get("data")
        assert volume.containers() == [container]
        with pytest.raises(InUse, match=f"being used by the following container.s.: {container.id}"):
            volume.remove()
        assert engine.volumes.prune() == []
        assert Path(volume.path).is_dir()
        volume.remove(force=True, timeout=0)
        assert (engine.containers.list(all=True), engine.volumes.list()) == ([], [])

    def test_a_pod_uses_its_volumes(self, engine, busybox) -> None:
        pod = engine.pods.create("mipod", volumes=["data:/data", "/own"], network="none")
        with pytest.raises(InUse, match=pod.infra.id):
            engine.volumes.get("data").remove()
        assert output(engine, busybox, "touch /data/f; ls -d /data/f /own", pod="mipod") == "/data/f\n/own\n"
        assert output(engine, busybox, "ls /data", pod="mipod", volumes=["other:/data"]) == ""
        pod.remove(force=True)
        assert [one.name for one in engine.volumes.list()] == ["data", "other"]
        assert names_of(engine.volumes.get("data").path) == ["f"]

    def test_force_removes_the_pod(self, engine) -> None:
        engine.pods.create("mipod", volumes=["data:/data"], network="none")
        engine.volumes.get("data").remove(force=True)
        assert (engine.pods.list(), engine.volumes.list()) == ([], [])

    def test_anonymous_ones(self, engine, busybox) -> None:
        kept = engine.containers.create(["true"], rootfs=busybox, volumes=["/a"])
        (volume,) = engine.volumes.list()
        assert volume.anonymous
        kept.remove(volumes=False)
        assert engine.volumes.list() == [volume]
        other = engine.containers.create(["true"], rootfs=busybox, volumes=["/a", "named:/b"])
        other.remove()
        assert [one.name for one in engine.volumes.list()] == sorted((volume.name, "named"))
        assert engine.volumes.prune(lambda one: bool(one.anonymous)) == [volume.name]
        ended = engine.containers.run(["true"], rootfs=busybox, volumes=["/a"], remove=True)
        ended.wait(20)
        for _ in range(100):
            if len(engine.volumes.list()) == 1:
                break
            engine.containers.list(all=True)
            threading.Event().wait(0.05)
        assert [one.name for one in engine.volumes.list()] == ["named"]

    def test_a_failed_creation_leaves_none(self, engine, busybox) -> None:
        with pytest.raises(InvalidSpec, match="statfs /no/such: no such file or directory"):
            engine.containers.create(["true"], rootfs=busybox, volumes=["data:/data", "/no/such:/x"])
        engine.containers.create(["true"], rootfs=busybox, name="taken")
        with pytest.raises(AlreadyExists):
            engine.containers.create(["true"], rootfs=busybox, name="taken", volumes=["data:/data"])
        assert (engine.volumes.list(), names_of(engine.layout.root).count("volumes")) == ([], 0)

    def test_events(self, engine) -> None:
        engine.volumes.create("one").remove()
        engine.volumes.create("two")
        engine.volumes.prune()
        found = [(one.action, one.name) for one in engine.events(filters={"type": "volume"})]
        assert found == [
            *(("create", "one"), ("remove", "one"), ("create", "two")),
            *(("remove", "two"), ("prune", "two")),
        ]


class TestFirstUse:
    def test_content_owner_and_mode_of_the_directory(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv" / "in").mkdir(parents=True)
        (own_rootfs / "srv" / "in" / "f").write_text("old\n")
        os.chown(own_rootfs / "srv", 5, 6)
        (own_rootfs / "srv").chmod(0o750)
        look = "cat /srv/in/f; stat -c '%u %g %a' /srv; rm -r /srv/in"
        assert output(engine, str(own_rootfs), look, volumes=["data:/srv"]) == "old\n5 6 750\n"
        assert output(engine, str(own_rootfs), "ls /srv", volumes=["data:/srv"]) == ""  # only once
        assert output(engine, str(own_rootfs), "ls /srv", volumes=["other:/srv:nocopy"]) == ""
        engine.volumes.create("never", options={"nocopy": ""})
        assert output(engine, str(own_rootfs), "ls /srv", volumes=["never:/srv"]) == ""

    def test_one_with_files_is_left_as_it_is(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv").mkdir()
        (own_rootfs / "srv" / "old").touch()
        volume = engine.volumes.create("data")
        Path(volume.path, "mine").touch()
        assert output(engine, str(own_rootfs), "ls /srv", volumes=["data:/srv"]) == "mine\n"

    @pytest.mark.parametrize(("user", "owner"), [("7", "7 0"), ("7:8", "7 8"), ("web:staff", "1001 50")])
    def test_without_such_a_directory_it_is_the_users(self, engine, own_rootfs, user, owner) -> None:
        (own_rootfs / "etc" / "passwd").write_text("web:x:1001:1002::/:/bin/sh\n")
        (own_rootfs / "etc" / "group").write_text("staff:x:50:\n")
        script = "stat -c '%u %g %a' /new; touch /new/f"
        assert output(engine, str(own_rootfs), script, volumes=["data:/new"], user=user) == f"{owner} 755\n"
        assert output(engine, str(own_rootfs), "stat -c '%u %g' /new", volumes=["data:/new"]) == f"{owner}\n"

    def test_the_owner_that_was_asked_for(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv").mkdir(mode=0o700)
        engine.volumes.create("data", options={"o": "uid=5,gid=6"})
        script = "stat -c '%u %g %a' /srv"
        assert output(engine, str(own_rootfs), script, volumes=["data:/srv"], user="7") == "5 6 755\n"

    def test_two_starts_at_once(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv").mkdir()
        for number in range(200):
            (own_rootfs / "srv" / f"f{number}").touch()
        containers = [
            engine.containers.create(["sh", "-c", "ls /srv | wc -l"], rootfs=str(own_rootfs), volumes=["data:/srv"])
            for _ in range(4)
        ]
        failures: list[BaseException] = []

        def start(one) -> None:
            try:
                one.start()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=start, args=(one,)) for one in containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        for one in containers:
            assert one.wait(20) == 0
            assert b"".join(piece.data for piece in one.logs()) == b"200\n"

    def test_a_failed_start_leaves_it_new(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv").mkdir()
        volume = engine.volumes.create("data")
        with pytest.raises(LaunchFailed):
            engine.containers.run(["/no/such"], rootfs=str(own_rootfs), volumes=["data:/srv"])
        assert volume.record().needs_owner == 1
        assert output(engine, str(own_rootfs), "ls /srv", volumes=["data:/srv"]) == ""
        assert volume.record().needs_owner == 0

    def test_in_a_user_namespace(self, engine, busybox) -> None:
        """The files have the ids of the container on the disk, as those of its image do."""
        above = layer({"srv": None, "srv/f": b""}, uid=3, gid=4)
        with busybox_image(busybox, above) as source:
            pulling.pull(engine, source, "localhost/made:latest", names=["localhost/made:latest"])
        script = "stat -c '%u %g' /srv /srv/f; touch /srv/g /new/h"
        options = {"volumes": ["data:/srv", "new:/new"], "uidmap": ["0:100000:1000"]}
        assert output(engine, "localhost/made", script, **options) == "3 4\n3 4\n"
        found = {name: os.stat(f"{engine.volumes.get('data').path}/{name}") for name in "fg"}
        assert {name: (one.st_uid, one.st_gid) for name, one in found.items()} == {"f": (3, 4), "g": (0, 0)}

    def test_owners_that_the_namespace_does_not_have(self, engine, own_rootfs) -> None:
        (own_rootfs / "srv").mkdir()
        (own_rootfs / "srv" / "f").touch()
        script = "stat -c '%u' /srv/f; touch /srv/g"
        options = {"volumes": ["data:/srv"], "uidmap": ["0:100000:1000"]}
        assert output(engine, str(own_rootfs), script, **options) == "0\n"


class TestOptions:
    def test_owners_are_changed_on_request(self, engine, busybox, tmp_path) -> None:
        (tmp_path / "d" / "e").mkdir(parents=True)
        os.symlink("/etc/passwd", tmp_path / "d" / "link")
        before = os.stat("/etc/passwd").st_uid
        script = "stat -c '%u %g' /d /d/e; stat -c '%u' /d/link"
        found = output(engine, busybox, script, volumes=[f"{tmp_path}/d:/d:U"], user="7:8")
        assert found == "7 8\n7 8\n7\n"
        assert (os.stat("/etc/passwd").st_uid, os.lstat(tmp_path / "d" / "link").st_uid) == (before, 7)
        found = output(engine, busybox, script, volumes=[f"{tmp_path}/d:/d:U"], user="7", uidmap=["0:100000:1000"])
        assert found == "7 0\n7 0\n7\n"
        assert (tmp_path / "d" / "e").stat().st_uid == 100007

    @pytest.mark.parametrize("path", ["/", "/etc", "/etc/passwd", "/usr/bin", "/tmp/../home", "{home}", "{link}"])
    def test_owners_of_the_system_are_not_changed(self, engine, busybox, tmp_path, monkeypatch, path) -> None:
        (tmp_path / "home").mkdir()
        os.symlink("/etc", tmp_path / "link")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        path = path.format(home=tmp_path / "home", link=tmp_path / "link")
        with pytest.raises(InvalidSpec, match=r"chowning host path .* is not allowed"):
            engine.containers.create(["true"], rootfs=busybox, volumes=[f"{path}:/d:U"])
        engine.containers.create(["true"], rootfs=busybox, volumes=[f"{path}:/d"])

    def test_a_tmpfs_is_given_to_a_user(self, engine, busybox) -> None:
        options = {"mounts": [Mount(type="tmpfs", target="/d", chown=True)], "script": "stat -c '%u %g %a' /d"}
        assert output(engine, busybox, user="7:8", **options) == "7 8 1777\n"
        assert output(engine, busybox, user="7:8", uidmap=["0:100000:1000"], **options) == "7 8 1777\n"
        assert output(engine, busybox, **options) == "0 0 1777\n"
        with pytest.raises(InvalidSpec, match="by number"):
            output(engine, busybox, user="daemon", **options)

    def test_what_an_overlay_shows_is_given_to_a_user(self, engine, busybox, tmp_path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d/file").touch()
        options = {"volumes": [f"{tmp_path}/d:/d:O,U"], "script": "stat -c '%u %g' /d /d/file"}
        assert output(engine, busybox, user="7:8", **options) == "7 8\n7 8\n"
        assert os.stat(tmp_path / "d/file").st_uid == os.getuid()

    def test_overlays_end_with_the_container(self, engine, busybox, tmp_path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text("old\n")
        volumes = [f"{tmp_path}/d:/d:O", "data:/v:O"]
        container = engine.containers.create(
            ["sh", "-c", "cat /d/f; echo new > /d/f; touch /v/g; ls /v"], rootfs=busybox, volumes=volumes
        )
        for _ in range(2):
            container.start()
            assert container.wait(20) == 0
        assert b"".join(piece.data for piece in container.logs()) == b"old\ng\n" * 2
        assert (tmp_path / "d" / "f").read_text() == "old\n"
        assert names_of(engine.volumes.get("data").path) == []

    def test_an_overlay_with_layers_of_ones_own(self, engine, busybox, tmp_path) -> None:
        for name in ("d", "up", "work"):
            (tmp_path / name).mkdir()
        words = f"{tmp_path}/d:/d:O,upperdir={tmp_path}/up,workdir={tmp_path}/work"
        output(engine, busybox, "echo kept > /d/f", volumes=[words])
        assert (tmp_path / "up" / "f").read_text() == "kept\n"
        assert output(engine, busybox, "cat /d/f", volumes=[words]) == "kept\n"
        with pytest.raises(InvalidSpec, match="must set both `upperdir` and `workdir`"):
            output(engine, busybox, "true", volumes=[f"{tmp_path}/d:/d:O,upperdir={tmp_path}/up"])

    @pytest.mark.parametrize("words", ["subpath=s/t", "volume-subpath=/s/t", "subpath=s/absolute", "subpath=s/up/s/t"])
    def test_a_part_of_a_volume(self, engine, busybox, words) -> None:
        from pypod.model.mount_flags import parse_mount

        path = Path(engine.volumes.create("data").path)
        (path / "s" / "t").mkdir(parents=True)
        (path / "s" / "t" / "f").touch()
        os.symlink("/s/t", path / "s" / "absolute")
        os.symlink("../../../../..", path / "s" / "up")
        mount = parse_mount(f"type=volume,src=data,dst=/d,{words}")
        assert output(engine, busybox, "ls /d", mounts=[mount]) == "f\n"

    @pytest.mark.parametrize("subpath", ["etc", "s/../../../../etc", "link", "s/link/passwd", "/proc/self/root/etc"])
    def test_no_part_is_outside(self, engine, busybox, subpath) -> None:
        """Links and .. lead to places in the volume, if at all."""
        path = Path(engine.volumes.create("data").path)
        (path / "s").mkdir()
        os.symlink("/etc", path / "link")
        os.symlink("../../../../../etc", path / "s" / "link")
        with pytest.raises(LaunchFailed, match=r"No such file or directory|Too many levels"):
            output(engine, busybox, "ls /d", mounts=[Mount(type="volume", source="data", target="/d", subpath=subpath)])

    def test_the_same_twice(self, engine, busybox, tmp_path) -> None:
        assert (
            output(engine, busybox, "echo ok", volumes=["a:/x", "a:/x", f"{tmp_path}:/y", f"{tmp_path}:/y"]) == "ok\n"
        )
        for words in (["a:/x", "b:/x"], [f"{tmp_path}:/x", f"{tmp_path}:/x:ro"], ["a:/x", f"{tmp_path}:/x"]):
            with pytest.raises(InvalidSpec, match="/x: duplicate mount destination"):
                output(engine, busybox, "true", volumes=words)

    def test_memory_and_terminals(self, engine, busybox) -> None:
        from pypod.model.mount_flags import parse_mount

        words = ("type=ramfs,dst=/r", "type=devpts,dst=/p,uid=5,mode=640", "type=tmpfs,dst=/t,tmpfs-size=64k,ro")
        script = "grep -E ' /(r|p|t) ' /proc/mounts | cut -d' ' -f1-4"
        found = output(engine, busybox, script, mounts=[parse_mount(one) for one in words]).splitlines()
        assert found == [
            "ramfs /r ramfs rw,nosuid,nodev,relatime",
            "devpts /p devpts rw,relatime,uid=5,mode=640,ptmxmode=000",
            "tmpfs /t tmpfs ro,nosuid,nodev,relatime,size=64k",
        ]


class TestFileSystems:
    def test_a_tmpfs_is_shared_and_ends_with_its_users(self, engine, busybox) -> None:
        volume = engine.volumes.create("data", options={"type": "tmpfs", "o": "size=64k,uid=3"})
        holder = engine.containers.run(["sh", "-c", "echo x > /d/f; sleep 100"], rootfs=busybox, volumes=["data:/d"])
        look = "stat -c %u /d; cat /d/f; grep -c 'tmpfs /d tmpfs .*size=64k' /proc/mounts"
        for _ in range(100):
            if names_of(volume.path):
                break
            threading.Event().wait(0.02)
        assert output(engine, busybox, look, volumes=["data:/d"]) == "3\nx\n1\n"
        assert mounted(engine.layout.volumes) == [volume.path]
        assert volume.inspect()["MountCount"] == 1
        holder.stop(0)
        assert mounted(engine.layout.volumes) == []
        assert output(engine, busybox, "ls /d", volumes=["data:/d"]) == ""

    def test_mounted_for_the_user(self, engine, busybox) -> None:
        volume = engine.volumes.create("data", options={"type": "tmpfs", "device": "tmpfs"})
        assert (volume.mount(), volume.mount()) == (volume.path, volume.path)
        Path(volume.path, "f").touch()
        assert volume.inspect()["MountCount"] == 2
        assert output(engine, busybox, "ls /d", volumes=["data:/d"]) == "f\n"
        volume.unmount()
        assert names_of(volume.path) == ["f"]
        volume.unmount()
        volume.unmount()
        assert (mounted(engine.layout.volumes), names_of(volume.path)) == ([], [])

    def test_a_bind_is_not_removed_with_its_content(self, engine, busybox, tmp_path) -> None:
        (tmp_path / "mine" / "in").mkdir(parents=True)
        (tmp_path / "mine" / "in" / "f").touch()
        options = {"type": "none", "device": str(tmp_path / "mine"), "o": "bind"}
        volume = engine.volumes.create("data", options=options)
        for _ in range(2):
            assert output(engine, busybox, "ls /d", volumes=["data:/d"]) == "in\n"
        volume.mount()
        volume.remove()
        repair(engine)
        assert (mounted(engine.layout.root), names_of(engine.layout.trash)) == ([], [])
        assert (tmp_path / "mine" / "in" / "f").exists()

    def test_what_is_discarded_is_not_what_is_mounted_there(self, engine, tmp_path) -> None:
        """Even if a mount is overlooked: the program that deletes does not enter one of the same device."""
        from pypod.engine.storage import trash
        from pypod.kernel import syscalls

        place, mine = tmp_path / "storage" / "x" / "in", tmp_path / "mine"
        for one in (place, mine / "sub"):
            one.mkdir(parents=True)
        (mine / "sub" / "f").touch()
        syscalls.mount(str(mine), str(place), "", 0x1000)
        try:
            trash.discard(engine, [str(place.parent)], wait=True)
            assert (mine / "sub" / "f").exists()
        finally:
            for point in mounted(engine.layout.root):
                syscalls.umount2(point, 2)

    def test_what_cannot_be_mounted(self, engine, busybox) -> None:
        engine.volumes.create("data", options={"type": "nosuch", "device": "x"})
        with pytest.raises(SystemFailure, match="mounting volume data: mount: "):
            output(engine, busybox, "true", volumes=["data:/d"])
        engine.volumes.get("data").remove(force=True)
        assert mounted(engine.layout.volumes) == []

    def test_quotas(self, engine) -> None:
        from pypod.kernel.quota import has_projects

        os.makedirs(engine.layout.volumes, exist_ok=True)
        if has_projects(engine.layout.volumes):
            pytest.skip("this file system has project quotas")
        with pytest.raises(Unsupported, match="Filesystem does not support Project Quota"):
            engine.volumes.create("data", options={"o": "size=1m"})
        assert engine.volumes.list() == []


class TestTransfers:
    def test_out_and_in(self, engine) -> None:
        first, second = engine.volumes.create("a"), engine.volumes.create("b")
        path = Path(first.path)
        (path / "d").mkdir(mode=0o750)
        (path / "d" / "f").write_text("text\n")
        os.chown(path / "d" / "f", 5, 6)
        os.link(path / "d" / "f", path / "hard")
        os.symlink("../../x", path / "soft")
        (path / ".wh.name").write_text("no whiteout\n")
        content = b"".join(first.export())
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert tar.getnames() == [".wh.name", "d", "d/f", "hard", "soft"]
        second.import_([content])
        assert b"".join(second.export()) == content
        there = os.stat(f"{second.path}/d/f")
        assert (there.st_uid, there.st_gid, there.st_nlink) == (5, 6, 2)

    def test_what_is_there_stays(self, engine, tmp_path) -> None:
        volume = engine.volumes.create("a")
        path = Path(volume.path)
        path.chmod(0o711)
        (path / "d").mkdir()
        for name in ("old", "both", "d/old"):
            (path / name).write_text("old\n")
        (tmp_path / "tar").write_bytes(
            archive((".", {"type": tarfile.DIRTYPE, "mode": 0o700}), ("both", {}), ("d/new", {}))
        )
        volume.import_(tmp_path / "tar")
        assert {str(one.relative_to(path)): one.read_text() for one in path.rglob("*") if one.is_file()} == {
            **{"old": "old\n", "both": "new\n", "d/old": "old\n", "d/new": "new\n"},
        }
        assert path.stat().st_mode & 0o777 == 0o711

    def test_nothing_is_outside(self, engine, tmp_path) -> None:
        """Names with .. and /, links that the archive brings, and links that are there already."""
        volume = engine.volumes.create("a")
        outside = tmp_path / "outside"
        outside.mkdir()
        os.symlink(outside, f"{volume.path}/there")
        depth = "../" * 12
        members = [
            (f"{depth}{str(outside)[1:]}/up", {}),
            (f"{outside}/absolute", {}),
            ("brought", {"type": tarfile.SYMTYPE, "linkname": str(outside)}),
            ("up", {"type": tarfile.SYMTYPE, "linkname": depth}),
        ]
        volume.import_([archive(*members)])
        for name in ("there/f", "brought/g"):  # through links: to places in the volume that have that name there
            volume.import_([archive((name, {}))])
        volume.import_([archive(("up/etc/f", {}))])
        with pytest.raises(InvalidImage, match="the target of a hard link is not in the layer"):
            volume.import_([archive(("hard", {"type": tarfile.LNKTYPE, "linkname": f"{depth}etc/passwd"}))])
        assert names_of(str(outside)) == []
        assert not os.path.exists("/etc/f")
        assert os.path.exists(f"{volume.path}/etc/f")
        assert names_of(f"{volume.path}{outside}") == ["absolute", "f", "g", "up"]

    def test_what_is_no_archive(self, engine) -> None:
        volume = engine.volumes.create("a")
        with pytest.raises(InvalidImage):
            volume.import_([b"x" * 2000])
        with pytest.raises(InvalidSpec, match="open /no/such: no such file or directory"):
            volume.import_("/no/such")
        assert names_of(volume.path) == []


class TestCrashes:
    def test_lost_records_are_restored(self, engine, busybox) -> None:
        engine.volumes.create("kept", labels={"a": "b"}, options={"o": "uid=5"})
        output(engine, busybox, "touch /d/f", volumes=["used:/d"])
        container = engine.containers.run(["sleep", "100"], rootfs=busybox, volumes=["used:/d", "/own"])
        pod = engine.pods.create("mipod", volumes=["pods:/p"], network="none")
        pod.start()
        before = {one.name: one.record() for one in engine.volumes.list()}
        engine.close()
        for name in names_of(engine.layout.root):
            if name.startswith("pypod.db"):
                os.unlink(f"{engine.layout.root}/{name}")
        with pytest.raises(StoreError, match="4 volumes are here"):
            engine.volumes.list()
        done = repair(engine)
        assert "brought back the record of volume kept" in done
        after = {one.name: one.record() for one in engine.volumes.list()}
        assert after.keys() == before.keys()
        assert after["kept"] == before["kept"]
        assert names_of(engine.volumes.get("used").path) == ["f"]
        with pytest.raises(InUse, match=container.id):
            engine.volumes.get("used").remove()
        with pytest.raises(InUse, match=pod.infra.id):
            engine.volumes.get("pods").remove()

    def test_only_volumes_count_too(self, engine) -> None:
        engine.volumes.create("kept")
        engine.close()
        os.unlink(engine.layout.database)
        with pytest.raises(StoreError, match="1 volumes are here"):
            engine.volumes.list()
        repair(engine)
        assert [one.name for one in engine.volumes.list()] == ["kept"]

    def test_one_row_is_restored(self, engine) -> None:
        engine.volumes.create("kept")
        with engine.database.transaction() as connection:
            connection.execute("DELETE FROM volumes")
        assert volume_files.lost(engine) == ["kept"]
        assert orphans(engine) == []
        assert repair(engine) == ["brought back the record of volume kept"]

    def test_a_damaged_copy_is_no_reason_to_delete_files(self, engine) -> None:
        volume = engine.volumes.create("kept")
        path = Path(volume.path)
        (path / "f").touch()
        (path.parent / "record.json").write_text("{")
        with engine.database.transaction() as connection:
            connection.execute("DELETE FROM volumes")
        repair(engine)
        assert names_of(engine.volumes.get("kept").path) == ["f"]

    def test_an_interrupted_removal_is_finished(self, engine) -> None:
        volume = engine.volumes.create("gone")
        Path(volume.path, "f").touch()
        volume_files.forget(engine, ["gone"])
        assert orphans(engine) == []  # it still has its row
        with engine.database.transaction() as connection:
            connection.execute("DELETE FROM volumes")
        assert orphans(engine) == [engine.layout.volume("gone")]
        assert repair(engine) == [f"removed {engine.layout.volume('gone')}"]
        assert names_of(engine.layout.volumes) == []

    def test_an_interrupted_creation_is_finished_by_its_use(self, engine, busybox) -> None:
        import shutil

        volume = engine.volumes.create("data")
        shutil.rmtree(engine.layout.volume("data"))
        assert output(engine, busybox, "touch /d/f; ls /d", volumes=["data:/d"]) == "f\n"
        shutil.rmtree(engine.layout.volume("data"))
        assert volume.mount() == volume.path
        assert os.path.isdir(volume.path)

    def test_volumes_of_an_older_pypod(self, engine, busybox) -> None:
        """Their directory is what is mounted, and they had no rows."""
        container = engine.containers.create(["ls", "/d"], rootfs=busybox, volumes=["/d"])
        (volume,) = engine.volumes.list()
        old = Path(engine.layout.volume(volume.name))
        (old / "record.json").unlink()
        (old / "_data").rmdir()
        (old / "f").touch()
        with engine.database.transaction() as connection:
            connection.execute("UPDATE volumes SET data = ''")
        container.start()
        assert container.wait(20) == 0
        assert b"".join(piece.data for piece in container.logs()) == b"f\n"
        assert container.inspect()["Mounts"][0]["Source"] == str(old)
        assert orphans(engine) == []
        container.remove()
        assert names_of(engine.layout.volumes) == []
