"""One suite for every driver that this host can run: a driver's promises, checked through the file system and ps."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from pypod.errors import DeadlineExceeded, InUse, InvalidSpec, Unsupported
from pypod.kernel.cgroups import tree, v2
from pypod.kernel.cgroups.detect import Hierarchies, detect
from pypod.kernel.cgroups.driver import Driver, driver_for
from pypod.kernel.proc import Proc

HERE = detect()
_BY_NAME = {name: hierarchy for hierarchy in HERE.legacy for name in hierarchy.controllers}

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="root: making cgroups"),
    pytest.mark.skipif(HERE.mode == "none", reason="no cgroup hierarchy is mounted"),
]


def without(*names: str) -> Hierarchies:
    """Return the hierarchies of a host with only v1 trees, without those of some controllers."""
    return Hierarchies(
        None, tuple(hierarchy for hierarchy in HERE.legacy if not set(names) & set(hierarchy.controllers))
    )


# The v2 tree alone is enough for the unified driver: it needs no controller.
LAYOUTS: dict[str, Hierarchies | None] = {
    "unified": Hierarchies(HERE.unified) if HERE.unified else None,
    "unified-before-cgroup.kill": Hierarchies(HERE.unified) if HERE.unified else None,
    "hybrid": HERE if HERE.mode == "hybrid" else None,
    "legacy": without() if "freezer" in _BY_NAME else None,
    "legacy-no-freezer": without("freezer", "memory") if "pids" in _BY_NAME else None,
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Hierarchies:
    found = LAYOUTS[request.param]
    if found is None:
        pytest.skip(f"cgroups: this host is {HERE.mode}")
    if request.param == "unified-before-cgroup.kill":
        monkeypatch.setattr(v2, "KILL_FILE", "cgroup.kill-of-later-kernels")
    return found


@pytest.fixture
def driver(layout: Hierarchies) -> Driver:
    return driver_for(layout)


@pytest.fixture
def freezing(driver: Driver) -> Driver:
    if driver.mode == "legacy" and "freezer" not in driver.controllers():
        pytest.skip("cgroups: no freezer in this layout")
    return driver


@pytest.fixture
def group() -> Iterator[str]:
    """Yield the path of a group that does not exist yet; remove everything there afterwards, from every tree."""
    path = f"/pypod-test-{uuid.uuid4().hex[:12]}"
    yield path
    for driver in [driver_for(layout) for layout in LAYOUTS.values() if layout is not None]:
        driver.kill(path)
        assert driver.remove(path)
    for hierarchy in (HERE.unified, *HERE.legacy):
        assert hierarchy is None or not os.path.exists(hierarchy.directory + path)


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(driver: Driver, group: str) -> Iterator[Start]:
    """Return a function that starts a program that joins a group as the launcher does: by writing "0" to each file."""
    children: list[subprocess.Popen[bytes]] = []

    def start(path: str, script: str = "read forever", controllers: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        files = driver.join_files(path, controllers)
        if driver.clones_into_cgroup:
            files = (f"{driver.tracking_directory(path)}/cgroup.procs", *files)
        join = 'for file; do echo 0 > "$file" || exit 9; done; echo joined; '
        child = subprocess.Popen(
            ["/bin/sh", "-c", join + script, "sh", *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"joined\n"
        return child

    yield start
    driver.kill(group)
    for child in children:
        child.kill()
        child.communicate(timeout=10)


def eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    return tree.wait_until(condition, timeout_s)


def state(pid: int) -> str:
    stat = Proc().stat(pid)
    return stat.state if stat else ""


def test_create_makes_the_group_and_its_parents_and_may_be_repeated(driver: Driver, group: str) -> None:
    directory = driver.tracking_directory(f"{group}/pod/ctr")
    assert not os.path.exists(directory)
    driver.create(f"{group}/pod/ctr")
    driver.create(f"{group}/pod/ctr")
    assert os.path.exists(f"{directory}/cgroup.procs")
    assert driver.is_empty(f"{group}/pod/ctr")
    assert driver.processes(group) == []


def test_create_touches_no_tree_that_was_not_asked_for(driver: Driver, group: str) -> None:
    driver.create(group)
    tracking = driver.tracking_directory(group)
    present = [
        hierarchy.directory
        for hierarchy in (HERE.unified, *HERE.legacy)
        if hierarchy and os.path.exists(hierarchy.directory + group)
    ]
    assert [directory + group for directory in present] == [tracking]


def test_a_process_joins_every_tree_asked_for_and_no_other(driver: Driver, group: str, start: Start) -> None:
    controllers = tuple(name for name in ("pids", "cpu", "cpuset") if name in driver.controllers())
    path = f"{group}/pod/ctr"
    driver.create(path, controllers)
    child = start(path, controllers=controllers)
    member_of = Proc().cgroups(child.pid)
    assert member_of is not None
    joined = {name for name, where in member_of.items() if where == path}
    tracking = {""} if driver.clones_into_cgroup else {name for name in joined if name in ("freezer", "cpu", "cpuacct")}
    assert tracking
    assert joined == ({""} if driver.mode == "unified" else {*controllers, *tracking})
    assert driver.processes(path) == [child.pid]


def test_processes_are_those_of_the_group_and_below(driver: Driver, group: str, start: Start) -> None:
    driver.create(f"{group}/a")
    driver.create(f"{group}/b/c")
    first, second = start(f"{group}/a"), start(f"{group}/b/c")
    assert driver.processes(group) == sorted((first.pid, second.pid))
    assert driver.processes(f"{group}/b") == [second.pid]
    assert not driver.is_empty(group)
    assert not driver.is_empty(f"{group}/b")
    second.communicate(b"\n")
    assert driver.processes(f"{group}/b") == []
    assert eventually(lambda: driver.is_empty(f"{group}/b"))
    assert not driver.is_empty(group)


def test_a_zombie_does_not_count(driver: Driver, group: str, start: Start) -> None:
    driver.create(group)
    child = start(group)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert eventually(lambda: driver.is_empty(group))
    assert driver.processes(group) == []
    assert driver.remove(group)


def test_kill_ends_everything_below_and_nothing_beside(driver: Driver, group: str, start: Start) -> None:
    for name in ("pod/a", "pod/b/c", "beside"):
        driver.create(f"{group}/{name}")
    victims = [start(f"{group}/pod/{name}", "trap '' TERM INT HUP; read forever") for name in ("a", "b/c")]
    bystander = start(f"{group}/beside")
    assert driver.kill(f"{group}/pod")
    assert driver.is_empty(f"{group}/pod")
    assert [child.wait(5) for child in victims] == [-9, -9]
    assert bystander.poll() is None
    assert driver.kill(f"{group}/pod")


def test_kill_outruns_a_program_that_forks_all_the_time(freezing: Driver, group: str, start: Start) -> None:
    freezing.create(group)
    # Each process starts the next one and ends: a pid read from the group is already outdated.
    child = start(group, "hop() { ( hop ) & exit 0; }; hop")
    child.wait(5)
    assert not freezing.is_empty(group)
    assert freezing.kill(group)
    assert freezing.is_empty(group)
    assert freezing.processes(group) == []


def test_kill_reaches_frozen_processes(freezing: Driver, group: str, start: Start) -> None:
    freezing.create(f"{group}/ctr")
    child = start(f"{group}/ctr")
    freezing.freeze(f"{group}/ctr", True)
    assert freezing.kill(group)
    assert child.wait(5) == -9


def test_kill_without_cgroup_kill_holds_the_members_still(
    freezing: Driver, group: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    if freezing.mode != "legacy" and v2.KILL_FILE == "cgroup.kill":
        pytest.skip("cgroups: the kernel does it all at once")
    signal_members, frozen = tree._signal_members, []

    def watched(directory: str) -> None:
        frozen.append(freezing.is_frozen(group))
        signal_members(directory)

    monkeypatch.setattr(tree, "_signal_members", watched)
    monkeypatch.setattr(tree, "HOLD_S", 10)  # after which it continues without freezing
    freezing.create(group)
    start(group)
    assert freezing.kill(group)
    assert frozen == [True]
    assert not freezing.is_frozen(group)


def test_kill_does_not_kill_the_caller(layout: Hierarchies, driver: Driver, group: str, start: Start) -> None:
    driver.create(group)
    other = start(group)
    code = (
        "import os\n"
        "from pypod.kernel.cgroups.detect import Hierarchies, Hierarchy\n"
        "from pypod.kernel.cgroups.driver import driver_for\n"
        f"driver, path = driver_for({layout!r}), {group!r}\n"
        "assert os.getpid() in driver.processes(path)\n"
        "print(driver.kill(path), driver.processes(path) == [os.getpid()])\n"
    )
    caller = start(group, f"exec {sys.executable} -S -c {shlex.quote(code)}")
    assert caller.communicate(timeout=10)[0] == b"True True\n"
    assert caller.returncode == 0
    assert other.wait(5) == -9


def test_kill_without_waiting_has_sent_the_signal(driver: Driver, group: str, start: Start) -> None:
    driver.create(group)
    child = start(group)
    driver.kill(group, timeout_s=0)
    assert child.wait(5) == -9


def test_freeze_stops_and_thaw_goes_on(freezing: Driver, group: str, start: Start) -> None:
    freezing.create(f"{group}/ctr")
    child = start(f"{group}/ctr", "while read line; do echo $line; done")
    assert child.stdin is not None
    assert child.stdout is not None
    assert not freezing.is_frozen(f"{group}/ctr")
    freezing.freeze(group, True)
    assert freezing.is_frozen(group)
    assert freezing.is_frozen(f"{group}/ctr")
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    os.set_blocking(child.stdout.fileno(), False)
    time.sleep(0.05)
    assert child.stdout.read() is None
    freezing.freeze(group, False)
    assert not freezing.is_frozen(group)
    os.set_blocking(child.stdout.fileno(), True)
    assert child.stdout.readline() == b"hello\n"


def test_thaw_below_a_frozen_group_is_not_believed(freezing: Driver, group: str, start: Start) -> None:
    freezing.create(f"{group}/ctr")
    start(f"{group}/ctr")
    freezing.freeze(group, True)
    with pytest.raises(DeadlineExceeded, match="thawing cgroup"):
        freezing.freeze(f"{group}/ctr", False, timeout_s=0.02)
    assert freezing.is_frozen(f"{group}/ctr")


def test_freeze_of_what_is_not_there(freezing: Driver, group: str) -> None:
    with pytest.raises(FileNotFoundError):
        freezing.freeze(group, True)
    assert not freezing.is_frozen(group)


def test_freeze_refuses_to_stop_the_caller(
    freezing: Driver, group: str, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    freezing.create(group)
    child = start(group)
    # The driver takes the child for the caller: freezing this process itself would stop the test run on failure.
    monkeypatch.setattr("pypod.kernel.cgroups.tree.os.getpid", lambda: child.pid)
    with pytest.raises(InUse):
        freezing.freeze(group, True)
    assert not freezing.is_frozen(group)


def test_a_group_without_a_freezer_says_so(group: str) -> None:
    layout = LAYOUTS["legacy-no-freezer"]
    if layout is None:
        pytest.skip(f"cgroups: this host is {HERE.mode}")
    driver = driver_for(layout)
    driver.create(group)
    with pytest.raises(Unsupported) as caught:
        driver.freeze(group, True)
    assert caught.value.feature == "freezer"
    assert driver.remove(group)


def test_remove_takes_everything_below_from_every_tree(driver: Driver, group: str) -> None:
    controllers = tuple(name for name in ("pids", "cpu", "cpuset") if name in driver.controllers())
    for name in ("a/b/c", "a/d", "e"):
        driver.create(f"{group}/{name}", controllers)
    # At once: the deepest groups are removed first, so that one pass is enough.
    assert driver.remove(f"{group}/a", timeout_s=0)
    assert not os.path.exists(driver.tracking_directory(f"{group}/a"))
    assert os.path.exists(driver.tracking_directory(f"{group}/e"))
    assert driver.remove(group)
    for hierarchy in (HERE.unified, *HERE.legacy):
        assert hierarchy is None or not os.path.exists(hierarchy.directory + group)


def test_what_is_not_there_is_empty_killed_and_removed(driver: Driver, group: str) -> None:
    assert driver.processes(group) == []
    assert driver.is_empty(group)
    assert driver.kill(group)
    assert driver.remove(group)
    assert driver.remove(group)


def test_remove_of_a_group_in_use_gives_up_in_time_and_harms_nobody(driver: Driver, group: str, start: Start) -> None:
    driver.create(group)
    child = start(group)
    begin = time.monotonic()
    assert not driver.remove(group, timeout_s=0.05)
    assert 0.05 <= time.monotonic() - begin < 1
    assert child.poll() is None
    assert driver.processes(group) == [child.pid]


def test_remove_waits_for_what_is_about_to_end(driver: Driver, group: str, start: Start) -> None:
    driver.create(group)
    child = start(group)
    timer = threading.Timer(0.05, child.kill)
    timer.start()
    assert driver.remove(group, timeout_s=5)
    timer.join()


def test_create_survives_the_removal_of_a_parent_meanwhile(driver: Driver, group: str) -> None:
    driver.create(group)
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            driver.remove(f"{group}/pod", timeout_s=0)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(100):
            driver.create(f"{group}/pod/ctr")
    finally:
        stop.set()
        thread.join()


def test_processes_in_threaded_groups_are_found(driver: Driver, group: str, start: Start) -> None:
    if not driver.clones_into_cgroup:
        pytest.skip("cgroups: threaded groups are of the v2 tree")
    driver.create(f"{group}/ctr/threads")
    directory = driver.tracking_directory(f"{group}/ctr")
    child = start(f"{group}/ctr")
    assert tree.write(f"{directory}/threads/cgroup.type", "threaded")
    assert tree.write(f"{directory}/threads/cgroup.threads", str(child.pid))
    with pytest.raises(OSError, match="not supported"):
        tree.read(f"{directory}/threads/cgroup.procs")
    assert driver.processes(group) == [child.pid]
    assert driver.kill(f"{group}/ctr")
    assert child.wait(5) == -9


def test_v2_hands_controllers_down(group: str) -> None:
    if HERE.unified is None or not (names := driver_for(Hierarchies(HERE.unified)).controllers()):
        pytest.skip("cgroups: there is no v2 tree with controllers")
    driver, root, name = driver_for(Hierarchies(HERE.unified)), HERE.unified.directory, names[0]
    was_on = name in tree.read(f"{root}/cgroup.subtree_control").split()
    try:
        driver.create(f"{group}/pod/ctr", (name,))
        driver.create(f"{group}/pod/ctr", (name,))
        below = driver.tracking_directory(f"{group}/pod/ctr")
        assert tree.read(f"{below}/cgroup.controllers").split() == [name]
        assert tree.read(f"{below}/cgroup.subtree_control").split() == []
    finally:
        assert driver.remove(group)
        if not was_on:
            tree.write(f"{root}/cgroup.subtree_control", f"-{name}")
    assert (name in tree.read(f"{root}/cgroup.subtree_control").split()) == was_on


def test_the_driver_of_this_host_has_its_mode() -> None:
    assert driver_for(HERE).mode == HERE.mode


# resources as in OCI; (controller, file, content) of v1, of v2
ASKED = [
    (
        {"memory": {"limit": 32 << 20}},
        ("memory", "memory.limit_in_bytes", str(32 << 20)),
        ("memory", "memory.max", str(32 << 20)),
    ),
    ({"pids": {"limit": 50}}, ("pids", "pids.max", "50"), ("pids", "pids.max", "50")),
    ({"pids": {"limit": -1}}, ("pids", "pids.max", "max"), ("pids", "pids.max", "max")),
    (
        {"cpu": {"quota": 50_000, "period": 100_000}},
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpu", "cpu.max", "50000 100000"),
    ),
    ({"cpu": {"shares": 512}}, ("cpu", "cpu.shares", "512"), ("cpu", "cpu.weight", "20")),
    ({"cpu": {"cpus": "0"}}, ("cpuset", "cpuset.cpus", "0"), ("cpuset", "cpuset.cpus", "0")),
]


def row_of(driver: Driver, legacy: tuple[str, str, str], unified: tuple[str, str, str]) -> tuple[str, str, str]:
    row = unified if driver.mode == "unified" else legacy
    if row[0] not in driver.controllers():
        pytest.skip(f"cgroups: no controller {row[0]} in this layout")
    return row


def content(driver: Driver, path: str, row: tuple[str, str, str]) -> str:
    with open(f"{driver.directory(path, row[0])}/{row[1]}") as file:
        return file.read().strip()


@pytest.mark.parametrize(("resources", "legacy", "unified"), ASKED)
def test_what_is_asked_for_is_what_the_kernel_has(
    driver: Driver,
    group: str,
    start: Start,
    resources: dict[str, object],
    legacy: tuple[str, str, str],
    unified: tuple[str, str, str],
) -> None:
    row = row_of(driver, legacy, unified)
    settings = driver.settings(resources)
    controllers = tuple({setting.controller for setting in settings})
    driver.create(group, controllers)
    for setting in settings:
        driver.apply(group, setting)
    assert content(driver, group, row) == row[2]
    child = start(group, controllers=controllers)
    assert driver.processes(group) == [child.pid]


@pytest.mark.parametrize(("resources", "legacy", "unified"), ASKED)
def test_a_group_in_use_is_limited_with_its_processes(
    driver: Driver,
    group: str,
    start: Start,
    resources: dict[str, object],
    legacy: tuple[str, str, str],
    unified: tuple[str, str, str],
) -> None:
    """On v1 the group may not exist in that controller's tree yet; the processes follow, even while they fork."""
    row = row_of(driver, legacy, unified)
    driver.create(group)
    start(group, "while :; do sh -c :; done")
    for setting in driver.settings(resources, path=group):
        driver.apply(group, setting)
    assert content(driver, group, row) == row[2]
    with open(f"{driver.directory(group, row[0])}/cgroup.procs") as file:
        assert set(map(int, file.read().split())) & set(driver.processes(group))


