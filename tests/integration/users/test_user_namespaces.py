"""--userns, --uidmap and related options: the IDs of a container, for root and for a user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec
from pypod.model.namespace import Mode
from tests import users
from tests.images.made import IDS as IMAGE
from tests.images.made import Made, busybox_entries, layer
from tests.integration.images.test_images import bring
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.not_in_chroot]

MAP = ["0:200000:3000"]


def said(container) -> list[str]:
    container.wait(timeout=20)
    return b"".join(piece.data for piece in container.logs()).decode().splitlines()


def maps(lines: list[str]) -> list[list[int]]:
    return [list(map(int, line.split())) for line in lines]


@pytest.fixture
def image(engine, busybox):
    """Return an image with files of root and of user 1001; root may not write to its top directory."""
    below = layer({".": None, **busybox_entries(busybox)}, mode=0o755, uid=0, gid=0)
    above = layer({"srv": None, "srv/data": b"data\n"}, mode=0o750, uid=1001, gid=1002)
    return bring(engine, Made(below, above, config={"Volumes": {"/v": {}}}), "localhost/ids:latest")


@contextmanager
def one_more_line(line: str, *paths: str) -> Iterator[None]:
    """Add a line to /etc/subuid or /etc/subgid, in this mount namespace only."""
    with users.unchanged(), ExitStack() as stack:
        for path in paths:
            copy = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            copy.write(f"{Path(path).read_text()}{line}\n")
            copy.flush()
            os.chmod(copy.name, 0o644)
            subprocess.run(["mount", "--bind", copy.name, path], check=True)
            stack.callback(subprocess.run, ["umount", path], check=True)
        yield


@pytest.fixture
def given_ids() -> Iterator[None]:
    """Give IDs to podman's user `containers`."""
    with one_more_line("containers:2000000000:5000", "/etc/subuid", "/etc/subgid"):
        yield


class TestRootDirectories:
    @pytest.fixture
    def root(self, busybox: str, tmp_path: Path) -> Path:
        root = tmp_path / "root"
        shutil.copytree(busybox, root, symlinks=True)
        (root / "data").mkdir()
        os.chown(root / "data", 5, 6)
        return root

    def test_idmap_shows_the_owners_on_the_disk(self, engine, root: Path) -> None:
        words = ["sh", "-c", "stat -c '%u %g' /data && echo 1 > /data/made && chown 7:8 /data/made && id -u"]
        one = engine.containers.run(words, rootfs=str(root), idmap=True, uidmap=MAP)
        assert said(one) == ["5 6", "0"]
        status = (root / "data" / "made").stat()
        assert (status.st_uid, status.st_gid) == (7, 8)

    def test_without_a_user_namespace_there_is_nothing_to_map(self, engine, root: Path) -> None:
        assert said(engine.containers.run(["stat", "-c", "%u", "/data"], rootfs=str(root), idmap=True)) == ["5"]

    @pytest.mark.parametrize("options", [{"overlay": True, "rootfs": "/usr"}, {"rootfs": ""}])
    def test_it_is_for_a_directory_that_is_used_as_it_is(self, engine, image, options) -> None:
        with pytest.raises(InvalidSpec, match="idmap"):
            engine.containers.create(*([] if options["rootfs"] else [image]), ["true"], idmap=True, **options)
        assert engine.containers.list() == []

    @pytest.mark.parametrize("driver", ["overlay", "vfs"])
    def test_an_image_has_its_owners_by_each_driver(self, engine, image, monkeypatch, driver: str) -> None:
        monkeypatch.setenv("STORAGE_DRIVER", driver)
        words = ["sh", "-c", "stat -c '%u %g' / /srv/data; echo 1 > /srv/new; stat -c '%u' /srv/new"]
        assert said(engine.containers.run(image, words, uidmap=MAP)) == ["0 0", "1001 1002", "0"]


