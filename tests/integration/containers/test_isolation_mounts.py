"""Requested mounts, the files that every container gets, and its environment."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pypod import Engine
from pypod.errors import InvalidSpec, LaunchFailed
from pypod.model.mount import Mount
from tests.cli.program import Program
from tests.integration.inside import execute, written

pytestmark = pytest.mark.root

ODD_NAMES = [
    "with space",
    "comma,comma",
    "colon:colon",
    "back\\slash",
    'quote"quote',
    "dollar$x",
    "new\nline",
    "ünïcode",
    "a=b",
    "#",
]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "file").write_text("from the host\n")
    return directory


def test_bind_mounts_read_only_and_not(box, shared: Path) -> None:
    assert box.run("cat", "/v/file", volumes=[f"{shared}:/v"]) == "from the host\n"
    box.shell("echo written > /v/new", volumes=[f"{shared}:/v"])
    assert (shared / "new").read_text() == "written\n"
    text = box.shell("touch /v/other /v/file", volumes=[f"{shared}:/v:ro"], check=False)
    assert text.count("Read-only file system") == 2
    options = box.report(volumes=[f"{shared}:/v:ro,nosuid,nodev,noexec"]).mounts["/v"][0].split(",")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)


def test_read_only_holds_for_mounts_below(box, shared: Path) -> None:
    options = {"mounts": [Mount(type="bind", source="/dev", target="/hostdev", read_only=True)]}
    mounts = box.report(**options).mounts
    below = {target: facts[0] for target, facts in mounts.items() if target.startswith("/hostdev")}
    assert len(below) > 1
    assert all(facts.startswith("ro") for facts in below.values())
    alone = box.report(mounts=[Mount(type="bind", source="/dev", target="/hostdev", recursive=False)]).mounts
    assert [target for target in alone if target.startswith("/hostdev")] == ["/hostdev"]


def test_file_binds(box, shared: Path) -> None:
    assert box.run("cat", "/etc/passwd", volumes=[f"{shared}/file:/etc/passwd:ro"]) == "from the host\n"
    assert box.run("cat", "/new/deep/file", volumes=[f"{shared}/file:/new/deep/file"]) == "from the host\n"
    with pytest.raises(LaunchFailed) as caught:
        box.run("true", volumes=[f"{shared}/file:/tmp"])
    assert caught.value.errno == 21
    with pytest.raises(LaunchFailed) as caught:
        box.run("true", volumes=[f"{shared}:/etc/passwd"])
    assert caught.value.errno == 20
    with pytest.raises(InvalidSpec, match="no such file or directory"):
        box.run("true", volumes=[f"{shared}/nosuch:/x"])


def test_tmpfs_and_its_options(box) -> None:
    mounts = box.report(tmpfs=["/t:size=64k,mode=700,ro", "/u", "/x:exec,suid,dev"]).mounts
    assert mounts["/t"][:3] == ["ro,nosuid,nodev,relatime", "tmpfs", "rw,size=64k,mode=700"]
    assert mounts["/u"][0] == "rw,nosuid,nodev,relatime"
    assert mounts["/x"][0] == "rw,relatime"
    with pytest.raises(LaunchFailed) as caught:
        box.run("true", tmpfs=["/t:nosuch=1"])
    assert (caught.value.call, caught.value.errno) == ("fsconfig", 22)
    text = box.shell("dd if=/dev/zero of=/t/x bs=1k count=100", tmpfs=["/t:size=64k"], check=False)
    assert "No space left on device" in text


@pytest.mark.parametrize("order", [1, -1])
def test_nested_targets_in_any_order(box, shared: Path, order: int) -> None:
    (shared / "sub").mkdir()
    volumes = [f"{shared}:/a", f"{shared}/file:/a/sub/inner", f"{shared}:/a/sub/", f"{shared}:/a//sub//deep/"][::order]
    text = box.shell("ls /a /a/sub /a/sub/deep; cat /a/sub/inner", volumes=volumes)
    assert "from the host" in text
    mounts = box.report(volumes=volumes).mounts
    assert {"/a", "/a/sub", "/a/sub/inner", "/a/sub/deep"} <= mounts.keys()
    assert (shared / "deep").is_dir(), "the mount point must be created in the volume, as in podman"


def test_a_volume_over_a_standard_place_replaces_it_and_keeps_what_is_below(box, shared: Path) -> None:
    pod = box.engine.pods.create(hostname="podhost")
    for name in ("etc", "run", "dev"):
        (shared / name).mkdir()
    (shared / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    container = box.stay(pod=pod, volumes=[f"{shared}/etc:/etc", f"{shared}/run:/run"])
    assert "podhost" in execute(container, "cat", "/etc/hosts")
    assert execute(container, "cat", "/etc/hostname") == "podhost\n"
    assert execute(container, "ls", "-a", "/run").split() == [".", "..", ".containerenv"]
    own_hosts = box.shell("cat /etc/hosts", volumes=[f"{shared}/file:/etc/hosts"])
    assert own_hosts == "from the host\n"


def test_what_is_asked_for_in_place_of_the_pods_shm(box, shared: Path) -> None:
    pod = box.engine.pods.create()
    assert box.run("ls", "/dev/shm", pod=pod, volumes=[f"{shared}:/dev/shm"]) == "file\n"
    assert " 8 " in box.run("df", "/dev/shm", pod=pod, tmpfs=["/dev/shm:size=8k"])
    owner = box.stay(name="owner")
    assert box.run("ls", "/dev/shm", ipc="container:owner", volumes=[f"{shared}:/dev/shm/"]) == "file\n"
    assert execute(owner, "ls", "/dev/shm") == ""


def test_a_volume_in_place_of_the_cgroups_is_as_it_was_given(box, shared: Path) -> None:
    text = box.shell("ls /sys/fs/cgroup; touch /sys/fs/cgroup/new", volumes=[f"{shared}:/sys/fs/cgroup"])
    assert text == "file\n"
    assert sorted(entry.name for entry in os.scandir(shared)) == ["file", "new"]


def test_the_hosts_dev_as_a_volume(box) -> None:
    before = {entry.name for entry in os.scandir("/dev")}
    try:
        report = box.report(volumes=["/dev:/dev"])
        assert "zero c 1:5 666" in report.all("device")
        assert report.mounts["/dev/pts"][2] == "rw,gid=5,mode=620,ptmxmode=666"
        assert ("/dev/mqueue" in report.mounts) == os.path.ismount("/dev/mqueue"), "it must be the host's, if any"
    finally:
        made = {entry.name for entry in os.scandir("/dev")} - before
        for name in made & {"mqueue", "shm"}:
            Path("/dev", name).rmdir()
    assert made <= {"shm"}


def test_read_only_root(box) -> None:
    touched = "touch /x /etc/x; touch /tmp/x /run/x /var/tmp/x /dev/shm/x /dev/x || exit 1"
    text = box.shell(f"exec 2>&1; {touched}; stat -c %a /tmp /run", read_only=True)
    assert text.count("Read-only file system") == 2
    assert text.split()[-2:] == ["1777", "1777"]
    mounts = box.report(read_only=True).mounts
    assert mounts["/"][0].startswith("ro")
    assert mounts["/tmp"][1] == "tmpfs"
    container = box.stay(read_only=True)
    assert "Read-only" in execute(container, "touch", "/x", check=False)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_paths_with_odd_characters(box, own_rootfs: Path, tmp_path: Path, name: str) -> None:
    """As root file system, source and target of a volume, and storage of the engine (upper and work directory)."""
    from pypod import Engine
    from tests.integration.inside import Box

    root = tmp_path / "odd" / name
    root.parent.mkdir()
    own_rootfs.rename(root)
    (root / "marker").write_text("here\n")
    mount = Mount(type="bind", source=str(root / "etc"), target=f"/target/{name}")
    with Engine(str(tmp_path / f"storage {name}")) as engine:
        inside = Box(engine, str(root))
        text = inside.run(
            "sh", "-c", 'cat /marker; touch /new; ls "$1" | head -1', "sh", f"/target/{name}", mounts=[mount]
        )
        assert text == "here\ngroup\n"
        assert inside.run("cat", "/marker", overlay=False) == "here\n"
        container = inside.stay(working_directory=f"/target/{name}", mounts=[mount])
        assert execute(container, "cat", "passwd").startswith("root:")
        container.restart(0)
        container.remove(force=True, timeout=0)
        if ":" not in name:
            assert inside.run("ls", "/v", volumes=[f"{root}/etc:/v"]).split()[0] == "group"
    assert not (root / "new").exists()


def test_nothing_is_written_to_the_root_file_system_below_the_overlay(box, own_rootfs: Path) -> None:
    before = sorted(own_rootfs.rglob("*"))
    box.shell(
        "rm /etc/passwd; touch /x /dev/y; mkdir /made; echo z > /bin/new", rootfs=str(own_rootfs), tmpfs=["/made2"]
    )
    assert sorted(own_rootfs.rglob("*")) == before


def test_files_of_a_pod_are_one_for_all_members(box) -> None:
    pod = box.engine.pods.create(name="mine", hostname="podhost", add_hosts=["db:10.1.2.3"])
    a, b = (box.stay(pod=pod) for _ in range(2))
    alone = box.stay(network="none", add_hosts=["db:10.1.2.3"], hostname="single")
    for path in ("/etc/hosts", "/etc/hostname"):
        inodes = {execute(one, "stat", "-c", "%d:%i", path) for one in (a, b)}
        assert len(inodes) == 1
        assert execute(alone, "stat", "-c", "%d:%i", path) not in inodes
    hosts = execute(a, "cat", "/etc/hosts")
    assert hosts.splitlines()[0] == "10.1.2.3\tdb"
    assert "127.0.0.1\tlocalhost" in hosts.replace(" ", "\t")
    assert any("podhost" in line.split() for line in hosts.splitlines())
    execute(a, "sh", "-c", "echo 10.9.9.9 added >> /etc/hosts")
    assert "10.9.9.9 added" in execute(b, "cat", "/etc/hosts")
    assert execute(a, "cat", "/etc/hostname") == "podhost\n"
    assert execute(alone, "cat", "/etc/hostname") == "single\n"
    late = box.stay(pod=pod)
    assert "10.9.9.9 added" in execute(late, "cat", "/etc/hosts")


def test_a_tmpfs_begins_with_what_is_there(box, own_rootfs: Path) -> None:
    """podman's tmpcopyup: content, owners, modes, links, in a tmpfs with its own mode; no link is followed outside."""
    place = own_rootfs / "place"
    (place / "deep/er").mkdir(parents=True)
    place.chmod(0o750)
    (place / "deep/er/file").write_text("content\n")
    (place / "deep/er/file").chmod(0o4711)
    os.chown(place / "deep/er/file", 33, 44)
    (place / "deep/er/file").chmod(0o4711)
    (place / "link").symlink_to("/etc/shadow")
    os.mkfifo(place / "fifo")
    os.utime(place / "deep", (1, 2))
    options = {"rootfs": str(own_rootfs)}
    container = box.stay(tmpfs=["/place:size=1m"], **options)
    assert execute(container, "stat", "-fc", "%T", "/place") == "tmpfs\n"
    assert execute(container, "cat", "/place/deep/er/file") == "content\n"
    assert execute(container, "stat", "-c", "%a %u %g", "/place", "/place/deep/er/file").splitlines() == [
        "1777 0 0", "4711 33 44",
    ]  # fmt: skip
    assert execute(container, "stat", "-c", "%Y", "/place/deep") == "2\n"
    assert execute(container, "readlink", "/place/link") == "/etc/shadow\n"
    assert execute(container, "ls", "/place").split() == ["deep", "link"]
    execute(container, "sh", "-c", "echo changed > /place/deep/er/file")
    assert (place / "deep/er/file").read_text() == "content\n"
    for words, mode in ((":notmpcopyup", "1777"), (":mode=711", "711"), (":ro", "1777")):
        other = box.stay(tmpfs=[f"/place{words}"], **options)
        assert execute(other, "stat", "-c", "%a", "/place") == f"{mode}\n"
        assert ("deep" in execute(other, "ls", "/place").split()) == (words != ":notmpcopyup")
    assert "Read-only" in execute(other, "touch", "/place/x", check=False)
    (place / "big").write_bytes(b"x" * 3_000_000)
    with pytest.raises(LaunchFailed, match="No space left on device"):
        box.stay(tmpfs=["/place:size=1m"], **options)


