"""An unprivileged user: their session, files with subordinate IDs, and what another user can and cannot do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import users
from tests.conftest import for_users
from tests.facts import eventually, wait_until
from tests.images.made import IDS as IMAGE
from tests.images.made import Made, busybox_entries, layer
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users]


READ = "cat /shared; exec sleep 100"


def ranges(path: str, name: str) -> tuple[int, int]:
    line = next(line for line in Path(path).read_text().splitlines() if line.startswith(f"{name}:"))
    _, first, count = line.split(":")
    return int(first), int(count)


def held(storage: Path) -> list[str]:
    """Return the paths in a storage that do not belong to the user."""
    owner = storage.stat().st_uid
    return [str(path) for path in storage.rglob("*") if path.lstat().st_uid != owner]


def test_the_same_as_for_root(user: User, full: bool) -> None:
    """Run the end-to-end tests that need nothing but pods again as an unprivileged user."""
    files = sorted({one.partition("::")[0] for one in for_users(full=full)[0]})
    home = ["--rootdir", user.tree, "-c", user.tree / "setup.cfg", "--basetemp", user.home / "tests"]
    words = [
        "-m",
        "pytest",
        "--as-user",
        *(["--full"] if full else []),
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        *home,
    ]
    done = user.run(user.python, *words, *(user.tree / "tests" / file for file in files), timeout=900 if full else 300)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert " passed" in done.stdout


class TestSession:
    def test_its_ids_are_those_of_the_files(self, user: User) -> None:
        first, count = ranges("/etc/subuid", user.name)
        first_group, group_count = ranges("/etc/subgid", user.name)
        told = json.loads(user.ok("info", "--format", "{{json .Host.IDMappings}}"))
        assert [[one["host_id"], one["size"]] for one in told["uidmap"]] == [[user.uid, 1], [first, count]]
        assert [[one["host_id"], one["size"]] for one in told["gidmap"]] == [[user.gid, 1], [first_group, group_count]]
        seen = user.ok("unshare", "cat", "/proc/self/uid_map").split()
        assert seen == ["0", str(user.uid), "1", "1", str(first), str(count)]

    def test_without_ids_there_is_one_and_it_is_said_once(self, bare_user: User) -> None:
        bare_user.forget()
        first = bare_user.pypod("unshare", "id", "-u")
        second = bare_user.pypod("run", "--rm", "--rootfs", "/usr:O", "/bin/id", "-u")
        assert (first.stdout, second.stdout) == ("0\n", "0\n"), (first, second)
        told = f"Note: /etc/subuid and /etc/subgid have no {bare_user.name}: containers have one id"
        assert [told in one.stderr for one in (first, second)] == [True, False]
        bare_user.ok("system", "migrate")
        assert told in bare_user.pypod("unshare", "true").stderr  # another session
        assert bare_user.pypod("unshare", "cat", "/proc/self/uid_map").stdout.split() == ["0", str(bare_user.uid), "1"]

    def test_the_notice_offers_ids_of_nobody(self, bare_user: User) -> None:
        bare_user.forget()
        with users.unchanged():
            said = bare_user.pypod("run", "--rm", "--rootfs", "/usr:O", "/bin/true").stderr
            lines = Path("/etc/subuid").read_text().splitlines()
        assert said.count("Note: ") == 1
        first = int(said.partition("--add-subuids ")[2].partition("-")[0])
        for line in lines:
            _, begin, count = line.split(":")
            assert first >= int(begin) + int(count), said

    def test_the_interfaces_are_those_that_the_container_sees(self, with_image: User) -> None:
        code = (
            "import pypod\n"
            f"with pypod.Container.run('{IMAGE}', ['sleep', '100']) as container:\n"
            "    seen = container.exec(['ls', '/sys/class/net']).stdout.decode().split()\n"
            "    found = [one.name for one in container.interfaces()]\n"
            "    print(sorted(found) == sorted(seen), 'lo' in found)\n"
        )
        assert with_image.python_code(code) == "True True\n"

    def test_the_processes_are_those_that_the_container_sees(self, with_image: User) -> None:
        code = (
            "import os, pypod\n"
            f"with pypod.Container.run('{IMAGE}', ['sleep', '100'], user='5:6', userns='auto') as container:\n"
            "    (one,) = container.top()\n"
            "    print(one.pid, one.user, one.group, one.arguments, one.host_pid == container.state().pid)\n"
            "    print(one.host_uid != 5, one.host_uid == os.stat(f'/proc/{one.host_pid}').st_uid)\n"
            "    print(container.ps(['-eo', 'pid,comm']).stdout.split()[:4])\n"
        )
        ps = "[b'PID', b'COMMAND', b'1', b'sleep']"
        assert with_image.python_code(code) == f"1 5 6 ('sleep', '100') True\nTrue True\n{ps}\n"

    def test_ps_of_the_host_shows_a_container_without_one(self, user: User, busybox: str) -> None:
        directory = user.home / "only-sleep"
        directory.mkdir()
        shutil.copy(f"{busybox}/bin/busybox", directory / "sleep")
        for path in (directory, directory / "sleep"):
            path.chmod(0o755)
        code = (
            "import pypod\n"
            f"with pypod.Container.run(['/sleep', '100'], rootfs={str(directory)!r}, userns='auto') as container:\n"
            "    print(container.ps(['-eo', 'pid,comm']).stdout.split()[:4])\n"
        )
        assert user.python_code(code) == "[b'PID', b'COMMAND', b'1', b'sleep']\n"

    def test_the_usage_counts_files_of_other_ids_and_reset_removes_them(self, user: User) -> None:
        code = (
            "import os, tempfile, pypod\n"
            "root = tempfile.mkdtemp(dir=os.path.expanduser('~'))\n"
            "engine = pypod.Engine(root)\n"
            "words = ['/bin/sh', '-c', 'mkdir -m 700 /d; echo hello > /d/f; chown -R 5 /d; exec /bin/sleep 100']\n"
            "container = engine.containers.run(words, rootfs='/usr', name='c')\n"
            "engine.volumes.create('v')\n"
            "while engine.disk_usage().containers[0].size_bytes != 6: pass\n"
            "pid = container.state().pid\n"
            "engine.reset()\n"
            "print(os.path.exists(root), os.path.exists(f'/proc/{pid}'))\n"
        )
        assert user.python_code(code) == "False False\n"

    def test_a_caller_with_threads_stays_where_it_is(self, with_image: User) -> None:
        """The namespaces of every thread are unchanged, and each has run a container."""
        code = (
            "import os, threading, pypod\n"
            "kinds = ('user', 'mnt', 'pid', 'net')\n"
            "def here(): return [os.readlink(f'/proc/thread-self/ns/{kind}') for kind in kinds], os.geteuid()\n"
            "before, found, engine = here(), [], pypod.Engine()\n"
            "def work():\n"
            f"    container = engine.containers.run('{IMAGE}', ['id', '-u'])\n"
            "    container.wait()\n"
            "    found.append((b''.join(one.data for one in container.logs()), here()))\n"
            "    container.remove()\n"
            "threads = [threading.Thread(target=work) for _ in range(4)]\n"
            "for one in threads: one.start()\n"
            "for one in threads: one.join()\n"
            "print(len(found), {one for one, _ in found}, all(then == before for _, then in found), here() == before)\n"
        )
        assert with_image.python_code(code) == "4 {b'1001\\n'} True True\n"

    def test_check_tries_it_and_leaves_none(self, user: User) -> None:
        user.end()
        said = user.ok("system", "check")
        rows = {words[1]: words[0] for line in said.splitlines() if len(words := line.split()) > 2}
        assert (rows["session"], rows["storage-driver"]) == ("ok", "ok")
        wait_until(lambda: user.processes() == {})  # files that others discarded may still be being deleted

    def test_check_says_that_it_cannot_be_made(self, user: User) -> None:
        """The host's facts do not explain it: here a program maps no IDs."""
        user.end()
        directory = user.home / "mappers"
        directory.mkdir()
        for name in ("newuidmap", "newgidmap"):
            (directory / name).symlink_to("/bin/false")
        done = user.pypod("system", "check", PATH=f"{directory}:/usr/bin:/bin")
        assert done.returncode == 1
        assert "missing     session " in done.stdout
        assert "cannot be mapped" in done.stdout
        assert done.stdout.endswith("Pods cannot run here as this user: session\n")

    def test_migrate_ends_it(self, user: User) -> None:
        user.ok("run", "-d", "--name", "sleeper", "--rootfs", "/usr:O", "/bin/sleep", "100")
        assert any(name == "pypod-session" for name in user.processes().values())
        user.ok("stop", "-t", "0", "sleeper")
        user.ok("system", "migrate")
        assert eventually(lambda: user.processes() == {}), user.processes()
        user.ok("rm", "sleeper")