class TestMaps:
    def test_are_the_container_s(self, engine, busybox) -> None:
        words = ["sh", "-c", "cat /proc/self/uid_map; cat /proc/self/gid_map"]
        one = engine.containers.run(words, rootfs=busybox, uidmap=MAP, gidmap=["0:300000:10", "10:400000:5"])
        assert maps(said(one)) == [[0, 200000, 3000], [0, 300000, 10], [10, 400000, 5]]

    def test_are_seen_from_outside(self, engine, image) -> None:
        one = engine.containers.run(image, ["sleep", "100"], uidmap=MAP, user="5:6")
        pid = one.state().pid
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t200005\t200005\t200005\t200005\n" in status
        assert "Gid:\t200006\t200006\t200006\t200006\n" in status
        assert os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino

    def test_files_of_the_image_keep_their_ids(self, engine, image) -> None:
        words = ["sh", "-c", "stat -c '%u %g %a' / /bin/busybox /srv/data /v; cat /srv/data; touch /new /v/new; id -u"]
        one = engine.containers.run(image, words, uidmap=MAP)
        assert said(one) == ["0 0 755", "0 0 755", "1001 1002 750", "0 0 755", "data", "0"]
        upper = Path(engine.layout.container(one.id), "upper")
        # on disk they have the image's IDs, so that commit, diff and export need no mapping
        assert ((upper / "new").stat().st_uid, one.changes()[0]) == (0, ("A", "/new"))

    def test_what_the_container_changes(self, engine, image) -> None:
        words = (
            "chown 7:8 /bin/busybox && rm -r /srv && mkdir /srv && echo x >> /etc/hosts && stat -c '%u %g' /bin/busybox"
        )
        assert said(engine.containers.run(image, ["sh", "-c", words], uidmap=MAP)) == ["7 8"]

    def test_exec_is_in_it(self, engine, image) -> None:
        one = engine.containers.run(image, ["sleep", "100"], uidmap=MAP)
        assert one.exec(["sh", "-c", "id -u; cat /proc/self/uid_map"]).stdout.split() == [
            b"0",
            b"0",
            b"200000",
            b"3000",
        ]
        assert one.exec(["id", "-u"], user="1001").stdout == b"1001\n"

    def test_stop_and_start_again(self, engine, image) -> None:
        one = engine.containers.run(image, ["sh", "-c", "echo again >> /note; cat /note"], uidmap=MAP)
        one.wait()
        one.start()
        assert said(one)[-2:] == ["again", "again"]

    def test_privileges_are_none_over_the_host(self, engine, image) -> None:
        """ATTACK: root of the container, with every capability, against files, processes and settings of the host."""
        words = "kill -0 1000000 2>&1; echo x > /proc/sys/kernel/hostname; mount -t tmpfs none /tmp && echo own; "
        words += "mknod /tmp/sda b 8 0; cat /host/secret; chown 0 /host/secret"
        secret = Path(engine.layout.root).parent / "secret"
        secret.write_text("secret\n")
        secret.chmod(0o600)
        one = engine.containers.run(
            image, ["sh", "-c", words], uidmap=MAP, privileged=True, volumes=[f"{secret}:/host/secret"]
        )
        text = "\n".join(said(one))
        assert "own" in text
        assert "secret\n" not in text
        assert text.count("ermission denied") + text.count("not permitted") >= 3, text
        assert secret.stat().st_uid == 0

    def test_a_member_of_another_container_s(self, engine, image) -> None:
        first = engine.containers.run(image, ["sleep", "100"], uidmap=MAP, name="first")
        second = engine.containers.run(
            image, ["sh", "-c", "id -u; stat -c %u /srv/data; touch /n"], userns="container:first"
        )
        assert said(second) == ["0", "1001"]
        third = engine.containers.run(image, ["sleep", "100"], userns=f"ns:/proc/{first.state().pid}/ns/user")
        inodes = {os.stat(f"/proc/{one.state().pid}/ns/user").st_ino for one in (first, third)}
        assert len(inodes) == 1

    def test_of_a_pod(self, engine, image) -> None:
        pod = engine.pods.create("mapped", uidmap=MAP)
        one = pod.run(image, ["sleep", "100"])
        two = pod.run(image, ["sh", "-c", "id -u; stat -c %u / /srv/data; hostname; touch /dev/shm/x /new"])
        assert said(two) == ["0", "0", "1001", "mapped"]
        infra = pod.infra
        assert infra is not None
        pids = [one.state().pid, infra.state().pid]
        for kind in ("user", "net", "ipc", "uts"):
            assert len({os.stat(f"/proc/{pid}/ns/{kind}").st_ino for pid in pids}) == 1
        assert "Uid:\t200000" in Path(f"/proc/{pids[0]}/status").read_text()
        assert maps(Path(f"/proc/{pids[1]}/uid_map").read_text().splitlines()) == [[0, 200000, 3000]]
        assert one.exec(["ls", "/dev/shm"]).stdout == b"x\n"