CHURN = """
import itertools, os, sys
os.chdir(sys.argv[1])
for turn in itertools.count():
    name = str(turn % 300)
    for make, unmake in (
        (lambda: open(name, "w").close(), os.unlink),
        (lambda: os.symlink("x", name), os.unlink),
        (lambda: os.mkdir(name), os.rmdir),
    ):
        make()
        unmake(name)
"""


def test_what_is_deleted_while_a_tmpfs_copies_is_left_out(box, own_rootfs: Path) -> None:
    place = own_rootfs / "place"
    place.mkdir()
    for number in range(500):
        (place / f"stays{number}").touch()
    churn = subprocess.Popen([sys.executable, "-c", CHURN, str(place)])
    try:
        for _ in range(12):
            names = box.run("ls", "/place", tmpfs=["/place"], rootfs=str(own_rootfs)).split()
            assert sum(name.startswith("stays") for name in names) == 500
    finally:
        churn.kill()
        churn.wait()


def test_a_container_is_told_that_it_is_one(box) -> None:
    """An empty file that cannot be changed; a privileged container gets podman's content."""
    plain = box.stay(name="plain")
    assert execute(plain, "stat", "-c", "%s %U %a %F", "/run/.containerenv") == "0 root 644 regular empty file\n"
    for command in ("echo x > /run/.containerenv", "chmod 777 /run/.containerenv", "rm /run/.containerenv"):
        assert execute(plain, "sh", "-c", command, check=False) != ""
    told = execute(box.stay(name="strong", privileged=True), "cat", "/run/.containerenv").splitlines()
    identifier = box.engine.containers.get("strong").id
    assert told[:3] == ['engine="pypod"', 'name="strong"', f'id="{identifier}"']
    assert told[-1] == "rootless=0"