class TestFiles:
    def test_of_an_image_have_its_ids(self, with_image: User) -> None:
        first, _ = ranges("/etc/subuid", with_image.name)
        seen = with_image.ok("run", "--rm", IMAGE).splitlines()
        assert seen == ["0 0 555", "0 0 555", "1001 1002 755", "1001", "1002"]
        layers = (with_image.storage / "images" / "layers").iterdir()
        (data,) = (path / "srv/data" for path in layers if "." not in path.name and (path / "srv/data").exists())
        assert data.stat().st_uid == first + 1000

    def test_with_one_id_are_the_users(self, bare_with_image: User) -> None:
        assert bare_with_image.ok("run", "--rm", "-u", "0", IMAGE).splitlines()[2:] == ["0 0 755", "0", "0"]
        assert held(bare_with_image.storage) == []
        refused = bare_with_image.pypod("run", "--rm", IMAGE)
        assert refused.returncode == 126
        assert "/etc/subuid" in refused.stderr, refused

    def test_of_other_ids_are_written_read_and_removed(self, with_image: User) -> None:
        write = "echo new > /tmp/new && mkdir /tmp/d && chmod 700 /tmp/d && echo x > /tmp/d/x; rm -r /srv/data"
        with_image.ok("run", "-u", "0", "--name", "prepare", IMAGE, "chmod", "777", "/tmp", "/srv")
        with_image.ok("commit", "-q", "prepare", "localhost/writable")
        with_image.ok("run", "-u", "1001", "--name", "writer", "localhost/writable", "sh", "-c", write)
        try:
            changed = set(with_image.ok("diff", "writer").splitlines())
            assert {"A /tmp/new", "A /tmp/d", "A /tmp/d/x", "D /srv/data"} <= changed
            with_image.ok("export", "-o", str(with_image.home / "out.tar"), "writer")
            listed = subprocess.run(
                ["tar", "-tvf", with_image.home / "out.tar", "tmp/d/x"], capture_output=True, text=True, check=True
            )
            assert "1001/1002" in listed.stdout
            with_image.ok("commit", "-q", "writer", "localhost/written")
            assert with_image.ok("run", "--rm", "localhost/written", "stat", "-c", "%u %g", "/tmp/d/x") == "1001 1002\n"
            (upper,) = [path.parent for path in with_image.storage.glob("containers/*/upper/tmp/d")]
            assert held(upper)
        finally:
            with_image.ok("rm", "writer", "prepare")
            with_image.ok("rmi", "localhost/written", "localhost/writable")
        assert eventually(lambda: held(with_image.storage / "trash") == []), held(with_image.storage / "trash")
        assert not list(with_image.storage.glob("containers/*"))

    @pytest.mark.parametrize("more", [(), ("--userns=keep-id",), ("--userns=nomap",)])
    def test_a_group_of_the_users_opens_them_with_keep_groups(
        self, with_image: User, user_tree: Path, more: tuple[str, ...]
    ) -> None:
        """podman-run(1): "Allows container to use the user's supplementary group access." """
        group, shared = 64998, user_tree.parent / "shared-by-group"
        shared.write_text("of the group\n")
        os.chown(shared, 0, group)
        shared.chmod(0o640)
        words = with_image.words(with_image.python, "-m", "pypod")
        words[words.index("--init-groups") : words.index("--init-groups") + 1] = ["--groups", str(group)]

        def run(*flags: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*words, *flags], capture_output=True, text=True, check=False, timeout=60)

        volume = ("-v", f"{shared}:/shared", *more)
        try:
            assert run("run", "--rm", *volume, IMAGE, "cat", "/shared").stdout == ""
            kept = run("run", "--name", "kept", "-d", "--group-add", "keep-groups", *volume, IMAGE, "sh", "-c", READ)
            assert kept.returncode == 0, kept
            assert run("exec", "kept", "cat", "/shared").stdout == "of the group\n"
            assert run("logs", "kept").stdout == "of the group\n"
            both = run("create", "--group-add", "keep-groups", "--group-add", "5", IMAGE)
            assert "not allowed with any other --group-add options" in both.stderr
        finally:
            run("rm", "-f", "-t", "0", "kept")
            shared.unlink()

    def test_an_image_mounted_under_unshare(self, with_image: User) -> None:
        words = f"path=$({with_image.python} -m pypod image mount {IMAGE}) && stat -c '%u %g' $path/srv/data"
        assert with_image.ok("unshare", "sh", "-c", words) == "1001 1002\n"

    def test_it_stays_mounted_for_the_next_one(self, with_image: User) -> None:
        """As in podman; the host does not see the mount."""
        pypod = (with_image.python, "-m", "pypod")
        path = with_image.ok("unshare", *pypod, "image", "mount", IMAGE).strip()
        try:
            assert with_image.ok("unshare", "stat", "-c", "%u %g", f"{path}/srv/data") == "1001 1002\n"
            assert os.listdir(path) == []
            assert with_image.ok("run", "--rm", "--network", "none", IMAGE, "cat", "/srv/data") != ""
        finally:
            with_image.ok("unshare", *pypod, "image", "unmount", IMAGE)
        assert not Path(path).exists()

    def test_a_container_mounted_under_unshare(self, with_image: User) -> None:
        pypod = (with_image.python, "-m", "pypod")
        with_image.ok("create", "--name", "shown", "--network", "none", IMAGE, "sleep", "1000")
        try:
            path = with_image.ok("unshare", *pypod, "mount", "shown").strip()
            assert with_image.ok("unshare", "stat", "-c", "%u %g", f"{path}/srv/data") == "1001 1002\n"
            with_image.ok("unshare", "touch", f"{path}/made")
            with_image.ok("start", "shown")
            assert with_image.ok("exec", "shown", "ls", "/made") == "/made\n"
            refused = with_image.pypod("mount", "shown")
            assert (refused.returncode, "must execute `pypod unshare` first" in refused.stderr) == (125, True)
        finally:
            with_image.ok("rm", "-f", "-t", "0", "shown")
        assert not Path(path).exists()

    def test_rmi_takes_it_along(self, user: User, archive: Path) -> None:
        pypod = (user.python, "-m", "pypod")
        user.ok("pull", "-q", f"oci-archive:{archive}")
        path = user.ok("unshare", *pypod, "image", "mount", IMAGE).strip()
        user.ok("rmi", IMAGE)
        assert not Path(path).exists()
        user.ok("pull", "-q", f"oci-archive:{archive}")
        assert user.ok("unshare", *pypod, "image", "mount", IMAGE).strip() == path
        assert user.ok("unshare", "stat", "-c", "%u %g", f"{path}/srv/data") == "1001 1002\n"
        user.ok("rmi", IMAGE)

    def test_unshare_stays_in_the_directory(self, user: User) -> None:
        """Or runs nothing: in another directory a command could do harm."""
        user.ok("unshare", "true")
        assert user.ok("unshare", "pwd") == f"{user.home}\n"
        gone = user.home / "gone"
        gone.mkdir(mode=0o755)
        words = user.words(user.python, "-m", "pypod", "unshare", "touch", "here")
        script = 'cd "$0" && rmdir "$0" && exec "$@"'
        at = words.index("-C")
        done = subprocess.run(
            ["sh", "-c", script, gone, *words[:at], *words[at + 2 :]], capture_output=True, text=True, check=False
        )
        assert (done.returncode, "the current directory" in done.stderr) == (125, True), done

    def test_all_are_gone_with_the_image(self, user: User, archive: Path) -> None:
        user.ok("pull", "-q", f"oci-archive:{archive}")
        user.ok("rmi", "-f", IMAGE)
        layers = user.storage / "images" / "layers"
        assert eventually(lambda: list(layers.iterdir()) == [])
        user.ok("pull", "-q", f"oci-archive:{archive}")  # for the other tests

    def test_a_volume_of_an_image_is_its_users(self, user: User, busybox: str, user_tree: Path) -> None:
        made = layer({**busybox_entries(busybox), "v": None, "v/f": b"x"}, uid=1001, gid=1002)
        path = Made(made, config={"Cmd": ["stat", "-c", "%u", "/v", "/v/f"], "Volumes": {"/v": {}}}).archive(
            user_tree.parent / "volume.tar", "localhost/volume:latest"
        )
        path.chmod(0o644)
        user.ok("pull", "-q", f"oci-archive:{path}")
        try:
            assert user.ok("run", "--name", "v", "localhost/volume") == "1001\n1001\n"
        finally:
            user.ok("rm", "-v", "v")
            user.ok("rmi", "localhost/volume")
        volumes = user.storage / "volumes"
        assert eventually(lambda: list(volumes.iterdir()) == [])


