"""``pypod lsns`` beside lsns of util-linux, on the same machine while processes come and go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pypod import lsns
from pypod.errors import InvalidSpec
from pypod.kernel.abi import NS_GET_PARENT
from tests.facts import wait_until

COLUMNS = "NS,TYPE,PATH,NPROCS,PID,PPID,COMMAND,UID,USER,NETNSID,NSFS,PNS,ONS"
ATTEMPTS = 60
UNSHARED = (
    ("--net", "--uts", "--ipc"),
    ("--pid", "--fork", "--kill-child", "--mount-proc"),
    ("--mount", "--cgroup"),
    ("--time", "--fork", "--kill-child"),
    ("--user", "--map-root-user", "unshare", "--user", "--net"),
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.not_in_chroot,
    pytest.mark.skipif(
        shutil.which("lsns") is None or b"2.38" not in subprocess.check_output(["lsns", "--version"]),
        reason="lsns of util-linux 2.38 (Debian 12) is not installed: other versions show more",
    ),
]


def sleeps(pid: int) -> bool:
    """Return whether a process or its child has executed sleep, that is, has its namespaces."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return any(Path(f"/proc/{one}/comm").read_text() == "sleep\n" for one in (pid, *children))


@pytest.fixture(scope="module", autouse=True)
def infra_pid(engine_of_module, busybox) -> Iterator[int]:
    """Make namespaces of each kind, nested ones, and a pod; return the pid of the pod's infra."""
    pod = engine_of_module.pods.create("p", share="ipc,net,uts,pid,user")
    pod.run(["sleep", "1000"], rootfs=busybox)
    engine_of_module.containers.run(["sleep", "1000"], rootfs=busybox)
    with contextlib.ExitStack() as stack:
        for words in UNSHARED:
            process = subprocess.Popen(["unshare", *words, "sleep", "1000"])
            stack.callback(process.wait)
            stack.callback(process.kill)
            wait_until(lambda pid=process.pid: sleeps(pid))
        yield pod.infra.state().pid
    pod.remove(force=True, timeout=0)


@pytest.fixture(scope="module")
def engine_of_module(tmp_path_factory):
    from pypod import Engine

    with Engine(str(tmp_path_factory.mktemp("lsns") / "storage")) as engine:
        yield engine
        for container in engine.containers.list(all=True):
            container.remove(force=True, timeout=0)


@pytest.fixture(scope="module", autouse=True)
def comings_and_goings() -> Iterator[None]:
    """Short-lived processes, some in namespaces of their own."""
    stop = threading.Event()

    def spawn() -> None:
        while not stop.wait(0.3):
            subprocess.run(["unshare", "--uts", "true"], check=True)

    thread = threading.Thread(target=spawn)
    thread.start()
    yield
    stop.set()
    thread.join()


def output(*words: str) -> str:
    return subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    ).stdout


def ours(*words: str) -> str:
    return output(sys.executable, "-m", "pypod", "lsns", *words)