def test_a_new_period_keeps_the_quota(driver: Driver, group: str) -> None:
    row = row_of(driver, ("cpu", "cpu.cfs_quota_us", "20000"), ("cpu", "cpu.max", "20000 50000"))
    driver.create(group, ("cpu",))
    for cpu in ({"quota": 20_000}, {"period": 50_000}):
        for setting in driver.settings({"cpu": cpu}, path=group):
            driver.apply(group, setting)
    assert content(driver, group, row) == row[2]


def test_a_value_that_the_kernel_refuses_names_the_flag(driver: Driver, group: str) -> None:
    row_of(driver, ("cpuset", "", ""), ("cpuset", "", ""))
    driver.create(group, ("cpuset",))
    (setting,) = driver.settings({"cpu": {"cpus": "4095"}})
    with pytest.raises(InvalidSpec, match=r"--cpuset-cpus: write '4095' into .*cpuset\.cpus") as caught:
        driver.apply(group, setting)
    assert caught.value.argument == "--cpuset-cpus"


def test_a_controller_that_is_not_there_is_an_error_unless_nobody_asked(driver: Driver) -> None:
    missing = next((name for name in ("memory", "pids", "cpuset") if name not in driver.controllers()), "")
    if not missing:
        pytest.skip("cgroups: this layout has all controllers")
    group = {"memory": {"memory": {"limit": 1 << 30}}, "pids": {"pids": {"limit": 5}}, "cpuset": {"cpu": {"cpus": "0"}}}
    with pytest.raises(Unsupported, match=f"controller {missing} is not available"):
        driver.settings(group[missing])
    if missing == "pids":
        assert driver.settings(group[missing], {"--pids-limit"}) == ()