class TestStorage:
    def test_a_relative_place_is_none(self, user: User) -> None:
        """XDG Base Directory Specification: a relative path is to be ignored."""
        before = set(os.listdir(user.home))
        for variables in ({"XDG_DATA_HOME": "data"}, {"HOME": "home"}, {"HOME": ""}):
            assert user.ok("info", "--format", "{{.Store.GraphRoot}}", **variables).strip() == str(user.storage)
        assert set(os.listdir(user.home)) - before <= {".local"}

    def test_without_a_home_the_error_asks_for_a_place(self, user: User) -> None:
        ids = ["setpriv", "--reuid", "64999", "--regid", "64999", "--clear-groups", "env", "-i", "-C", "/"]
        words = [*ids, f"PYTHONPATH={user.tree}", user.python, "-m", "pypod", "ps"]
        refused = subprocess.run(words, capture_output=True, text=True, check=False)
        assert refused.returncode == 125
        assert "uid 64999 has no home directory" in refused.stderr
        assert "--root" in refused.stderr

    def test_nobody_else_can_write_to_it_whatever_the_umask(self, user: User, plain: Path) -> None:
        """ATTACK: another user could write into a directory left open."""
        storage = user.home / "open"
        run = f"umask 000; exec {user.python} -m pypod --root {storage} run --rm --rootfs {plain}:O true"
        try:
            assert user.run("sh", "-c", run).returncode == 0
            wait_until(lambda: not any((storage / "trash").iterdir()))  # emptied with a delay
            found = [one for one in storage.rglob("*") if not one.is_symlink() and one.lstat().st_mode & 0o022]
            assert found == []
        finally:
            user.pypod("--root", str(storage), "system", "migrate")
            subprocess.run(["rm", "-r", storage], check=True)

    def test_without_cgroups_a_pause_says_why(self, user: User, plain: Path) -> None:
        if user.ok("info", "--format", "{{.Host.CgroupManager}}").strip() == "systemd":
            pytest.skip("this host delegates cgroups to users")
        user.ok("run", "-d", "--name", "still", "--rootfs", f"{plain}:O", "sleep", "100")
        try:
            refused = user.pypod("pause", "still")
            assert refused.returncode == 125
            assert "cannot be paused: this user cannot create cgroups" in refused.stderr
            assert user.ok("inspect", "--format", "{{.State.Status}}", "still") == "running\n"
        finally:
            user.ok("rm", "-f", "-t", "0", "still")