def test_mount_points_that_a_root_lacks_are_not_made_in_it(box, own_rootfs: Path) -> None:
    for path in ("etc/hosts", "etc/hostname", "etc/resolv.conf"):
        (own_rootfs / path).unlink(missing_ok=True)
    (own_rootfs / "etc").chmod(0o755)  # independent of the umask
    container = box.stay(rootfs=str(own_rootfs))
    upper = Path(box.engine.layout.container(container.id), "upper")
    assert list(upper.iterdir()) == []
    assert execute(container, "stat", "-c", "%U:%G %a", "/etc", "/etc/hosts", "/run") == (
        "root:root 755\nroot:root 644\nroot:root 755\n"
    )
    execute(container, "sh", "-c", "echo x > /etc/own; rm -r /tmp; mkdir /etc/dir")
    assert sorted(path.name for path in (upper / "etc").iterdir()) == ["dir", "own"]


def test_files_that_a_container_does_not_get_are_those_of_its_root(box, own_rootfs: Path) -> None:
    names = ("hosts", "hostname", "resolv.conf")
    for name in names:
        (own_rootfs / "etc" / name).unlink(missing_ok=True)
    none = box.stay(name="none", rootfs=str(own_rootfs), network="none", no_hosts=True, no_hostname=True)
    assert set(execute(none, "ls", "/etc").split()).isdisjoint(names)
    (own_rootfs / "etc/hosts").write_text("its own\n")
    some = box.stay(name="some", rootfs=str(own_rootfs), network="none", no_hosts=True)
    assert execute(some, "cat", "/etc/hosts") == "its own\n"
    assert {"hosts", "hostname"} == {*names} & {*execute(some, "ls", "/etc").split()}


