"""Files copied into containers, out of them and between them: running ones, stopped ones and those never started."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from pypod import Engine
from pypod.errors import InvalidSpec, SystemFailure
from tests.integration.inside import execute

pytestmark = pytest.mark.root

STATES = ("created", "running", "stopped")


@pytest.fixture(params=STATES)
def container(request: pytest.FixtureRequest, engine: Engine, busybox: str):
    made = engine.containers.create(
        ["sleep", "1000"], rootfs=busybox, network="none", name="c", working_directory="/var"
    )
    if request.param != "created":
        made.start()
    if request.param == "stopped":
        made.stop(0)
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "below").mkdir(parents=True)
    (top / "file").write_text("content\n")
    (top / "below" / "run").write_text("#!/bin/sh\n")
    (top / "below" / "run").chmod(0o4755)
    (top / "link").symlink_to("/etc/passwd")
    os.link(top / "file", top / "same")
    os.mkfifo(top / "pipe")
    os.utime(top / "file", (1_000_000_000, 1_000_000_000))
    return top


def names(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: member for member in opened}


class TestInto:
    def test_a_file_gets_the_name_of_the_target_or_its_own_in_a_directory(self, container, tree: Path) -> None:
        container.copy_to(tree / "file", "/tmp")
        container.copy_to(tree / "file", "/tmp/other")
        container.copy_to(tree / "file", "relative")
        for path in ("/tmp/file", "/tmp/other", "/var/relative"):
            assert container.copy_from(path) == b"content\n"
        found = names(container.copy_from("/tmp", tar=True))["tmp/file"]
        assert (found.mode, found.uid, found.mtime) == (0o644, 0, 1_000_000_000)

    def test_a_directory_with_links_and_modes(self, container, tree: Path) -> None:
        container.copy_to(tree, "/tmp")
        container.copy_to(f"{tree}/.", "/tmp/new")
        found = names(container.copy_from("/tmp", tar=True))
        for top in ("tmp/tree", "tmp/new"):
            assert found[f"{top}/below/run"].mode == 0o4755
            assert found[f"{top}/link"].linkname == "/etc/passwd"
            assert found[f"{top}/pipe"].isfifo()
            assert found[f"{top}/same"].islnk()
            assert found[f"{top}/same"].linkname == f"{top}/file"

    def test_bytes_files_and_archives(self, container, tree: Path) -> None:
        container.copy_to(b"1", "/tmp/bytes")
        container.copy_to(io.BytesIO(b"2" * 3_000_000), "/tmp/file")
        container.copy_to(iter((b"3", b"", b"4")), "/tmp/pieces")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as made:
            made.add(tree / "file", "deep/file")
        container.copy_to(buffer.getvalue(), "/tmp", tar=True)
        assert container.copy_from("/tmp/bytes") == b"1"
        assert container.copy_from("/tmp/file") == b"2" * 3_000_000
        assert container.copy_from("/tmp/pieces") == b"34"
        assert container.copy_from("/tmp/deep/file") == b"content\n"

    def test_links_are_followed_inside(self, container, tree: Path) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as made:
            for name, target in (("up", "../../../../../var/new"), ("abs", "/tmp"), ("gone", "nowhere")):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                made.addfile(entry)
        container.copy_to(archive.getvalue(), "/tmp", tar=True)
        container.copy_to(tree / "file", "/tmp/up")
        container.copy_to(tree / "file", "/tmp/abs/abs2")
        container.copy_to(tree / "file", "/tmp/gone")
        for path in ("/var/new", "/tmp/abs2", "/tmp/nowhere"):
            assert container.copy_from(path) == b"content\n"
        assert not Path("/var/new").exists()

    def test_what_does_not_exist_or_is_no_directory(self, container, tree: Path) -> None:
        container.copy_to(b"", "/tmp/file")
        for source, target, words in (
            (tree / "none", "/tmp", f'"{tree}/none" could not be found on the host: no such file or directory'),
            (tree / "file", "/no/x", '"/no/x" could not be found on container c: no such file or directory'),
            (tree / "file", "/tmp/no/", '"/tmp/no/" could not be found on container c: no such file or directory'),
            (tree, "/tmp/file", "destination must be a directory when copying a directory"),
        ):
            with pytest.raises(InvalidSpec) as caught:
                container.copy_to(source, target)
            assert str(caught.value) == words
        for archive, target, words in (
            (b"no archive", "/tmp", "source must be a (compressed) tar archive when copying from stdin"),
            (b"", "/tmp", "source must be a (compressed) tar archive when copying from stdin"),
            (bytes(1024), "/tmp/file", "destination must be a directory when copying from stdin"),
        ):
            with pytest.raises(InvalidSpec) as caught:
                container.copy_to(archive, target, tar=True)
            assert str(caught.value) == words

    def test_a_file_replaces_a_directory_only_if_asked_to(self, container, tree: Path) -> None:
        container.copy_to(tree, "/tmp")
        (tree.parent / "below").write_text("a file\n")
        (tree.parent / "file").mkdir()
        for name in ("below", "file"):
            with pytest.raises(SystemFailure, match=f"/tmp/tree/{name}.*file exists"):
                container.copy_to(tree.parent / name, "/tmp/tree")
            container.copy_to(tree.parent / name, "/tmp/tree", overwrite=True)
        found = names(container.copy_from("/tmp/tree", tar=True))
        assert found["tree/below"].isfile()
        assert found["tree/file"].isdir()

    def test_an_error_in_the_source_leaves_nothing(self, container) -> None:
        def pieces():
            yield b"half"
            raise RuntimeError("the source")

        with pytest.raises(RuntimeError, match="the source"):
            container.copy_to(pieces(), "/tmp/half")
        assert list(names(container.copy_from("/tmp", tar=True))) == ["tmp"]


class TestOutOf:
    def test_a_file_and_a_directory(self, container, tree: Path, tmp_path: Path) -> None:
        container.copy_to(tree, "/tmp")
        target = tmp_path / "target"
        target.mkdir()
        container.copy_from("/tmp/tree/file", target)
        container.copy_from("/tmp/tree/file", target / "other")
        container.copy_from("/tmp/tree", target)
        container.copy_from("/tmp/tree/.", target / "flat")
        assert (target / "file").read_text() == (target / "other").read_text() == "content\n"
        for top in (target / "tree", target / "flat"):
            assert stat.S_IMODE((top / "below" / "run").stat().st_mode) == 0o4755
            assert (top / "link").readlink() == Path("/etc/passwd")
            assert (top / "file").samefile(top / "same")
            assert (top / "file").stat().st_mtime == 1_000_000_000
            assert (top / "file").stat().st_uid == os.geteuid()

    def test_a_link_to_a_file_on_the_host_is_replaced(self, container, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("precious")
        (tmp_path / "link").symlink_to("precious")
        container.copy_to(b"new", "/tmp/file")
        container.copy_from("/tmp/file", tmp_path / "link")
        assert (tmp_path / "precious").read_text() == "precious"
        assert (tmp_path / "link").read_text() == "new"

    def test_devices_and_the_kernels_files_stay_inside(self, container, tmp_path: Path) -> None:
        container.copy_from("/", tmp_path / "whole")
        there = {path.name for path in (tmp_path / "whole").iterdir()}
        assert {"bin", "etc", "tmp"} <= there
        assert not {"dev", "proc", "sys"} & there

    def test_errors(self, container, tmp_path: Path) -> None:
        for path, target, words in (
            ("/none", tmp_path, '"/none" could not be found on container c: no such file or directory'),
            ("/etc", tmp_path / "file", "destination must be a directory when copying a directory"),
            (
                "/etc",
                f"{tmp_path}/no/x",
                f'"{tmp_path}/no/x" could not be found on the host: no such file or directory',
            ),
        ):
            (tmp_path / "file").touch()
            with pytest.raises(InvalidSpec) as caught:
                container.copy_from(path, target)
            assert str(caught.value) == words


class TestOwners:
    def test_copies_belong_to_the_user_of_the_container_unless_they_keep_their_ids(
        self, engine: Engine, busybox: str, tree: Path
    ) -> None:
        made = engine.containers.create(["sleep", "9"], rootfs=busybox, network="none", user="12:34", name="c")
        made.copy_to(b"", "/tmp/given")
        made.copy_to(tree / "file", "/tmp/kept", archive=False)
        found = names(made.copy_from("/tmp", tar=True, archive=False))
        assert (found["tmp/given"].uid, found["tmp/given"].gid) == (12, 34)
        assert (found["tmp/kept"].uid, found["tmp/kept"].gid) == (0, 0)
        as_user = names(made.copy_from("/tmp", tar=True))
        assert {(one.uid, one.gid) for one in as_user.values()} == {(12, 34)}


class TestMounts:
    def test_binds_and_volumes_get_what_is_copied(self, engine: Engine, busybox: str, tmp_path: Path) -> None:
        (tmp_path / "bind").mkdir()
        (tmp_path / "one").write_text("before")
        made = engine.containers.create(
            ["sleep", "1000"],
            rootfs=busybox,
            network="none",
            volumes=[f"{tmp_path}/bind:/bind", f"{tmp_path}/one:/etc/one", "vol:/vol"],
            tmpfs=["/fast"],
        )
        for state in ("created", "running"):
            if state == "running":
                made.start()
                made.copy_to(b"fast", "/fast/x")
                assert execute(made, "cat", "/fast/x") == "fast"
            made.copy_to(state.encode(), "/bind/x")
            made.copy_to(state.encode(), "/vol/x")
            made.copy_to(state.encode(), "/etc/one")
            assert (tmp_path / "bind" / "x").read_text() == state
            assert (tmp_path / "one").read_text() == state
            assert made.copy_from("/vol/x") == state.encode()
        assert execute(made, "cat", "/vol/x", "/etc/one") == "runningrunning"

    def test_nothing_is_left_of_the_mounts_of_a_stopped_container(self, container) -> None:
        container.copy_to(b"x", "/tmp/x")
        assert container.copy_from("/tmp/x") == b"x"
        if container.state().status == "running":
            container.stop(0)
        assert container.directory not in Path("/proc/self/mountinfo").read_text()
        container.start()
        assert execute(container, "cat", "/tmp/x") == "x"


class TestBetween:
    def test_containers_in_any_state(self, engine: Engine, container, tree: Path) -> None:
        other = engine.containers.create(["sleep", "9"], rootfs=container.spec().rootfs, network="none", name="other")
        container.copy_to(tree, "/tmp")
        container.copy_between("/tmp/tree", other, "/var")
        other.copy_between("/var/tree/file", container, "/tmp/back")
        container.copy_between("/tmp/back", container, "/tmp/again")
        assert other.copy_from("/var/tree/same") == container.copy_from("/tmp/again") == b"content\n"


def test_a_hole_stays_a_hole(engine: Engine, busybox: str, tmp_path: Path) -> None:
    made = engine.containers.create(["true"], rootfs=busybox, network="none")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 32)
        file.seek(1 << 31)
        file.write(b"data")
    made.copy_to(tmp_path / "sparse", "/tmp")
    made.copy_from("/tmp/sparse", tmp_path / "back")
    status = (tmp_path / "back").stat()
    assert (status.st_size, status.st_blocks * 512 < 1 << 20) == (1 << 32, True)


def test_a_paused_copy_ends_with_the_container_running(engine: Engine, busybox: str) -> None:
    made = engine.containers.run(["sleep", "1000"], rootfs=busybox, network="none")
    made.copy_to(b"x", "/tmp/x", pause=True)
    assert made.state().status == "running"
    made.pause()
    made.copy_to(b"y", "/tmp/y", pause=True)
    assert made.state().status == "paused"
    made.unpause()
    assert execute(made, "cat", "/tmp/x", "/tmp/y") == "xy"