def theirs(*words: str) -> str:
    """Return the output of lsns, which fails when a process ends while it looks."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(subprocess.CalledProcessError):
            return output("lsns", *words)
    return output("lsns", *words)


def agree(words: tuple[str, ...], read: Callable[[str], object] = str) -> object:
    """Run lsns, ours, and lsns again until both runs of lsns agree with ours; return the common result."""
    for _ in range(ATTEMPTS):
        before, mine, after = read(theirs(*words)), read(ours(*words)), read(theirs(*words))
        if before == mine == after:
            return mine
    assert mine == after
    return mine


def quiet(text: str) -> list[str]:
    """Return the lines without kthreadd, pytest and lsns, whose namespaces also count short-lived processes."""
    return [line for line in text.splitlines() if not any(word in line for word in ("kthreadd", "pytest", "lsns"))]


@pytest.mark.parametrize(
    "words",
    [
        ("-o", COLUMNS),
        ("-l", "-o", COLUMNS),
        ("-l", "-n", "-o", "NS,TYPE"),
        ("-r", "-o", COLUMNS),
        ("-W", "-u", "-o", COLUMNS),
        ("-t", "net", "-t", "user", "-o", COLUMNS),
        ("-t", "net", "-o", "+PATH"),
        ("-T", "-o", "NS,TYPE,PID"),
        ("-Tparent", "-o", "NS,TYPE,PID"),
        ("--tree=owner", "-o", "NS,TYPE,PID"),
        ("--tree=process", "-o", "NS,TYPE,COMMAND"),
        ("-r", "-T", "-o", "NS,TYPE"),
        ("-o", "ns,type,nprocs,pid,user,command"),
    ],
    ids=" ".join,
)
def test_text(words: tuple[str, ...]) -> None:
    if "+PATH" in words:  # our default has additional columns
        default = "NS,TYPE,NPROCS,PID,USER,NETNSID,NSFS,COMMAND,PATH"
        mine = [line.split() for line in quiet(ours("-l", "-t", "net", "-o", default))]
        assert len(mine) > 4
        assert mine == [line.split() for line in quiet(theirs("-l", *words))]
        return
    assert len(str(agree(words)).splitlines()) > 4


@pytest.mark.parametrize(
    "words", [("-J", "-o", COLUMNS), ("-J", "-T", "-o", "NS,TYPE,PNS"), ("-J", "-W", "-t", "net", "-o", COLUMNS)]
)
def test_json(words: tuple[str, ...]) -> None:
    agree(words)
    assert json.loads(ours(*words))["namespaces"]


def test_of_a_process() -> None:
    agree(("-p", str(os.getpid()), "-o", COLUMNS))
    assert ours("-p", "4194303", "-n") == theirs("-p", "4194303", "-n") == ""


@pytest.mark.parametrize("words", [(), ("-l",), ("-J",), ("-r",), ("-n",), ("-o", "PID,COMMAND,UID")])
@pytest.mark.parametrize("kind", ["net", "pid", "user"])
def test_the_processes_of_a_namespace(infra_pid: int, kind: str, words: tuple[str, ...]) -> None:
    # the pod's, which lasts: others on the host end meanwhile
    inode = os.stat(f"/proc/{infra_pid}/ns/{kind}").st_ino
    assert inode != os.stat(f"/proc/self/ns/{kind}").st_ino
    agree((*words, str(inode)))


def test_mounted_ones_are_in_nsfs(tmp_path) -> None:
    places = [tmp_path / "one two", tmp_path / "tab\tand\\", tmp_path / "three", tmp_path / "q\"u'o\u00e9te"]
    held = next(
        one.path for one in lsns(["uts"]) if one.containers == () and one.ns != os.stat("/proc/self/ns/uts").st_ino
    )
    with contextlib.ExitStack() as stack:
        for place in places:
            place.touch()
            subprocess.run(["mount", "--bind", held, place], check=True)
            stack.callback(subprocess.run, ["umount", place], check=True)
        for words in (("-r",), ("-W",), ("-J",), ()):
            agree((*words, "-t", "uts", "-o", "NS,TYPE,NSFS,PATH"))


def test_what_only_we_see(tmp_path) -> None:
    """A bind mount and an open descriptor keep namespaces without processes alive."""
    place = tmp_path / "mounted"
    place.touch()
    subprocess.run(["unshare", f"--uts={place}", "true"], check=True)
    try:
        process = subprocess.Popen(["unshare", "--ipc", "sleep", "1000"])
        wait_until(lambda: sleeps(process.pid))
        fd = os.open(f"/proc/{process.pid}/ns/ipc", os.O_RDONLY)
        process.kill()
        process.wait()
        found = {one.ns: one for one in lsns(["uts", "ipc"])}
        uts, ipc = found[place.stat().st_ino], found[os.fstat(fd).st_ino]
        assert (uts.type, uts.why, uts.nprocs) == ("uts", ("bind",), 0)
        assert (uts.nsfs, uts.path, uts.pid) == ((str(place),), str(place), None)
        assert (ipc.type, ipc.why, ipc.nprocs) == ("ipc", ("fd",), 0)
        assert ipc.path == f"/proc/{os.getpid()}/fd/{fd}"
        assert str(uts.ns) not in theirs("-n", "-o", "NS")
        os.close(fd)
        # the inode may have been reused by a namespace with processes
        assert not [one for one in lsns(["ipc"]) if one.ns == ipc.ns and not one.nprocs]
    finally:
        subprocess.run(["umount", place], check=True)


def test_mounted_elsewhere(tmp_path) -> None:
    """Mounted in another process's mount namespace: visible from here through /proc/PID/root."""
    script = "mount -t tmpfs t /mnt && touch /mnt/x && unshare --uts=/mnt/x true && echo ready && exec sleep 1000"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        found = [one for one in lsns(["uts"]) if one.path == f"/proc/{process.pid}/root/mnt/x"]
        assert [(one.why, one.nsfs) for one in found] == [(("bind",), ())]
        assert os.stat(found[0].path).st_ino == found[0].ns
        process.kill()