def test_a_root_that_the_storage_lies_in(box, own_rootfs: Path) -> None:
    """One layer of an overlay must not lie in another, by whatever name the root is reached."""
    link = own_rootfs.parent / "link"
    link.symlink_to(own_rootfs)
    with Engine(str(own_rootfs / "var/store")) as engine:
        for rootfs in (own_rootfs, link):
            container = engine.containers.run(["cat", "/proc/mounts"], rootfs=str(rootfs))
            assert container.wait(10) == 0
            assert "mount-points" not in written(container).splitlines()[0]
            container.remove()


def test_hundreds_of_volumes(box, tmp_path: Path) -> None:
    volumes = [f"{tmp_path}:/many/{number}" for number in range(300)]
    assert sum(target.startswith("/many/") for target in box.report(volumes=volumes).mounts) == 300
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with pytest.raises(LaunchFailed, match=r"open_tree: Too many open files: .*ulimit -n"):
            box.run("true", volumes=volumes)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("how", "hostname", "seen"),
    [
        ("run", "named", {"HOSTNAME": "named"}),
        ("exec", "named", {"HOSTNAME": "named"}),
        ("exec", "", {}),  # as in podman: only a hostname that was asked for is in the environment of exec
    ],
)
def test_environment(box, how: str, hostname: str, seen: dict[str, str]) -> None:
    os.environ["PYPOD_TEST_SECRET"] = "do not tell"
    try:
        environment = box.report(how, hostname=hostname, environment={"A": "1 2", "EMPTY": ""}).environment
    finally:
        del os.environ["PYPOD_TEST_SECRET"]
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root", "container": "podman", "A": "1 2", "EMPTY": "",
        "TERM": "xterm",
        **seen,
    }  # fmt: skip


def test_environment_that_was_asked_for_wins(box) -> None:
    asked = {
        "HOME": "/h",
        "PATH": "/bin:/x",
        "HOSTNAME": "other",
        "container": "mine",
        "TERM": "dumb",
        "x": "=",
        "weird name": "y\nz",
    }
    assert (
        box.run("sh", "-c", 'echo "$HOME $PATH $HOSTNAME $container $TERM $x"', environment=asked)
        == "/h /bin:/x other mine dumb =\n"
    )
    container = box.stay(environment={"A": "1"})
    again = execute(container, "sh", "-c", "echo $A $B $HOME", environment={"A": "2", "B": "3", "HOME": "/e"})
    assert again == "2 3 /e\n"
    terminal = box.stay(terminal=True)
    assert "TERM=xterm" in execute(terminal, "cat", "/proc/1/environ").split("\0")