class TestAuto:
    @pytest.mark.usefixtures("given_ids")
    def test_ids_are_nobody_else_s(self, engine, image) -> None:
        words = ["cat", "/proc/self/uid_map"]
        ones = [engine.containers.run(image, words, userns="auto") for _ in range(2)]
        ones.append(engine.containers.run(image, words, userns="auto:size=500"))
        found = [maps(said(one)) for one in ones]
        assert found == [[[0, 2000000000, 1024]], [[0, 2000001024, 1024]], [[0, 2000002048, 500]]]
        ones[0].remove()
        assert maps(said(engine.containers.run(image, words, userns="auto"))) == found[0]

    @pytest.mark.usefixtures("given_ids")
    def test_as_many_as_the_image_needs(self, engine, busybox) -> None:
        made = layer({**busybox_entries(busybox), "etc/passwd": b"far:x:3000:3001::/:/bin/sh\n"}, uid=0, gid=0)
        image = bring(engine, Made(made), "localhost/far:latest")
        assert maps(said(engine.containers.run(image, ["cat", "/proc/self/gid_map"], userns="auto"))) == [
            [0, 2000000000, 3002]
        ]
        with pytest.raises(InvalidSpec, match="could not find enough available IDs"):
            engine.containers.create(image, ["true"], userns="auto")
        assert [spec.name for spec in engine.containers.list(all=True)] != []

    @pytest.mark.usefixtures("given_ids")
    def test_a_pod_and_given_mappings(self, engine, image) -> None:
        pod = engine.pods.create("own", userns="auto:size=100,uidmapping=5:77:1")
        one = pod.run(image, ["cat", "/proc/self/uid_map"])
        assert sorted(maps(said(one))) == [[0, 2000000000, 5], [5, 77, 1], [6, 2000000005, 94]]

    def test_without_a_line_for_it(self, engine, busybox) -> None:
        with pytest.raises(InvalidSpec, match='cannot find mappings for user "containers"') as caught:
            engine.containers.create(["true"], rootfs=busybox, userns="auto")
        assert "containers:2147483647:2147483648" in caught.value.hint
        assert engine.containers.list(all=True) == []


WRONG = [
    ({"userns": "keep-id"}, "--userns", "keep-id is only supported in rootless mode"),
    ({"userns": "nomap"}, "--userns", "nomap is only supported in rootless mode"),
    ({"userns": "private"}, "--userns", "must provide at least one UID or GID mapping"),
    ({"userns": "nonsense"}, "--userns", "unrecognized namespace mode nonsense passed"),
    ({"userns": "auto:size=x"}, "--userns", 'parsing "x": invalid syntax: size of auto'),
    ({"userns": "auto:foo=1"}, "--userns", 'unknown option specified: "foo"'),
    ({"userns": "ns:/nowhere"}, "--userns", "cannot find specified user namespace path: stat /nowhere"),
    ({"userns": "host", "uidmap": MAP}, "--userns", "mutually exclusive"),
    ({"uidmap": ["0"]}, "--uidmap", "UID setting is malformed"),
    ({"gidmap": ["a:1:1"]}, "--gidmap", "UID setting is malformed"),
    ({"uidmap": ["1:100000:10"]}, "--uidmap", "container ID 0 cannot be mapped to a host ID"),
    ({"uidmap": MAP, "gidmap": ["1:100000:10"]}, "--gidmap", "container ID 0 cannot be mapped to a host ID"),
    ({"uidmap": ["0:1:5", "3:9:4"]}, "--uidmap", "id 3 is mapped twice"),
    ({"uidmap": ["0:1:5", "9:3:4"]}, "--uidmap", "id 3 is mapped twice"),
    ({"subuidname": "nobodyhere"}, "--subuidname", 'no subuid ranges found for user "nobodyhere" in /etc/subuid'),
]