def test_a_thread_alone_and_an_owner_alone() -> None:
    """A thread in another namespace; a user namespace without processes that owns one with processes."""
    script = (
        "import ctypes, threading, time\n"
        "def work():\n"
        "    assert ctypes.CDLL(None).unshare(0x04000000) == 0\n"
        "    print('ready', flush=True); time.sleep(1000)\n"
        "threading.Thread(target=work).start()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (thread,) = (name for name in os.listdir(f"/proc/{process.pid}/task") if name != str(process.pid))
        path = f"/proc/{process.pid}/task/{thread}/ns/uts"
        assert [(one.why, one.path) for one in lsns(["uts"]) if one.ns == os.stat(path).st_ino] == [(("thread",), path)]
        process.kill()
    words = ["unshare", "--user", "--map-root-user", "unshare", "--user", "--map-root-user", "sleep", "1000"]
    with subprocess.Popen(words) as process:
        wait_until(lambda: sleeps(process.pid))
        with open(f"/proc/{process.pid}/ns/user") as inner:
            outer = fcntl.ioctl(inner, NS_GET_PARENT)
        inode = os.fstat(outer).st_ino
        os.close(outer)
        (parent,) = (one for one in lsns(["user"]) if one.ns == inode)
        assert (parent.why, parent.nprocs, parent.pid) == (("below",), 0, None)
        assert parent.pns == os.stat("/proc/self/ns/user").st_ino
        process.kill()


def test_whose_they_are(engine_of_module) -> None:
    pod = engine_of_module.pods.get("p")
    member = pod.containers()[0]
    found = {one.ns: one for one in lsns(engine=engine_of_module)}
    for kind, inode in member.namespaces().items():
        if kind == "time":
            assert found[inode].pods == ()
            continue
        shared = kind in ("ipc", "net", "uts", "pid", "user")
        assert found[inode].pods == ("p",), kind
        assert set(found[inode].containers) == ({member.name, pod.infra.name} if shared else {member.name})
    assert all(one.pods == () for one in found.values() if one.pid == 2)


def test_an_ordinary_user_sees_what_lsns_shows_one() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (Debian: util-linux) is not installed")
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    words = ("-o", "NS,TYPE,NPROCS,PID,USER,COMMAND")
    with subprocess.Popen([*as_nobody, "sleep", "1000"]) as process:
        for _ in range(ATTEMPTS):
            mine = output(*as_nobody, sys.executable, "-m", "pypod", "lsns", *words).splitlines()
            expected = output(*as_nobody, "lsns", *words).splitlines()
            # without COMMAND: the looking process itself is listed, too
            if [line.split()[:5] for line in mine] == [line.split()[:5] for line in expected]:
                break
        process.kill()
    assert [line.split()[:5] for line in mine] == [line.split()[:5] for line in expected]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-t", "nosuch"], "unknown namespace type: nosuch"),
        (["-o", "NS,nosuch"], "unknown column: nosuch"),
        (["-p", "x"], "invalid PID argument: 'x'"),
        (["x"], "invalid namespace argument: 'x'"),
        (["12345"], "12345"),
        (["-T", "-J", "-r"], "mutually exclusive arguments: --json --raw"),
        (["-Tnosuch"], "unknown tree type: nosuch"),
        (["-p", "1", "4026531837"], "--task is mutually exclusive with <namespace>"),
    ],
)
def test_bad_input(words: list[str], message: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pypod", "lsns", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_library_names_the_argument() -> None:
    with pytest.raises(InvalidSpec, match="unknown namespace type"):
        lsns(["nosuch"])