def test_usage_is_what_was_used(driver: Driver, group: str, start: Start) -> None:
    accounted = driver.accounted
    driver.create(group, (), accounted)
    before = driver.usage(group)
    begun = time.monotonic_ns()
    # a string of 16 MB, and half a second of work
    script = (
        "x=$(head -c 16000000 /dev/zero | tr '\\0' x); "
        "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; echo done; read x"
    )
    child = start(group, script, controllers=accounted)
    assert child.stdout is not None
    assert child.stdout.readline() == b"done\n"
    used, spent = driver.usage(group), time.monotonic_ns() - begun
    assert used.pids == 1
    if used.cpu_ns is not None:
        assert 0 < used.cpu_ns - (before.cpu_ns or 0) <= 4 * spent
        assert used.system_ns is not None
        assert 0 <= used.system_ns <= used.cpu_ns + 20_000_000
    if "memory" in accounted:
        assert used.memory_bytes is not None
        assert 16_000_000 < used.memory_bytes < 200_000_000
        assert (used.memory_limit_bytes, driver.memory_limit(group)) == (None, None)


def test_usage_of_what_is_not_there_is_nothing(driver: Driver, group: str) -> None:
    used = driver.usage(group)
    assert (used.pids, used.memory_bytes, used.memory_limit_bytes) == (0, None, None)


def test_kills_for_want_of_memory_are_counted(driver: Driver, group: str, start: Start) -> None:
    row_of(driver, ("memory", "", ""), ("memory", "", ""))
    resources = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    driver.create(group, ("memory",))
    for setting in driver.settings(resources, {"--memory-swap"}):
        driver.apply(group, setting)
    assert driver.memory_limit(group) == 16 << 20
    counted = driver.oom_file(group)

    def killed() -> int:
        with open(counted) as file:
            return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))

    assert killed() == 0
    child = start(group, "exec python3 -c 'b\"x\" * (64 << 20)'", controllers=("memory",))
    assert child.wait(20) == -9
    assert killed() == 1