@pytest.mark.parametrize(("options", "argument", "message"), WRONG)
def test_what_cannot_be(engine, busybox, options, argument: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        engine.containers.create(["true"], rootfs=busybox, **options)
    assert caught.value.argument == argument
    assert engine.containers.list(all=True) == []


def test_a_member_has_its_pod_s(engine, busybox) -> None:
    pod = engine.pods.create("plain")
    for options in ({"userns": "host"}, {"uidmap": MAP}):
        with pytest.raises(InvalidSpec):
            pod.create_container(["true"], rootfs=busybox, **options)


def test_the_variable_of_podman(engine, busybox, monkeypatch) -> None:
    monkeypatch.setenv("PODMAN_USERNS", "keep-id")
    with pytest.raises(InvalidSpec, match="rootless mode"):
        engine.containers.create(["true"], rootfs=busybox)
    monkeypatch.setenv("PODMAN_USERNS", "host")
    assert engine.container_spec(engine.containers.create(["true"], rootfs=busybox).record()).user_namespace == Mode(
        mode="host"
    )


@pytest.mark.users
class TestAsUser:
    WORDS = "id -u; stat -c '%u %g' /bin/busybox /srv/data; cat /proc/self/uid_map"

    def run(self, user: User, *flags: str) -> list[str]:
        return user.ok("run", "--rm", *flags, IMAGE, "sh", "-c", self.WORDS).splitlines()

    def test_keep_id(self, with_image: User, plain: Path) -> None:
        uid, gid = with_image.uid, with_image.gid
        seen = self.run(with_image, "--userns=keep-id")
        assert seen[:3] == ["1001", "0 0", "1001 1002"]  # the image's user, as in podman
        assert maps(seen[3:])[:2] == [[0, 1, uid], [uid, 0, 1]]
        words = ["--rootfs", f"{plain}:O", "sh", "-c", "id -u; id -g; touch /home/shared"]
        volume = f"{with_image.home}:/home"
        assert with_image.ok("run", "--rm", "--userns=keep-id", "-v", volume, *words).split() == [str(uid), str(gid)]
        file = with_image.home / "shared"
        assert (file.stat().st_uid, file.stat().st_gid) == (uid, gid)
        named = ["sh", "-c", "tail -n 1 /etc/group; touch /tmp/x; chown $(id -un):$(id -gn) /tmp/x; stat -c %g /tmp/x"]
        subprocess.run(["tar", "-C", plain, "-cf", plain.parent / "plain.tar", "."], check=True)
        with_image.ok("import", "-q", plain.parent / "plain.tar", "localhost/plain")
        entry, owner = with_image.ok("run", "--rm", "--userns=keep-id", "localhost/plain", *named).split()
        with_image.ok("rmi", "localhost/plain")
        assert (entry, owner) == (f"{with_image.name}:x:{gid}:{with_image.name}", str(gid))
        other = with_image.ok("run", "--rm", "--userns=keep-id:uid=70,gid=80", "-v", volume, *words)
        assert other.split() == ["70", "80"]

    def test_nomap_and_auto(self, with_image: User) -> None:
        first = int(with_image.ok("unshare", "cat", "/proc/self/uid_map").split()[4])
        for flag in ("nomap", "auto"):
            seen = self.run(with_image, f"--userns={flag}", "-u", "0")
            assert seen[:3] == ["0", "0 0", "1001 1002"]
            assert maps(seen[3:])[0][:2] == [0, 1]
        with_image.ok("run", "-d", "--name", "far", "--userns=nomap", "-u", "0", IMAGE, "sleep", "100")
        pid = with_image.ok("inspect", "--format", "{{.State.Pid}}", "far").strip()
        assert f"Uid:\t{first}\t" in Path(f"/proc/{pid}/status").read_text()
        assert with_image.ok("exec", "far", "id", "-u") == "0\n"
        with_image.ok("rm", "-f", "-t", "0", "far")

    def test_auto_gives_no_id_that_is_asked_for_by_name(self, with_image: User) -> None:
        seen = self.run(with_image, "--userns=auto:size=100,uidmapping=0:1:10,gidmapping=0:1:10", "-u", "0")
        assert maps(seen[3:]) == [[0, 1, 10], [10, 11, 90]]

    def test_subordinate_ids_of_the_file_are_those_of_the_session(self, with_image: User) -> None:
        """The file has the host's IDs, which start at 1 in the session; IDs of other users are unmapped there."""
        _, first, _, _, _, count = map(int, with_image.ok("unshare", "cat", "/proc/self/uid_map").split())
        assert first == with_image.uid
        seen = self.run(with_image, "--subuidname", with_image.name, "-u", "0")
        assert maps(seen[3:]) == [[0, 1, count]]
        name = f"other{with_image.name}"
        with one_more_line(f"{name}:{4 * 10**9}:100", "/etc/subuid"):
            refused = with_image.pypod("run", "--rm", "--subuidname", name, IMAGE, "true")
        assert refused.returncode == 125
        assert f'the ids of user "{name}" in /etc/subuid are not yours' in refused.stderr

    def test_a_line_that_is_there_twice_counts_once(self, user: User, plain: Path) -> None:
        line = next(one for one in Path("/etc/subuid").read_text().splitlines() if one.startswith(f"{user.name}:"))
        before = user.ok("unshare", "cat", "/proc/self/uid_map")
        user.end()
        with one_more_line(line, "/etc/subuid"):
            assert user.ok("run", "--rm", "--rootfs", f"{plain}:O", "cat", "/proc/self/uid_map") == before

    def test_what_is_read_of_it_has_its_ids(self, with_image: User) -> None:
        write = "touch /srv/new && chown 5:6 /srv/new && rm /srv/data"
        with_image.ok("run", "--name", "moved", "--userns=nomap", "-u", "0", IMAGE, "sh", "-c", write)
        try:
            assert set(with_image.ok("diff", "moved").split("\n")) == {"C /srv", "A /srv/new", "D /srv/data", ""}
            with_image.ok("commit", "-q", "moved", "localhost/moved")
            look = "stat -c '%u %g' /srv /srv/new /bin/busybox"
            assert with_image.ok("run", "--rm", "localhost/moved", "sh", "-c", look) == "1001 1002\n5 6\n0 0\n"
            tar = with_image.home / "moved.tar"
            with_image.ok("export", "-o", str(tar), "moved")
            listed = subprocess.run(
                ["tar", "-tvf", tar, "srv/new", "srv", "bin/busybox"], capture_output=True, check=True
            )
            assert [line.split()[1] for line in listed.stdout.splitlines()] == [b"0/0", b"1001/1002", b"5/6"]
        finally:
            with_image.ok("rm", "moved")
            with_image.pypod("rmi", "localhost/moved")

    def test_maps_within_those_of_the_session(self, with_image: User) -> None:
        seen = self.run(with_image, "--uidmap", "0:0:2000", "-u", "0")
        assert maps(seen[3:]) == [[0, 0, 1], [1, 1, 1999]]
        refused = with_image.pypod("run", "--rm", "--uidmap", "0:1:100000", IMAGE, "true")
        assert refused.returncode == 125
        assert "names ids that the user does not have" in refused.stderr

    def test_a_pod(self, with_image: User, plain: Path) -> None:
        with_image.ok("pod", "create", "--name", "kept", "--userns=keep-id")
        try:
            assert with_image.ok("run", "--rm", "--pod", "kept", "-u", "0", IMAGE, "stat", "-c", "%u", "/srv/data") == (
                "1001\n"
            )
            words = ("run", "--rm", "--pod", "kept", "--rootfs", f"{plain}:O", "sh", "-c", "id -u; id -g")
            assert with_image.ok(*words).split() == [str(with_image.uid), str(with_image.gid)]
        finally:
            with_image.ok("pod", "rm", "-f", "-t", "0", "kept")

    def test_the_copies_go_with_the_image(self, user: User, archive: Path) -> None:
        layers = user.storage / "images" / "layers"
        assert any("." in path.name for path in layers.iterdir())
        user.ok("rmi", "-f", IMAGE)
        assert list(layers.iterdir()) == []
        user.ok("pull", "-q", f"oci-archive:{archive}")

    def test_with_one_id(self, bare_user: User, plain: Path) -> None:
        words = ["--rootfs", f"{plain}:O", "sh", "-c", "id -u; cat /proc/self/uid_map"]
        uid = str(bare_user.uid)
        assert bare_user.ok("run", "--rm", "--userns=keep-id", *words).split() == [uid, uid, "0", "1"]
        # podman-run(1): "--uidmap could still be used to map the normal UID of the user to a container UID"
        assert bare_user.ok("run", "--rm", "--uidmap", "77:0:1", "--user", "77:77", *words).split() == [
            "77",
            "77",
            "0",
            "1",
        ]
        refused = bare_user.pypod("run", "--rm", "--userns=nomap", *words)
        assert "nomap needs ids besides the user's own" in refused.stderr
