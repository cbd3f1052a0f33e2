"""Capability marks, and the leak check around every test that touches the kernel."""

from __future__ import annotations

import ctypes
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod.kernel.abi import CLONE_NEWNET
from pypod.kernel.netlink import Channel, message, number
from pypod.kernel.syscalls import setns
from tests import users

pytest_plugins = ["pytester"]

os.environ["PYPOD_NETWORK"] = "none"  # leaves the machine's network alone; tests of networks name theirs
# a shell without job control starts background processes with SIGINT ignored, and the tests' children would inherit it
signal.signal(signal.SIGINT, signal.default_int_handler)

CGROUP_TREES = ("/sys/fs/cgroup/unified/pypod", "/sys/fs/cgroup/pypod", "/sys/fs/cgroup/freezer/pypod")
SETTLE_S = 3.0
RTM_NEWLINK, IFF_UP = 16, 1  # linux/rtnetlink.h, linux/if.h


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long sweeps whole")
    parser.addoption("--as-user", action="store_true", help="run what an ordinary user can run (tests/as_user.txt)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--as-user"):
        kept = [item for item in items if _is_for_users(item.nodeid, full=config.getoption("--full"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    for item in items:
        if item.get_closest_marker("users") and (reason := users.missing()):
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("root") and os.geteuid() != 0 and not config.getoption("--as-user"):
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("not_in_chroot") and _in_chroot():
            item.add_marker(pytest.mark.skip(reason="a chroot: the kernel refuses user namespaces there"))


def for_users(*, full: bool) -> tuple[list[str], list[str]]:
    """Return the files and tests for an ordinary user, and the exceptions among them (tests/as_user.txt)."""
    text = (Path(__file__).parent / "as_user.txt").read_text()
    lines = [line.partition(" # ")[0].strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    wanted = [line.removeprefix("+ ") for line in lines if line[0] != "-" and (full or line[0] != "+")]
    return wanted, [line.removeprefix("- ") for line in lines if line[0] == "-"]


def _is_for_users(node: str, *, full: bool) -> bool:
    wanted, left_out = (tuple(f"tests/{one}" for one in several) for several in for_users(full=full))
    return node.startswith(wanted) and not node.startswith(left_out)


def _in_chroot() -> bool:
    """Return whether / is not a mount point: then unshare(2) refuses CLONE_NEWUSER, and / cannot be made private."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return all(line.split()[4] != "/" for line in mounts)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End this user's session processes, which outlive the storage that a test created them for."""
    if config.getoption("--as-user") and os.geteuid() != 0:
        for line in _programs():
            number, _, name = line.partition(" ")
            if name == "pypod-session" and Path(f"/proc/{number}").stat().st_uid == os.geteuid():
                os.kill(int(number), signal.SIGTERM)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, fail on a skip whose reason is not on the list: a test that silently never runs tests nothing."""
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput"):
        return
    lines = (Path(__file__).parent / "expected_skips.txt").read_text().splitlines()
    expected = tuple(line for line in lines if line and not line.startswith("#"))
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])]
    unlisted = sorted({reason for reason in reasons if not reason.startswith(expected)})
    if unlisted:
        reporter.write_line(f"skips that tests/expected_skips.txt does not list: {unlisted}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Return whether the long form of sweeps was asked for."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def points(request: pytest.FixtureRequest, full: bool) -> Callable[[int, int], range]:
    """Return the function that chooses which of the points 1 to N a sweep takes.

    The long form takes all of them, the short form about as many as requested, evenly spread. Each run starts at a
    different point, so that in time all are taken; PYPOD_TEST_SEED, which a failure shows, repeats a run.
    """
    seed = os.environ.get("PYPOD_TEST_SEED") or secrets.token_hex(4)
    print(f"PYPOD_TEST_SEED={seed}")
    chance = random.Random(f"{seed} {request.node.nodeid}")  # noqa: S311  # not a secret

    def chosen(total: int, count: int) -> range:
        step = 1 if full else max(-(-total // count), 1)
        return range(chance.randint(1, min(step, total)), total + 1, step)

    return chosen


def _programs() -> set[str]:
    """Return our processes except zombies, known by the names that the C programs give themselves."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        state = stat[stat.rindex(")") + 2]
        if name.startswith("pypod-") and state != "Z":
            found.add(f"{entry.name} {name}")
    return found


def _cgroups() -> set[str]:
    found = {directory for tree in CGROUP_TREES for directory, _, _ in os.walk(tree) if directory != tree}
    return {directory for directory in found if not directory.endswith(("/monitors", "/unlimited"))}


def _mounts() -> set[str]:
    points = {line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    # podman's own mounts, and those that systemd gives services while they run
    return {point for point in points if not point.startswith(("/var/lib/containers", "/run/credentials/"))}


def _descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue
    return found


def _residue() -> dict[str, set[str]]:
    return {
        # a user's session process stays for the next pod; the fixture of the user or the engine ends it. The process
        # that removes idle bridges ends a second later (tests/attacks/host/test_58_subnets_of_two_storages.py)
        "processes": {one for one in _programs() if not one.endswith((" pypod-session", " pypod-sweep"))},
        "cgroups": _cgroups(),
        "mounts": _mounts(),
        "descriptors": _descriptors(),
        "children": set(_children()),
    }


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def leak_check(request: pytest.FixtureRequest):
    """Check that a test marked root leaves no process, cgroup, mount, descriptor or child behind."""
    able = os.geteuid() == 0 or request.config.getoption("--as-user")
    if request.node.get_closest_marker("root") is None or not able:
        yield
        return
    before = _residue()
    yield
    deadline = time.monotonic() + SETTLE_S
    while True:
        left = {kind: now - before[kind] for kind, now in _residue().items()}
        left = {kind: found for kind, found in left.items() if found}
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert not left, f"left behind: {left}"


@pytest.fixture
def own_network():
    """Put this thread and the processes it starts into a new network namespace with lo up."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
        with Channel() as channel:
            channel.send(message(RTM_NEWLINK, number(0) + number(1) + number(IFF_UP) * 2))
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


@pytest.fixture(scope="session")
def user_tree():
    """A copy of the repository that every user can read."""
    directory = Path(tempfile.mkdtemp(prefix="pypod-tests-"))
    directory.chmod(0o755)
    try:
        yield users.copy_tree(directory)
    finally:
        shutil.rmtree(directory)


def _made_user(name: str, tree: Path, *, subordinate: bool):
    name += secrets.token_hex(2)  # another test run may be in progress
    users.add(name, subordinate=subordinate)
    try:
        user = users.User(name, tree, users.python_for_users())
        yield user
        assert user.end() == {}, "processes of an ordinary user are left"
    finally:
        users.remove(name)


@pytest.fixture(scope="session")
def user(user_tree: Path):
    """An ordinary user with subordinate ids in /etc/subuid and /etc/subgid."""
    yield from _made_user("pypodtest", user_tree, subordinate=True)


@pytest.fixture(scope="session")
def bare_user(user_tree: Path):
    """An ordinary user without subordinate ids."""
    yield from _made_user("pypodbare", user_tree, subordinate=False)


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A root file system with a static busybox under the names of all its applets."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("busybox (Debian: busybox-static) is not installed")
    root = tmp_path_factory.mktemp("busybox-root")
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    root.chmod(0o755)
    shutil.copy(program, root / "bin" / "busybox")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nalice:x:1001:1001::/home/alice:/bin/sh\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nwww-data:x:33:\nalice:x:1001:\nextra:x:2000:alice\n")
    return str(root)


@pytest.fixture
def engine(tmp_path):
    """An engine with its own storage directory; its pods and containers are removed after the test."""
    from pypod import Engine
    from pypod.engine.session import session

    with Engine(str(tmp_path / "storage")) as made:
        yield made
        for pod in made.pods.list():
            pod.remove(force=True, timeout=0)
        for container in made.containers.list(all=True):
            container.remove(force=True, timeout=0)
        session.end(made)
