"""Which namespaces the infra and the members of a pod share, and the consequences."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pypod.errors import InvalidSpec, LaunchFailed, PypodError
from tests.integration.inside import Report, execute, written

pytestmark = pytest.mark.root

NOT_IN_CHROOT = pytest.mark.not_in_chroot
ALL_KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")
KINDS = tuple(kind for kind in ALL_KINDS if Path("/proc/self/ns", kind).exists())  # not every kernel has all of them


def inodes(pid: int) -> dict[str, int]:
    return {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in KINDS}


def of(container) -> dict[str, int]:
    return inodes(container.state().pid)


HOST = {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in KINDS}


def members(box, pod, count: int = 2, **options) -> list:
    return [box.stay(pod=pod, **options) for _ in range(count)]


@pytest.mark.parametrize(
    ("share", "shared"),
    [
        ("ipc,net,uts", {"ipc", "net", "uts"}),
        ("net", {"net"}),
        ("uts,ipc", {"ipc", "uts"}),
        ("pid", {"pid"}),
        ("+pid", {"ipc", "net", "uts", "pid"}),
        ("cgroup", {"cgroup"}),
        ("ipc,net,uts,pid,cgroup", {"ipc", "net", "uts", "pid", "cgroup"}),
        pytest.param("user", {"user"}, marks=NOT_IN_CHROOT),
        pytest.param("+user", {"ipc", "net", "uts", "user"}, marks=NOT_IN_CHROOT),
        pytest.param("pid,user", {"pid", "user"}, marks=NOT_IN_CHROOT),
        pytest.param(
            "ipc,net,uts,pid,user,cgroup", {"ipc", "net", "uts", "pid", "user", "cgroup"}, marks=NOT_IN_CHROOT
        ),
    ],
)
def test_what_is_shared_and_what_is_not(box, share: str, shared: set[str]) -> None:
    pod = box.engine.pods.create(share=share)
    a, b = members(box, pod)
    infra, one, two = of(pod.infra), of(a), of(b)
    for kind in KINDS:
        different = len({infra[kind], one[kind], two[kind]})
        if kind in shared:
            assert different == 1, kind
            assert infra[kind] != HOST[kind], kind
        elif kind in ("user", "time"):
            assert (different, one[kind]) == (1, HOST[kind]), kind
        elif kind == "cgroup":
            assert one[kind] != two[kind], kind
            assert HOST[kind] not in (one[kind], two[kind])
        else:
            assert different == 3, kind
            assert HOST[kind] not in (one[kind], two[kind]), kind
    assert of(a) == {kind: int(inode) for kind, inode in Report(execute(a, "/probe")).pairs("ns").items()}
    table = pod.namespaces()
    assert {kind for kind in KINDS if len(set(table[kind].values())) == 1} == shared | ({"time", "user"} & {*KINDS})
    box.run("true", pod=pod)
    assert [one.wait(5) for one in members_after_stop(pod, a, b)] == [137, 137]


def members_after_stop(pod, *containers) -> tuple:
    pod.kill()
    return containers


@pytest.mark.parametrize("options", [{"share": "none"}, {"infra": False}, {"share": ""}])
def test_a_pod_that_shares_nothing(box, options: dict) -> None:
    pod = box.engine.pods.create(**options)
    a, b = members(box, pod)
    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert len({of(a)[kind], of(b)[kind], HOST[kind]}) == 3
    if options.get("infra") is False:
        assert pod.infra is None
    assert pod.status == "Running"


def test_a_container_without_a_pod_has_its_own(box) -> None:
    own = of(box.stay())
    for kind in KINDS:
        assert (own[kind] == HOST[kind]) == (kind in ("user", "time")), kind


def test_localhost_is_one(box) -> None:
    pod = box.engine.pods.create()
    server = pod.run(["sh", "-c", "echo hello > /index.html; exec httpd -f -p 8080"], rootfs=box.rootfs)
    fetch = "until wget -qO- http://127.0.0.1:8080/; do usleep 20000; done"
    assert box.shell(fetch, pod=pod) == "hello\n"
    refused = box.shell("wget -qO- http://127.0.0.1:8080/", check=False)
    assert "Connection refused" in refused, "a container outside the pod must have its own localhost, with lo up"
    text = execute(server, "sh", "-c", "cat /proc/net/dev; cat /proc/net/route | wc -l")
    assert {line.split(":")[0].strip() for line in text.splitlines() if ":" in line} == {"lo"}
    again = pod.run(["httpd", "-f", "-p", "8080"], rootfs=box.rootfs)
    assert again.wait(5) == 1, "members must share their ports"


def test_shared_memory_is_one(box) -> None:
    pod = box.engine.pods.create(shm_size=1 << 20)
    a, b = members(box, pod)
    assert Report(execute(a, "/probe", "shared-memory", "4711", "from a")).one("shared") == "from a"
    assert Report(execute(b, "/probe", "shared-memory", "4711")).one("shared") == "from a"
    assert "ENOENT" in box.report("run", "shared-memory", "4711", check=False).outcomes.values()
    execute(a, "sh", "-c", "echo posix > /dev/shm/x; chmod 600 /dev/shm/x")
    assert execute(b, "cat", "/dev/shm/x") == "posix\n"
    assert "shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k" in execute(b, "cat", "/proc/mounts")
    assert "No such file" in box.shell("cat /dev/shm/x", check=False)
    private = box.stay(pod=pod, ipc="private")
    assert "No such file" in execute(private, "cat", "/dev/shm/x", check=False)
    assert of(private)["ipc"] != of(a)["ipc"]
    a.restart(0)
    assert execute(a, "cat", "/dev/shm/x") == "posix\n", "it must belong to the pod and outlive members"


def test_hostname_is_one(box) -> None:
    pod = box.engine.pods.create(name="named")
    a, b = members(box, pod)
    assert {execute(one, "hostname") for one in (a, b)} == {"named\n"}
    assert box.engine.pods.create(hostname="other").run(["hostname"], rootfs=box.rootfs).wait(5) == 0
    with pytest.raises(InvalidSpec, match="cannot set hostname"):
        box.stay(pod=pod, hostname="mine")
    assert execute(box.stay(pod=pod, uts="private", hostname="mine"), "hostname") == "mine\n"
    with pytest.raises(InvalidSpec, match="cannot set hostname"):
        box.stay(uts="host", hostname="mine")
    with pytest.raises(InvalidSpec, match="cannot set hostname"):
        box.stay(uts=f"container:{a.name}", hostname="mine")
    privileged = box.stay(pod=pod, cap_add=["SYS_ADMIN"])
    execute(privileged, "hostname", "changed")
    assert execute(a, "hostname") == "changed\n"
    assert os.uname().nodename != "changed"


def test_the_infra_of_a_shared_pid_namespace_reaps(box) -> None:
    pod = box.engine.pods.create(share="pid")
    a, b = members(box, pod)
    listed = execute(b, "ps", "-o", "pid,args")
    assert listed.splitlines()[1].split() == ["1", "pypod-infra"]
    assert listed.count("/probe stay") == 2
    orphan = Report(execute(a, "/probe", "orphan")).one("orphan")
    deadline = time.monotonic() + 5
    while orphan in execute(b, "ps", "-o", "pid").split():
        assert time.monotonic() < deadline, execute(b, "ps", "-o", "pid,stat,ppid,args")
        time.sleep(0.01)
    inside = Path(f"/proc/{pod.infra.state().pid}/root/proc")
    assert not inside.exists(), "the infra must not need procfs for this"


def test_without_a_shared_pid_namespace_the_first_process_is_1(box) -> None:
    pod = box.engine.pods.create()
    a, b = members(box, pod)
    assert execute(a, "cat", "/proc/1/cmdline") == "/probe\0stay\0"
    assert "httpd" not in execute(b, "ps", "-o", "args")
    with_init = box.engine.containers.run(["/probe", "orphan"], rootfs=box.rootfs, init=True)
    assert with_init.wait(5) == 0
    assert "orphan\t" in written(with_init)


@NOT_IN_CHROOT
def test_a_user_namespace_of_roots_own(box) -> None:
    """With an identity map IDs are unchanged, and capabilities are effective inside only."""
    pod = box.engine.pods.create(share="ipc,net,uts,user")
    a = box.stay(pod=pod, cap_add=["SYS_ADMIN", "SYS_TIME"])
    assert execute(a, "cat", "/proc/self/uid_map").split() == ["0", "0", "4294967295"]
    report = Report(execute(a, "/probe"))
    assert report.status["Uid"].split()[0] == "0"
    assert report.capabilities["Eff"] & 1 << 21
    assert int(report.pairs("ns")["user"]) != HOST["user"]
    assert Report(execute(a, "/probe", user="alice")).status["Uid"].split()[0] == "1001"
    # SYS_TIME in a user namespace gives no right over the host's clock
    other = box.stay(pod=pod, cap_add=["SYS_ADMIN", "SYS_TIME"])  # its /proc may be unusable afterwards
    outcomes = Report(execute(other, "/probe", "attempts")).outcomes
    assert outcomes["settimeofday"] in ("EPERM", "ok")
    assert outcomes["write /proc/sys/kernel/core_pattern"] == "EROFS"
    first = box.report(pod=pod)
    pid, _, session, group = first.one("ids").split()
    assert (pid, session, group) == ("1", "1", "1")
    assert box.report(pod=pod, terminal=True).pairs("tty") == {"0": "1", "1": "1", "2": "1"}
    assert {line for line in report.all("device") if line.startswith("null")} == {"null c 1:3 666"}
    # these are the host's here: their inodes must be out of reach, and they must work
    mode = f"{os.stat('/dev/null').st_mode & 0o777:o}"
    for path in ("/dev/null", "/proc/self/fd/0", "/proc/1/fd/0"):
        assert "Read-only file system" in execute(a, "chmod", mode, path, check=False)
    assert execute(a, "sh", "-c", "echo x > /dev/null; head -c 3 /dev/zero | wc -c") == "3\n"
    one = of(a)
    assert one["net"] == of(pod.infra)["net"]
    # capabilities over the pod's network, which that user namespace owns
    b = box.stay(pod=pod, cap_add=["NET_ADMIN"])
    assert execute(b, "ip", "link", "set", "lo", "mtu", "1400") == ""
    assert "mtu 1400" in execute(a, "ip", "link", "show", "lo")


@pytest.mark.parametrize("kind", ["net", "ipc", "uts", "pid", "cgroup"])
def test_joining_a_container_and_a_path(box, kind: str) -> None:
    option = {"net": "network", "cgroup": "cgroupns"}.get(kind, kind)
    target = box.stay(name="target")
    pid = target.state().pid
    for mode in ("container:target", f"container:{target.id}", f"ns:/proc/{pid}/ns/{kind}"):
        joined = of(box.stay(**{option: mode}))
        assert joined[kind] == of(target)[kind], mode
        others = [other for other in ("net", "ipc", "uts", "pid", "cgroup") if other != kind]
        assert all(joined[other] not in (of(target)[other], HOST[other]) for other in others), mode
    if kind == "ipc":
        execute(target, "sh", "-c", "echo x > /dev/shm/f")
        assert execute(box.stay(ipc="container:target"), "cat", "/dev/shm/f") == "x\n"
    if kind == "pid":
        assert "/probe stay" in execute(box.stay(pid="container:target"), "cat", "/proc/1/cmdline").replace("\0", " ")
    target.kill()
    target.wait(5)
    late = box.stay(**{option: "container:target"})  # as podman starts a container's dependencies
    assert target.state().running
    assert of(late)[kind] == of(target)[kind]
    with pytest.raises(PypodError) as caught:
        box.stay(**{option: "container:nosuch"})
    assert not isinstance(caught.value, LaunchFailed)


def test_a_start_starts_who_is_joined_and_who_that_one_joins(box) -> None:
    first = box.stay(name="first")
    second = box.stay(name="second", network="container:first")
    third = box.stay(ipc="container:second")
    for one in (third, second, first):
        one.stop(timeout=0)
    third.start()
    assert [one.state().running for one in (first, second, third)] == [True] * 3
    assert of(second)["net"] == of(first)["net"]
    assert of(third)["ipc"] == of(second)["ipc"]
    first.stop(timeout=0)
    third.start()  # it is running: nothing is done for it
    assert not first.state().running


@pytest.mark.parametrize("kind", ["net", "ipc", "uts", "pid", "cgroup"])
def test_paths_that_are_no_namespace_of_that_kind(box, kind: str, tmp_path: Path) -> None:
    option = {"net": "network", "cgroup": "cgroupns"}.get(kind, kind)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for path in ("/proc/self/ns/mnt", "/proc/self/ns/user", tmp_path, tmp_path / "file", tmp_path / "fifo"):
        with pytest.raises(LaunchFailed) as caught:
            box.run("true", **{option: f"ns:{path}"})
        assert caught.value.call == "setns"
        assert str(path) in caught.value.operation
        assert "not a namespace, or is one of another kind" in caught.value.hint
    with pytest.raises(InvalidSpec, match=f"namespace path: stat {tmp_path}/nosuch: no such file or directory") as none:
        box.run("true", **{option: f"ns:{tmp_path}/nosuch"})
    assert none.value.argument == f"--{option}"


def test_a_path_that_is_gone_when_it_is_joined(box, tmp_path: Path) -> None:
    (tmp_path / "net").touch()
    one = box.engine.containers.create(["true"], rootfs=box.rootfs, network=f"ns:{tmp_path}/net")
    (tmp_path / "net").unlink()
    with pytest.raises(LaunchFailed, match="join the namespace net at") as caught:
        one.start()
    assert (caught.value.call, "has ended" in caught.value.hint) == ("open", True)


@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("option", ["uts", "cgroupns"])
def test_what_fails_while_the_host_lays_the_cable_is_told_as_it_is(box, option: str) -> None:
    """The process ends before its network exists, but the missing network is not the cause to report."""
    for _ in range(30):
        with pytest.raises(LaunchFailed) as caught:
            box.run("true", network="bridge", **{option: "ns:/proc/self/ns/net"})
        assert caught.value.call == "setns", caught.value


@pytest.mark.parametrize("kind", ["net", "ipc", "uts", "pid", "cgroup"])
def test_the_hosts_namespaces(box, kind: str) -> None:
    option = {"net": "network", "cgroup": "cgroupns"}.get(kind, kind)
    container = box.stay(**{option: "host"})
    own = of(container)
    assert own[kind] == HOST[kind]
    assert all(own[other] != HOST[other] for other in ("mnt", "net", "ipc", "uts", "pid", "cgroup") if other != kind)
    if kind == "uts":
        assert execute(container, "hostname").strip() == os.uname().nodename
    if kind == "pid":
        state = container.state()
        assert Report(execute(container, "/probe")).one("ids").split()[1] != "1"
        assert execute(container, "cat", f"/proc/{state.pid}/cmdline") == "/probe\0stay\0"
    if kind == "net":
        assert execute(container, "cat", "/proc/net/dev").count(":") == Path("/proc/net/dev").read_text().count(":")
    container.stop(0)
    assert container.wait(5) == 137


def test_a_pod_on_the_hosts_network(box) -> None:
    pod = box.engine.pods.create(network="host")
    a, b = members(box, pod)
    assert of(a)["net"] == of(b)["net"] == HOST["net"]
    assert of(a)["ipc"] == of(b)["ipc"] != HOST["ipc"]


def test_a_member_may_stay_out_of_a_shared_namespace(box) -> None:
    pod = box.engine.pods.create(share="+pid")
    a = box.stay(pod=pod)
    alone = box.stay(pod=pod, network="none", ipc="private", uts="private", pid="private")
    assert all(of(alone)[kind] not in (of(a)[kind], HOST[kind]) for kind in ("net", "ipc", "uts", "pid"))
    on_host = box.stay(pod=pod, network="host")
    assert of(on_host)["net"] == HOST["net"]
    joined = box.stay(pod=pod, network=f"container:{alone.name}")
    assert of(joined)["net"] == of(alone)["net"]
    with pytest.raises(InvalidSpec, match="does not share"):
        box.stay(pod=box.engine.pods.create(share="net"), ipc="pod")


@pytest.mark.parametrize("text", ["nosuch", "net,nosuch", "mnt", "net,,mnt", "-net"])
def test_kinds_that_cannot_be_shared(box, text: str) -> None:
    with pytest.raises(InvalidSpec, match="invalid kernel namespace to share"):
        box.engine.pods.create(share=text)


def test_a_process_that_took_over_a_pid_is_never_joined(box) -> None:
    """The plan contains PID and start time: another process with that PID has a different start time."""
    from pypod.kernel.pidfd import Process
    from pypod.runtime.compiler.plans import container_ops
    from pypod.runtime.compiler.surroundings import Join, Surroundings
    from pypod.runtime.ops import Op

    me = os.getpid()
    config = {
        "process": {"args": ["true"], "env": [], "cwd": "/", "terminal": False, "rlimits": [], "noNewPrivileges": False,
                    "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [0]},
                    "capabilities": {"bounding": [], "effective": [], "permitted": [], "inheritable": [],
                    "ambient": []}},
        "annotations": {}, "mounts": [], "hostname": "", "root": {"path": box.rootfs, "readonly": False},
        "linux": {"namespaces": [{"type": "mount"}], "sysctl": {}, "maskedPaths": [], "readonlyPaths": [],
                  "devices": [], "rootfsPropagation": "slave"},
    }  # fmt: skip
    stranger = Process(me, 1)
    around = Surroundings(target=box.engine.layout.merged, joins=(Join(kinds=("net",), process=stranger),))
    with pytest.raises(LaunchFailed) as caught:
        launch(box.engine, [Op("leave"), *container_ops(config, around)])
    assert (caught.value.call, caught.value.errno) == ("pidfd_open", 3)
    assert caught.value.operation == f"join the namespaces net of process {me}"
    # and a namespace that is not the recorded one
    right = Process(me, int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]))
    wrong = Join(kinds=("net",), process=right, inodes=(("net", 4711),))
    around = Surroundings(target=box.engine.layout.merged, joins=(wrong,))
    with pytest.raises(LaunchFailed) as caught:
        launch(box.engine, [Op("leave"), *container_ops(config, around)])
    assert (caught.value.operation, caught.value.errno) == ("check that the net namespace has inode 4711", 116)


def launch(engine, ops) -> None:
    from pypod.runtime import launcher
    from pypod.runtime.ops import plan

    with launcher.Launching(engine.programs.executable("launch"), "pypod-launch") as launching:
        launching.run(plan([], ops))
