from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.cgroups import tree
from pypod.kernel.cgroups.detect import Hierarchies, Hierarchy, detect, parse
from pypod.kernel.cgroups.driver import container_path, driver_for
from pypod.kernel.cgroups.v1 import LegacyDriver
from pypod.kernel.cgroups.v2 import UnifiedDriver

V2_SYSTEMD = """\
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
28 23 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""
V2_SYSTEMD_OWN = "0::/user.slice/user-1000.slice/session-2.scope\n"

V1 = """\
24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
25 23 0:23 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
27 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct
28 25 0:26 / /sys/fs/cgroup/freezer rw shared:12 - cgroup cgroup rw,freezer
29 25 0:27 / /sys/fs/cgroup/cpuset rw shared:13 - cgroup cgroup rw,cpuset,clone_children,xattr
"""
V1_OWN = """\
12:cpuset:/
9:freezer:/
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-0.slice/session-1.scope
"""

HYBRID = V1 + "30 25 0:28 / /sys/fs/cgroup/unified rw shared:14 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID_OWN = V1_OWN + "0::/user.slice/user-0.slice/session-1.scope\n"


def test_v2_systemd() -> None:
    found = parse(V2_SYSTEMD, V2_SYSTEMD_OWN)
    assert found == Hierarchies(Hierarchy((), "/sys/fs/cgroup", "/user.slice/user-1000.slice/session-2.scope"))
    assert found.mode == "unified"


def test_v1_with_controllers_mounted_together() -> None:
    found = parse(V1, V1_OWN)
    assert found.unified is None
    assert found.legacy == (
        Hierarchy(("name=systemd",), "/sys/fs/cgroup/systemd", "/user.slice/user-0.slice/session-1.scope"),
        Hierarchy(("cpu", "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct", "/user.slice"),
        Hierarchy(("freezer",), "/sys/fs/cgroup/freezer", "/"),
        Hierarchy(("cpuset",), "/sys/fs/cgroup/cpuset", "/"),
    )
    assert found.mode == "legacy"


def test_hybrid() -> None:
    found = parse(HYBRID, HYBRID_OWN)
    assert found.unified == Hierarchy((), "/sys/fs/cgroup/unified", "/user.slice/user-0.slice/session-1.scope")
    assert found.legacy == parse(V1, V1_OWN).legacy
    assert found.mode == "hybrid"


def test_a_named_tree_beside_v2_is_not_hybrid() -> None:
    named = "26 25 0:24 / /sys/fs/cgroup/openrc rw - cgroup openrc rw,name=openrc\n"
    assert parse(V2_SYSTEMD + named, "1:name=openrc:/\n0::/\n").mode == "unified"
    assert parse(named, "1:name=openrc:/\n").mode == "legacy"


def test_nothing_is_mounted() -> None:
    found = parse(V2_SYSTEMD.splitlines()[0], "0::/\n")
    assert (found, found.mode) == (Hierarchies(None), "none")
    with pytest.raises(Unsupported) as caught:
        driver_for(found)
    assert caught.value.feature == "cgroups"


def test_the_mount_that_shows_the_whole_tree_is_preferred() -> None:
    bind = "90 24 0:25 /docker/abc /var/lib/x/cgroup rw - cgroup2 cgroup2 rw\n"
    for text in (bind + V2_SYSTEMD, V2_SYSTEMD + bind):
        unified = parse(text, V2_SYSTEMD_OWN).unified
        assert unified is not None
        assert unified.directory == "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("own", "below"),
    [
        ("/docker/abc", "/"),
        ("/docker/abc/x/y", "/x/y"),
        ("/docker/abcd", ""),
        ("/", ""),
        ("/../other", ""),
    ],
)
def test_in_a_container_that_sees_a_part_of_the_tree(own: str, below: str) -> None:
    unified = parse("90 24 0:25 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", f"0::{own}\n").unified
    assert unified == Hierarchy((), "/sys/fs/cgroup", below)


def test_a_mount_hidden_by_a_later_one_is_not_used() -> None:
    hiding = "91 25 0:99 / /sys/fs/cgroup/freezer rw - tmpfs tmpfs rw\n"
    names = [name for hierarchy in parse(V1 + hiding, V1_OWN).legacy for name in hierarchy.controllers]
    assert names == ["name=systemd", "cpu", "cpuacct", "cpuset"]


def test_escapes_in_mount_points() -> None:
    line = "90 24 0:25 / /mnt/a\\040b\\134c rw - cgroup2 cgroup2 rw\n"
    assert parse(line, "0::/\n").unified == Hierarchy((), "/mnt/a b\\c", "/")


def test_detect_reads_a_given_proc(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(HYBRID)
    (tmp_path / "self/cgroup").write_text(HYBRID_OWN)
    assert detect(str(tmp_path)) == parse(HYBRID, HYBRID_OWN)
    assert detect(str(tmp_path / "absent")) == Hierarchies(None)


def test_detect_agrees_with_the_file_system_here() -> None:
    found = detect()
    if found.mode == "none":
        pytest.skip("no cgroup hierarchy is mounted")
    if found.unified is not None:
        assert os.path.exists(f"{found.unified.directory}/cgroup.controllers")
    for hierarchy in found.legacy:
        assert os.path.exists(f"{hierarchy.directory}/tasks")


def test_the_driver_follows_the_mode() -> None:
    unified, legacy, hybrid = (
        driver_for(parse(*texts)) for texts in ((V2_SYSTEMD, V2_SYSTEMD_OWN), (V1, V1_OWN), (HYBRID, HYBRID_OWN))
    )
    assert isinstance(unified, UnifiedDriver)
    assert isinstance(legacy, LegacyDriver)
    assert isinstance(hybrid, LegacyDriver)
    assert [driver.mode for driver in (unified, legacy, hybrid)] == ["unified", "legacy", "hybrid"]
    assert [driver.clones_into_cgroup for driver in (unified, legacy, hybrid)] == [True, False, True]
    assert legacy.controllers() == hybrid.controllers() == ("cpu", "cpuacct", "cpuset", "freezer")
    assert [driver.tracking_directory("/p/c") for driver in (unified, legacy, hybrid)] == [
        "/sys/fs/cgroup/p/c",
        "/sys/fs/cgroup/freezer/p/c",
        "/sys/fs/cgroup/unified/p/c",
    ]


def test_join_files_name_each_tree_once() -> None:
    asked = ("cpu", "cpuacct", "freezer")
    assert driver_for(parse(V2_SYSTEMD, V2_SYSTEMD_OWN)).join_files("/p/c", ("cpu",)) == ()
    assert driver_for(parse(V1, V1_OWN)).join_files("/p/c") == ("/sys/fs/cgroup/freezer/p/c/tasks",)
    assert driver_for(parse(V1, V1_OWN)).join_files("/p/c", asked) == (
        "/sys/fs/cgroup/freezer/p/c/tasks",
        "/sys/fs/cgroup/cpu,cpuacct/p/c/tasks",
    )
    assert driver_for(parse(HYBRID, HYBRID_OWN)).join_files("/p/c") == ()
    assert driver_for(parse(HYBRID, HYBRID_OWN)).join_files("/p/c", asked) == (
        "/sys/fs/cgroup/cpu,cpuacct/p/c/tasks",
        "/sys/fs/cgroup/freezer/p/c/tasks",
    )


def test_without_a_freezer_the_first_tree_tracks() -> None:
    text = "\n".join(line for line in V1.splitlines() if "freezer" not in line)
    driver = driver_for(parse(text, V1_OWN))
    assert driver.tracking_directory("/p") == "/sys/fs/cgroup/cpu,cpuacct/p"
    assert not driver.is_frozen("/p")
    with pytest.raises(Unsupported) as caught:
        driver.freeze("/p", True)
    assert caught.value.feature == "freezer"


def test_a_controller_the_host_lacks_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    freezer = tmp_path / "freezer"
    freezer.mkdir()
    for driver in (
        driver_for(Hierarchies(Hierarchy((), str(tmp_path), "/"))),
        driver_for(Hierarchies(None, (Hierarchy(("freezer",), str(freezer), "/"),))),
    ):
        with pytest.raises(Unsupported, match="cgroup controller memory is not available") as caught:
            driver.create("/p", ("memory",))
        assert caught.value.feature == "memory"
    assert sorted(os.listdir(tmp_path)) == ["cgroup.controllers", "freezer"]
    assert os.listdir(freezer) == []


def test_v2_hands_controllers_down_to_every_group_above(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "pypod/pod").mkdir(parents=True)
    for directory, enabled in ((tmp_path, "cpu\n"), (tmp_path / "pypod", "cpu pids\n"), (tmp_path / "pypod/pod", "\n")):
        (directory / "cgroup.subtree_control").write_text(enabled)
    driver_for(Hierarchies(Hierarchy((), str(tmp_path), "/"))).create("/pypod/pod/ctr", ("pids", "cpu"))
    assert (tmp_path / "pypod/pod/ctr").is_dir()
    written = [
        (directory / "cgroup.subtree_control").read_text().strip()
        for directory in (tmp_path, tmp_path / "pypod", tmp_path / "pypod/pod")
    ]
    # A regular file keeps the tail of longer content: "+pids" over "cpu", nothing written where both are enabled.
    assert written == ["+pids", "cpu pids", "+cpu +pids"]


@pytest.mark.parametrize("path", ["/", "", "p", "/..", "/p/../..", "/p/", "//p", "/p/./c", "../p"])
def test_the_root_and_what_is_above_is_never_touched(path: str, tmp_path: Path) -> None:
    # A directory of the test's own: on the real tree, a driver without the check would kill the whole machine.
    root = str(tmp_path / "a/b")
    for driver in (
        driver_for(Hierarchies(Hierarchy((), root, "/"))),
        driver_for(Hierarchies(None, (Hierarchy(("freezer",), root, "/"),))),
    ):
        for operation in (
            driver.create, driver.tracking_directory, driver.join_files, driver.processes, driver.is_empty,
            driver.kill, driver.is_frozen, driver.remove, lambda path, driver=driver: driver.freeze(path, True),
        ):  # fmt: skip
            with pytest.raises(InvalidSpec, match="is not the path of a cgroup"):
                operation(path)


def test_v2_hands_nothing_down_for_a_path_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    (tmp_path / "cgroup.subtree_control").write_text("\n")
    with pytest.raises(InvalidSpec):
        driver_for(Hierarchies(Hierarchy((), str(tmp_path), "/"))).create("/p/..", ("cpu",))
    assert sorted(os.listdir(tmp_path)) == ["cgroup.controllers", "cgroup.subtree_control"]
    assert (tmp_path / "cgroup.subtree_control").read_text() == "\n"


def test_processes_leaves_out_what_has_no_pid_here(tmp_path: Path) -> None:
    (tmp_path / "p/c").mkdir(parents=True)
    (tmp_path / "p/cgroup.procs").write_text("0\n30\n")
    (tmp_path / "p/c/cgroup.procs").write_text("0\n5\n30\n")
    assert tree.processes(str(tmp_path / "p")) == [5, 30]


@pytest.mark.parametrize(
    ("parent", "path"),
    [
        ("", "/pypod/POD/CTR"),
        ("/pypod", "/pypod/POD/CTR"),
        ("jobs", "/jobs/POD/CTR"),
        ("/a//b/./c/", "/a/b/c/POD/CTR"),
        ("/", "/POD/CTR"),
        ("a..b", "/a..b/POD/CTR"),
        ("/machine.slice/x", "/machine.slice/x/POD/CTR"),
    ],
)
def test_container_path(parent: str, path: str) -> None:
    assert container_path(parent, "POD", "CTR") == path
    tree.locate("/sys/fs/cgroup", path)


def test_container_path_without_a_pod() -> None:
    assert container_path("", "", "CTR") == "/pypod/CTR"


@pytest.mark.parametrize(
    "parent", ["..", "/..", "/a/../b", "../../x", "a\nb", "a\0b", "x" * 256, "user.slice", "/a.slice/"]
)
def test_a_bad_cgroup_parent_is_named(parent: str) -> None:
    with pytest.raises(InvalidSpec, match="--cgroup-parent") as caught:
        container_path(parent, "POD", "CTR")
    assert caught.value.argument == "--cgroup-parent"