@pytest.mark.parametrize(("rootfs", "hint"), [("/usr", "with DIR:O"), ("/root:O", "a directory that you may read")])
def test_a_root_that_is_not_the_users_says_what_to_do(user: User, rootfs: str, hint: str) -> None:
    refused = user.pypod("run", "--rm", "--rootfs", rootfs, "/bin/true")
    assert refused.returncode == 126
    assert hint in refused.stderr, refused


class TestOthers:
    def test_two_users_see_their_own_only(self, with_image: User, bare_user: User, plain: Path) -> None:
        with_image.ok("run", "-d", "--name", "same", IMAGE, "sleep", "100")
        bare_user.ok("run", "-d", "--name", "same", "--rootfs", f"{plain}:O", "sleep", "100")
        try:
            inodes = set()
            for one in (with_image, bare_user):
                assert one.ok("ps", "--format", "{{.Names}}") == "same\n"
                pid = one.ok("inspect", "--format", "{{.State.Pid}}", "same").strip()
                inodes.add(os.stat(f"/proc/{pid}/ns/user").st_ino)
                other = bare_user if one is with_image else with_image
                assert other.run("cat", f"/proc/{pid}/environ").returncode != 0
                assert other.run("kill", "-9", pid).returncode != 0
                assert other.run("nsenter", "-U", "-t", pid, "true").returncode != 0
                assert other.run("ls", one.storage / "containers").returncode != 0
                refused = other.pypod("--root", str(one.storage), "ps")
                assert f"belongs to uid {one.uid}, not to uid {other.uid}" in refused.stderr
            assert len(inodes) == 2
            bare_user.ok("rm", "-f", "-t", "0", "same")
            assert with_image.ok("exec", "same", "id", "-u") == "1001\n"
        finally:
            for one in (with_image, bare_user):
                one.pypod("rm", "-f", "-t", "0", "same")

    @pytest.mark.parametrize("plant", ["directory", "link", "writable", "file"])
    def test_a_storage_that_somebody_planted(self, user: User, bare_user: User, plant: str) -> None:
        """ATTACK: whoever creates the directory first could have a database, a lock or a program of theirs in it."""
        shared = user.tree.parent / f"shared-{plant}"
        shared.mkdir()
        shared.chmod(0o1777)
        storage, target = shared / "pypod", user.home / "target"
        target.mkdir(exist_ok=True)
        os.chown(target, user.uid, user.gid)
        steps = {
            "directory": f"mkdir {storage}",
            "link": f"ln -s {target} {storage}",
            "file": f"touch {storage}",
            "writable": "true",
        }
        assert bare_user.run("sh", "-c", steps[plant]).returncode == 0
        if plant == "writable":
            user.run("sh", "-c", f"mkdir {storage}; chmod 777 {storage}")
        refused = user.pypod("--root", str(storage), "run", "--rm", "--rootfs", "/usr:O", "/bin/true")
        assert refused.returncode == 125
        told = {"directory": f"belongs to uid {bare_user.uid}", "writable": "writable by others"}
        told["link"] = f"is a symbolic link of uid {bare_user.uid}, not of uid {user.uid}"
        assert told.get(plant, "is not a directory") in refused.stderr
        assert list(target.iterdir()) == []
        # a link in a directory like /tmp is followed only for its owner, not even for root (fs.protected_symlinks)
        assert plant == "link" or storage.is_file() or list(storage.iterdir()) == []

    def test_nobody_else_can_look_into_the_storage(self, with_image: User) -> None:
        assert with_image.storage.stat().st_mode & 0o066 == 0
        open_to_others = [
            path.name for path in with_image.storage.iterdir() if path.is_file() and path.stat().st_mode & 0o022
        ]
        assert open_to_others == []

    def test_a_false_status_names_no_stranger(self, user: User, plain: Path) -> None:
        """ATTACK: a holder's record with another process's PID: no process is joined or killed by its PID alone."""
        user.ok("unshare", "true")
        status = user.storage / "session" / "status"
        before = status.read_bytes()
        victim = subprocess.Popen(["sleep", "100"])
        try:
            number, *rest = before.split(b" ")
            status.write_bytes(b" ".join([str(victim.pid).encode().ljust(len(number)), *rest]))
            user.pypod("system", "migrate")
            assert victim.poll() is None
            assert user.ok("run", "--rm", "--rootfs", f"{plain}:O", "id", "-u") == "0\n"
        finally:
            victim.kill()
            victim.wait()
            user.pypod("system", "migrate")
            for pid, name in user.processes().items():  # the holder hidden by the false record
                if name == "pypod-session":
                    os.kill(pid, 15)