@pytest.mark.parametrize("name", ["", "A=B", "a\0b", "="])
def test_environment_names_that_are_none(box, name: str) -> None:
    with pytest.raises(InvalidSpec):
        box.run("true", environment={name: "x"})
    with pytest.raises(InvalidSpec):
        box.run("true", environment={"A": "x\0y"})


def test_programs_are_searched_in_the_containers_own_path(box, own_rootfs: Path) -> None:
    (own_rootfs / "tool").mkdir()
    (own_rootfs / "tool/hello").write_text("#!/bin/sh\necho found\n")
    root = {"rootfs": str(own_rootfs)}
    with pytest.raises(LaunchFailed) as caught:
        box.run("hello", environment={"PATH": "/tool"}, **root)
    assert (caught.value.exit_code, caught.value.errno) == (126, 13)
    (own_rootfs / "tool/hello").chmod(0o755)
    assert box.run("hello", environment={"PATH": "/nosuch::relative:/tool"}, **root) == "found\n"
    for path in ("", ".", "tool", "/nosuch"):
        with pytest.raises(LaunchFailed) as caught:
            box.run("hello", environment={"PATH": path}, working_directory="/tool", **root)
        assert caught.value.exit_code == 127
    (own_rootfs / "broken").write_text("#!/no/such/interpreter\n")
    (own_rootfs / "broken").chmod(0o755)
    with pytest.raises(LaunchFailed) as caught:
        box.run("/broken", **root)
    assert caught.value.exit_code == 127
    (own_rootfs / "binary").write_bytes(b"\x7fELF garbage")
    (own_rootfs / "binary").chmod(0o755)
    with pytest.raises(LaunchFailed) as caught:
        box.run("/binary", **root)
    assert (caught.value.exit_code, caught.value.errno) == (126, 8)


MISFITS = [
    ("directory", "/etc/passwd", "the target or a parent of it is a file where a directory is needed: Not a directory"),
    ("directory", "/etc/passwd/below", "the target or a parent of it is a file where a directory is needed"),
    ("file", "/etc", "the source is a file, but the target is a directory: Is a directory"),
]


@pytest.mark.parametrize(("what", "target", "message"), MISFITS)
def test_what_does_not_fit_where_it_is_to_be_mounted(box, tmp_path: Path, what: str, target: str, message: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(LaunchFailed) as caught:
        box.run("true", volumes=[f"{tmp_path}/{what}:{target}"])
    assert str(caught.value).startswith(f"mount {tmp_path}/{what} on {target}: {message}")
    assert caught.value.exit_code == 126
    assert box.engine.containers.list(all=True) == []


def test_a_file_system_in_memory_where_a_file_is(box) -> None:
    with pytest.raises(
        LaunchFailed, match=r"mount tmpfs on /etc/passwd .* is a file where a directory is needed: Not a directory"
    ):
        box.run("true", tmpfs=["/etc/passwd"])


def test_no_mount_is_cloned_before_it_has_a_place(tmp_path: Path, engine, busybox: str) -> None:
    """Before Linux 6.15 open_tree(2) does not clone what fsmount(2) made and nobody has mounted yet."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fsmount,open_tree,move_mount,fcntl,close"]
    words = ["run", "--rm", "--tmpfs", "/t", "--device", "/dev/full", "--rootfs", f"{busybox}:O", "true"]
    done = subprocess.run([*strace, *Program(engine.layout.root).words, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    made: dict[tuple[str, str], tuple[str, str]] = {}  # the descriptor that a mount was made as, by process and number
    placed: set[tuple[str, str]] = set()
    cloned = 0
    for line in trace.read_text().splitlines():
        found = re.match(r"(\d+) +(\w+)\((-?\d+|AT_FDCWD)\b(.*)\) += (\d+)", line)
        if found is None:
            continue
        pid, call, number, rest, result = found.groups()
        if call == "fsmount":
            made[pid, result] = (pid, result)
            placed.discard((pid, result))
        elif call == "fcntl" and "F_DUPFD" in rest and (pid, number) in made:
            made[pid, result] = made[pid, number]
        elif call == "close":
            made.pop((pid, number), None)
        elif call == "move_mount" and (pid, number) in made:
            placed.add(made[pid, number])
        elif call == "open_tree" and (pid, number) in made:
            cloned += 1
            assert made[pid, number] in placed, line
    assert cloned, "several directories are hidden by one mount"
