"""Networks of an unprivileged user's pods: seen from another host, from this one, and from inside."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from pypod.kernel.pidfd import PROC
from tests import dns, hosts, users
from tests.facts import is_there, kill_and_wait, wait_until
from tests.hosts import Here, Host, Server, within
from tests.users import User

pytestmark = [pytest.mark.root, pytest.mark.users, pytest.mark.not_in_chroot]

TUN = "/dev/net/tun"
OURS, THEIRS = "192.0.2.2", "192.0.2.1"


@contextmanager
def tun_for_users() -> Iterator[None]:
    """Give the tunnel device the mode that udev gives it."""
    if not os.path.exists(TUN):
        pytest.skip(f"{TUN} is not there")
    before = stat.S_IMODE(os.stat(TUN).st_mode)
    os.chmod(TUN, 0o666)
    try:
        yield
    finally:
        os.chmod(TUN, before)


@pytest.fixture(scope="module")
def with_session(user_tree: Path) -> Iterator[User]:
    """Return an unprivileged user of these tests' own, with a session that is kept between tests."""
    if shutil.which("pasta") is None:
        pytest.skip("pasta (Debian: passt) is not installed")
    name = f"pypodnet{os.urandom(2).hex()}"  # differs between runs of the suite
    users.add(name, subordinate=True)
    try:
        user = User(name, user_tree, users.python_for_users())
        with tun_for_users():
            user.ok("unshare", "true")
            yield user
        assert user.end() == {}, "an ordinary user's processes are left"
    finally:
        users.remove(name)


@pytest.fixture
def somebody(with_session: User) -> Iterator[User]:
    yield with_session
    say(with_session, "pod", "rm", "-fa")
    say(with_session, "rm", "-fa")


def say(somebody: User, *words: str) -> str:
    """Run a pypod command as a user; return its output."""
    return somebody.ok(*words).strip()


@pytest.fixture
def other(own_network) -> Iterator[Host]:
    """Return another host, through which this one has a default route."""
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
    with closing(Host("other")) as made:
        hosts.cable(made, "eth0", "in0", (f"{THEIRS}/24",))
        hosts.run("ip", "address", "add", f"{OURS}/24", "dev", "eth0")
        hosts.run("ip", "route", "add", "default", "via", THEIRS)
        yield made


class Namespace(Host):
    """The network of a process, in which root's programs of this host run."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self._pid = pid
        self._servers: list[Server] = []

    @property
    def pid(self) -> int:
        return self._pid

    def close(self) -> None:
        for server in self._servers:
            server.close()


class Inside(Namespace):
    """The network of a user's pod."""

    def __init__(self, somebody: User, pod: str) -> None:
        infra = json.loads(say(somebody, "pod", "inspect", pod))["InfraContainerID"]
        super().__init__(pod, int(say(somebody, "inspect", "--format", "{{.State.Pid}}", infra)))


def sidecars(somebody: User) -> list[str]:
    """Return the user's sidecar processes: pasta becomes passt.avx2 where possible, and pasta.avx2 in newer versions.

    It has short-lived children of the same name that act in the namespace (NS_CALL in passt's util.h): not counted.
    """
    found = somebody.processes()
    own = [name for pid, name in found.items() if (stat := PROC.stat(pid)) and found.get(stat.ppid) != name]
    names = [name.partition(".")[0].replace("pasta", "passt") for name in own]
    return sorted(name for name in names if name in ("pypod-network", "passt", "slirp4netns"))


def test_a_pod_has_pasta_by_default_and_reaches_other_hosts(somebody: User, other: Host) -> None:
    other.serve("tcp", THEIRS, 8000)
    somebody.ok("pod", "create", "--name", "a", PYPOD_NETWORK="")
    say(somebody, "pod", "start", "a")
    with closing(Inside(somebody, "a")) as inside:
        # the queried server sees this host
        assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"
        assert sidecars(somebody) == ["passt", "pypod-network"]
    say(somebody, "pod", "rm", "-f", "a")
    assert sidecars(somebody) == []


def test_pasta_stays(somebody: User, other: Host) -> None:
    """Versions from 2024 on check every second whether their namespace still exists."""
    other.serve("tcp", THEIRS, 8000)
    with closing(started(somebody, "s", "--network", "pasta")) as inside:
        time.sleep(2.5)
        assert sidecars(somebody) == ["passt", "pypod-network"]
        assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"


@pytest.fixture(scope="module")
def plain(user_tree: Path, busybox: str) -> Path:
    """Return a root file system that everybody may read."""
    root = user_tree.parent / "plain-for-networks"
    shutil.copytree(busybox, root, symlinks=True)
    return root


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_published_port_keeps_the_clients_address(somebody: User, other: Host, protocol: str) -> None:
    say(somebody, "pod", "create", "--name", "b", "--network", "pasta", "-p", f"8080:80/{protocol}")
    say(somebody, "pod", "start", "b")
    with closing(Inside(somebody, "b")) as inside:
        inside.serve(protocol, "0.0.0.0", 80)  # noqa: S104
        wait_until(lambda: other.ask(protocol, OURS, 8080) == f"b {THEIRS}")
        if protocol == "tcp":
            # since 2024 pasta shows the host's loopback as the host (--host-lo-to-ns-lo)
            assert Here().ask(protocol, "127.0.0.1", 8080) in ("b 127.0.0.1", f"b {OURS}")
    say(somebody, "pod", "rm", "-f", "b")
    with closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for connections in TIME_WAIT
        again.bind(("", 8080))  # no longer in use


def test_a_restart_does_not_wait_for_connections_that_have_ended(somebody: User, other: Host) -> None:
    with closing(started(somebody, "r", "--network", "pasta", "-p", "8080:80")) as inside:
        inside.serve("tcp", "0.0.0.0", 80)  # noqa: S104
        assert other.ask("tcp", OURS, 8080) == f"r {THEIRS}"
    say(somebody, "pod", "restart", "r")
    assert sidecars(somebody) == ["passt", "pypod-network"]


def test_slirp4netns_on_request(somebody: User, other: Host) -> None:
    if shutil.which("slirp4netns") is None:
        pytest.skip("slirp4netns is not installed")
    other.serve("tcp", THEIRS, 8000)
    say(somebody, "pod", "create", "--name", "c", "--network", "slirp4netns:cidr=10.7.6.0/24")
    say(somebody, "pod", "start", "c")
    with closing(Inside(somebody, "c")) as inside:
        assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"
        assert "10.7.6.100/24" in inside.run("ip", "address")
        assert sidecars(somebody) == ["pypod-network", "slirp4netns"]
        program = next(pid for pid, name in somebody.processes().items() if name == "slirp4netns")
        files = [os.readlink(entry) for entry in Path(f"/proc/{program}/fd").iterdir()]
        assert files, "its descriptors must be readable"
        assert not [path for path in files if path.startswith(str(somebody.home))], "a confined program may not have it"
    say(somebody, "pod", "rm", "-f", "c")
    assert sidecars(somebody) == []


@pytest.fixture
def slirp4netns() -> str:
    if shutil.which("slirp4netns") is None:
        pytest.skip("slirp4netns is not installed")
    return "slirp4netns"


def can_be_had(protocol: str, port: int) -> bool:
    """Return whether nothing on this host listens on a port."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with closing(socket.socket(socket.AF_INET, kind)) as one:
        if protocol == "tcp":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for connections in TIME_WAIT
        try:
            one.bind(("", port))
        except OSError:
            return False
    return True


class TestPortsOfSlirp4netns:
    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    @pytest.mark.parametrize("end", ["pod rm -f b", "pod stop b", "kill"])
    def test_they_keep_the_clients_address(
        self, somebody: User, other: Host, slirp4netns: str, protocol: str, end: str
    ) -> None:
        with closing(started(somebody, "b", "--network", slirp4netns, "-p", f"8080-8081:80-81/{protocol}")) as inside:
            inside.serve(protocol, "0.0.0.0", 81)  # noqa: S104
            wait_until(lambda: other.ask(protocol, OURS, 8081) == f"b {THEIRS}")
            infra = json.loads(say(somebody, "pod", "inspect", "b"))["InfraContainerID"]
            assert say(somebody, "port", infra, f"81/{protocol}") == "0.0.0.0:8081"
            assert not list(Path(somebody.storage, "containers", infra, "network").glob("api"))
            if end == "kill":
                os.kill(inside.pid, 9)
            else:
                say(somebody, *end.split())
        wait_until(lambda: sidecars(somebody) == [])
        assert can_be_had(protocol, 8080)
        assert can_be_had(protocol, 8081)

    def test_a_thousand(self, somebody: User, other: Host, slirp4netns: str) -> None:
        """It reports each request, and would block on a pipe that is never emptied."""
        del other
        say(somebody, "pod", "create", "--name", "b", "--network", slirp4netns, "-p", "20000-20999:20000-20999")
        say(somebody, "pod", "start", "b")
        assert not can_be_had("tcp", 20000)
        assert not can_be_had("tcp", 20999)

    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    def test_one_in_use_names_its_holder(self, somebody: User, other: Host, slirp4netns: str, protocol: str) -> None:
        del other
        with closing(started(somebody, "b", "--network", slirp4netns, "-p", f"8080:80/{protocol}")):
            say(somebody, "pod", "create", "--name", "c", "--network", slirp4netns, "-p", f"8080:81/{protocol}")
            refused = somebody.pypod("pod", "start", "c")
            assert refused.returncode == 125
            assert "it is held by container" in refused.stderr
            assert sidecars(somebody) == ["pypod-network", slirp4netns]

    @pytest.mark.parametrize("network", ["slirp4netns", "pasta"])
    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    def test_of_two_started_at_once_one_has_it(
        self, somebody: User, other: Host, slirp4netns: str, protocol: str, network: str
    ) -> None:
        del other, slirp4netns
        code = f"""
import threading, pypod
names = ["one", "two"]
for name in names:
    pypod.Pod.create(name, network="{network}", ports=["8080:80/{protocol}"])
for _ in range(8):
    said, together = [], threading.Barrier(2)
    def start(name):
        with pypod.Engine() as engine:
            pod = engine.pods.get(name)
            together.wait()
            try:
                pod.start()
                said.append("")
            except pypod.PortInUse as error:
                said.append(error.container.partition("-")[2])
    threads = [threading.Thread(target=start, args=[name]) for name in names]
    for one in threads: one.start()
    for one in threads: one.join()
    running = [pypod.Pod.get(name).id[:12] for name in names if pypod.Pod.get(name).status == "Running"]
    print(len(running), sorted(said) in (["", "infra"], ["", *running]), said)
    for name in names: pypod.Pod.get(name).stop()
"""
        lines = somebody.python_code(code).splitlines()
        assert [line.split()[:2] for line in lines] == [["1", "True"]] * 8, lines
        assert sidecars(somebody) == []

    def test_one_that_is_taken_at_the_last_moment_undoes_the_start(
        self, somebody: User, other: Host, slirp4netns: str
    ) -> None:
        del other
        code = f"""
import socket, pypod
from pypod.engine.networks import port_holders
pod = pypod.Pod.create("t", network="{slirp4netns}", ports=["8080:80", "8081:81"])
taken = socket.socket()
taken.bind(("", 8081))
taken.listen()
port_holders.bound = lambda port, *_, **__: port_holders.socket_of(port.protocol, ipv6=False)  # it was free then
try:
    pod.start()
except pypod.LaunchFailed as error:
    print(error.hint)
    print(error.message)
print(pod.status)
"""
        hint, message, status = somebody.python_code(code).splitlines()
        assert hint.startswith("publish on another port")
        assert "slirp4netns failed" in message
        assert '"host_port": 8081' in message
        assert status == "Created"
        assert sidecars(somebody) == []
        assert can_be_had("tcp", 8080)

    def test_a_container_of_its_own_has_them_before_its_command_runs(
        self, somebody: User, other: Host, slirp4netns: str, plain: Path
    ) -> None:
        words = ("run", "-d", "--name", "w", "--network", f"{slirp4netns}:port_handler=slirp4netns", "-p", "8080:80")
        say(somebody, *words, "--rootfs", f"{plain}:O", "sh", "-c", "while nc -l -p 80 -e echo w; do :; done")
        wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
        assert "0.0.0.0:8080->80/tcp" in say(somebody, "ps", "--format", "{{.Ports}}")
        say(somebody, "rm", "-f", "w")
        assert can_be_had("tcp", 8080)

    @pytest.mark.parametrize("port", ["80/sctp", "[::1]:8080:80"])
    def test_what_it_cannot_publish_is_an_error(self, somebody: User, slirp4netns: str, port: str) -> None:
        refused = somebody.pypod("pod", "create", "--name", "c", "--network", slirp4netns, "-p", port)
        assert refused.returncode == 125
        assert "slirp4netns cannot publish ports" in refused.stderr or "the kernel has no SCTP" in refused.stderr

    @pytest.mark.usefixtures("blue", "other")
    def test_beside_a_bridge_where_only_it_is_there(self, somebody: User, slirp4netns: str, other: Host) -> None:
        only = somebody.tree.parent / "only"
        only.mkdir(exist_ok=True)
        for name in (slirp4netns, "newuidmap", "newgidmap", "nft"):
            with suppress(FileExistsError):
                (only / name).symlink_to(shutil.which(name) or name)
        somebody.ok("pod", "create", "--name", "b", "--network", "blue", "-p", "8080:80", PATH=str(only))
        somebody.ok("pod", "start", "b", PATH=str(only))
        with closing(Inside(somebody, "b")) as inside:
            inside.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            wait_until(lambda: other.ask("tcp", OURS, 8080) == f"b {THEIRS}")


class TestTheHost:
    """host.containers.internal."""

    def address(self, somebody: User, inside: Inside) -> str:
        del inside
        (hosts_file,) = Path(somebody.storage, "pods").glob("*/hosts")
        lines = [line.split() for line in hosts_file.read_text().splitlines()]
        return next((address for address, *names in lines if "host.containers.internal" in names), "")

    @pytest.mark.parametrize(
        "network", ["pasta", "slirp4netns", "pasta:--map-gw", "pasta:-a,10.7.0.2,-n,24,-g,10.7.0.1"]
    )
    def test_it_is_reached(self, somebody: User, other: Host, slirp4netns: str, network: str) -> None:
        del other, slirp4netns
        # the address of another interface; pasta takes that of the interface that leads outside
        hosts.run("ip", "address", "add", "198.51.100.1/32", "dev", "lo")
        with closing(Here()) as here, closing(started(somebody, "h", "--network", network)) as inside:
            here.serve("tcp", "0.0.0.0", 8000)  # noqa: S104
            assert inside.ask("tcp", self.address(somebody, inside), 8000).startswith("here ")

    @pytest.mark.usefixtures("blue")
    def test_it_is_reached_from_a_bridge(self, somebody: User, other: Host) -> None:
        del other
        hosts.run("ip", "address", "add", "198.51.100.1/32", "dev", "lo")
        with closing(Here()) as here, closing(started(somebody, "h", "--network", "blue")) as inside:
            here.serve("tcp", "0.0.0.0", 8000)  # noqa: S104
            assert inside.ask("tcp", self.address(somebody, inside), 8000).startswith("here ")

    def test_the_loopback_only_when_asked_for(self, somebody: User, other: Host, slirp4netns: str) -> None:
        del other
        with closing(Here()) as here, closing(started(somebody, "h", "--network", slirp4netns)) as inside:
            here.serve("tcp", "127.0.0.1", 8000)
            address = self.address(somebody, inside)
            assert address == OURS
            assert not inside.ask("tcp", address, 8000).startswith("here ")

    def test_nowhere_is_no_entry(self, somebody: User, other: Host) -> None:
        """This host has no address that is not also the pod's, and older versions of pasta give it none."""
        del other
        with closing(started(somebody, "h", "--network", "pasta")) as inside:
            given = self.address(somebody, inside)
            has_address = b"map-guest-addr" in Path(shutil.which("pasta") or "").read_bytes()
            assert given == ("169.254.1.2" if has_address else "")
        failed = somebody.pypod("pod", "create", "--network", "pasta", "--add-host", "me:host-gateway")
        assert failed.returncode == (0 if has_address else 125)


PROGRAMS = {"pasta": "passt", "slirp4netns": "slirp4netns"}  # what runs


class TestKilled:
    """A pasta or slirp4netns that was killed."""

    @contextmanager
    def unplug_and_detach(self, somebody: User, network: str, *options: str) -> Iterator[Inside]:
        with closing(started(somebody, "k", "--network", network, *options)) as inside:
            inside.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            for pid, name in somebody.processes().items():
                if name.startswith((*PROGRAMS, *PROGRAMS.values())):
                    kill_and_wait(pid)
            wait_until(lambda: sidecars(somebody) == [])
            yield inside

    @pytest.mark.parametrize("mend", ["network reload k", "network reload -a", "system check --repair"])
    @pytest.mark.parametrize("network", PROGRAMS)
    def test_it_is_mended(self, somebody: User, other: Host, slirp4netns: str, network: str, mend: str) -> None:
        del slirp4netns
        other.serve("tcp", THEIRS, 8000)
        with self.unplug_and_detach(somebody, network, "-p", "8080:80") as inside:
            assert somebody.pypod("system", "check").stdout.count(f"amiss: {network} of ") == 1
            infra = json.loads(say(somebody, "pod", "inspect", "k"))["InfraContainerID"]
            ports = ("inspect", "--format", "{{json .NetworkSettings.Ports}}", infra)
            assert (say(somebody, "port", infra), say(somebody, *ports)) == ("", "{}")
            somebody.pypod(*mend.split())
            assert sidecars(somebody) == sorted(["pypod-network", PROGRAMS[network]])
            assert other.ask("tcp", OURS, 8080) == f"k {THEIRS}"
            assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"
            assert "amiss" not in somebody.pypod("system", "check").stdout
            assert say(somebody, "port", infra) == "80/tcp -> 0.0.0.0:8080"
        say(somebody, "pod", "rm", "-f", "k")
        assert sidecars(somebody) == []
        assert can_be_had("tcp", 8080)

    def test_what_cannot_be_mended_leaves_nothing(self, somebody: User, other: Host) -> None:
        with self.unplug_and_detach(somebody, "pasta", "-p", "8080:80"):
            with closing(socket.socket()) as taken:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                taken.bind(("", 8080))
                taken.listen()
                failed = somebody.pypod("network", "reload", "k")
                assert failed.returncode == 126
                assert (
                    "listen tcp4 :8080: bind: address already in use" in failed.stderr
                )  # as root, which sees more than the user
                assert sidecars(somebody) == []
            say(somebody, "network", "reload", "k")
            assert other.ask("tcp", OURS, 8080) == f"k {THEIRS}"

    @pytest.mark.usefixtures("blue")
    def test_the_way_outside_of_bridges(self, somebody: User, other: Host) -> None:
        other.serve("tcp", THEIRS, 8000)
        with self.unplug_and_detach(somebody, "blue") as inside:
            assert "amiss: pasta of the namespace of bridges has exited" in somebody.pypod("system", "check").stdout
            say(somebody, "network", "reload", "-a")
            assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"

    def test_a_container_of_its_own(self, somebody: User, other: Host, plain: Path) -> None:
        words = ("run", "-d", "--name", "w", "--network", "pasta", "-p", "8080:8000", "--userns", "keep-id")
        say(somebody, *words, "--rootfs", f"{plain}:O", "sh", "-c", "while nc -l -p 8000 -e echo w; do :; done")
        wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
        watcher = next(pid for pid, name in somebody.processes().items() if name == "pypod-network")
        kill_and_wait(watcher)
        say(somebody, "network", "reload", "w")
        wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
        say(somebody, "rm", "-f", "w")
        assert can_be_had("tcp", 8080)


def test_a_container_of_its_own_has_its_network_before_its_command_runs(
    somebody: User, other: Host, plain: Path
) -> None:
    shown = say(somebody, "run", "--rm", "--network", "pasta", "--rootfs", f"{plain}:O", "ip", "route")
    assert f"default via {THEIRS} dev eth0" in shown
    assert sidecars(somebody) == []
    files = ("cat", "/etc/resolv.conf", "/etc/hosts")
    shown = say(somebody, "run", "--rm", "--name", "me", "--network", "pasta", "--rootfs", f"{plain}:O", *files)
    assert shown.startswith("nameserver 169.254.1.1\n")
    assert any(line.startswith(f"{OURS}\t") and "me" in line.split() for line in shown.splitlines())


def test_the_end_of_the_infra_is_the_end_of_pasta(somebody: User, other: Host) -> None:
    say(somebody, "pod", "create", "--name", "d", "--network", "pasta")
    say(somebody, "pod", "start", "d")
    with closing(Inside(somebody, "d")) as inside:
        os.kill(inside.pid, 9)
        wait_until(lambda: sidecars(somebody) == [])
    say(somebody, "pod", "rm", "-f", "d")


def test_who_watches_pasta_takes_it_along(somebody: User, other: Host) -> None:
    say(somebody, "pod", "create", "--name", "e", "--network", "pasta")
    say(somebody, "pod", "start", "e")
    watcher = next(pid for pid, name in somebody.processes().items() if name == "pypod-network")
    os.kill(watcher, 9)
    wait_until(lambda: sidecars(somebody) == [])
    with closing(Inside(somebody, "e")) as inside:
        assert is_there(inside.pid)
    say(somebody, "pod", "restart", "e")
    assert sidecars(somebody) == ["passt", "pypod-network"]
    say(somebody, "pod", "rm", "-f", "e")


def test_a_pasta_that_cannot_start_is_an_error_in_its_words(somebody: User, other: Host) -> None:
    failed = somebody.pypod("pod", "create", "--name", "f", "--network", "pasta:--no-such-option")
    assert failed.returncode == 0
    failed = somebody.pypod("pod", "start", "f")
    assert failed.returncode == 125
    assert "pasta failed: " in failed.stderr
    assert "unrecognized option '--no-such-option'" in failed.stderr
    assert sidecars(somebody) == []
    assert "pypod-infra" not in somebody.processes().values()
    say(somebody, "pod", "rm", "-f", "f")


def test_without_a_way_outside_there_is_no_pasta_and_that_is_told_once(
    somebody: User, own_network, plain: Path
) -> None:
    storage = f"{somebody.home}/second"
    nothing = {"PATH": "/usr/bin-of-nobody", "PYPOD_ROOT": storage, "PYPOD_NETWORK": ""}
    try:
        first = somebody.pypod("pod", "create", "--name", "g", **nothing)
        started = [somebody.pypod("pod", "start", "g", **nothing) for _ in range(2)]
        assert [first.returncode, *(one.returncode for one in started)] == [0, 0, 0]
        words = "neither pasta nor slirp4netns is installed: pods have no network but lo. Install passt"
        assert words in started[0].stderr
        assert "pasta" not in first.stderr + started[1].stderr
        assert sidecars(somebody) == []
        for command in (("pod", "create", "-p", "8080:80"), ("create", "-p", "8080:80", "--rootfs", plain, "true")):
            refused = somebody.pypod(*command, **nothing)
            assert (refused.returncode, refused.stderr) == (125, f"Error: ports cannot be published: {words}\n")
        assert [
            line.split() for line in somebody.pypod("system", "check", **nothing).stdout.splitlines() if words in line
        ]
    finally:
        somebody.pypod("pod", "rm", "-fa", **nothing)
        somebody.pypod("system", "migrate", **nothing)
        shutil.rmtree(storage)


@pytest.mark.parametrize("kind", ["pod", "container"])
def test_root_may_have_slirp4netns(engine, busybox, other: Host, slirp4netns: str, kind: str) -> None:
    other.serve("tcp", THEIRS, 8000)
    asked = {"network": f"{slirp4netns}:cidr=10.7.6.0/24", "ports": ["8080:80"]}
    if kind == "pod":
        owner = engine.pods.create("r", **asked)
        owner.start()
        pid, shown = owner.infra.state().pid, owner.infra.inspect()
    else:
        owner = engine.containers.run(["sleep", "100"], rootfs=busybox, **asked)
        pid, shown = owner.state().pid, owner.inspect()
    with closing(Namespace("r", pid)) as inside:
        inside.serve("tcp", "", 80)
        assert "10.7.6.100/24" in inside.run("ip", "address")
        assert inside.ask("tcp", THEIRS, 8000) == f"other {OURS}"
        assert other.ask("tcp", OURS, 8080).startswith("r ")
        assert shown["HostConfig"]["NetworkMode"] == "slirp4netns"
        assert shown["NetworkSettings"]["Ports"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    owner.remove(force=True)
    assert can_be_had("tcp", 8080)


def test_root_has_bridges_instead_of_pasta(engine) -> None:
    from pypod.errors import InvalidSpec

    with pytest.raises(InvalidSpec, match="pasta networking is only supported for rootless mode"):
        engine.pods.create(name="h", network="pasta")
    assert engine.pods.list() == []


def looked_up(host: Host, name: str, server: str) -> list[str]:
    with within(host):
        return dns.ask(server, name).data


def reaches(somebody: User, container: str, address: str) -> bool:
    """Return whether packets get there and back."""
    pid = say(somebody, "inspect", "--format", "{{.State.Pid}}", container)
    words = ["nsenter", "-t", pid, "-n", "busybox", "ping", "-c1", "-W1", "-q", address]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def blue(somebody: User) -> Iterator[str]:
    """Create a network of the user's; yield the prefix of its addresses."""
    say(somebody, "network", "create", "blue")
    (made,) = json.loads(say(somebody, "network", "inspect", "blue"))
    yield made["subnets"][0]["subnet"].removesuffix("0/24")
    say(somebody, "network", "rm", "-f", "blue")


def processes() -> set[str]:
    """Return the names of all processes."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            found.add(entry.read_text().strip())
    return found


def started(somebody: User, name: str, *options: str) -> Inside:
    say(somebody, "pod", "create", "--name", name, *options)
    say(somebody, "pod", "start", name)
    return Inside(somebody, name)


@pytest.mark.usefixtures("other")
class TestBridges:
    def test_commands_in_their_namespace(self, somebody: User, blue: str) -> None:
        look = ("unshare", "--rootless-netns", "ip", "-o", "-4", "address")
        assert f" {blue}1/" not in say(somebody, *look), "no container is there yet"
        assert "pypod-bridges" not in processes(), "what was made for the command has ended"
        with closing(started(somebody, "a", "--network", "blue")):
            assert f" {blue}1/" in say(somebody, *look)
            assert f" {blue}1/" not in say(somebody, "unshare", *look[2:])
            assert "pypod-bridges" in processes()
        assert somebody.pypod("unshare", "--rootless-netns", "sh", "-c", "exit 7").returncode == 7
        assert somebody.pypod("unshare", "--rootless-netns", "sh", "-c", "kill -9 $$").returncode == 137

    def test_pods_talk_and_know_names(self, somebody: User, blue: str) -> None:
        with (
            closing(started(somebody, "a", "--network", "blue:alias=first")) as a,
            closing(started(somebody, "b", "--network", "blue")) as b,
        ):
            a.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            assert b.ask("tcp", f"{blue}2", 80) == f"a {blue}3"
            assert looked_up(b, "a", f"{blue}1") == looked_up(b, "first.dns.podman", f"{blue}1") == [f"{blue}2"]
            assert looked_up(a, "b", f"{blue}1") == [f"{blue}3"]
            # none of it is in the host's namespace
            assert [line.split()[1] for line in hosts.run("ip", "-o", "link").splitlines()] == ["lo:", "eth0@if2:"]

    def test_the_way_outside_leads_through_pasta(self, somebody: User, other: Host, blue: str) -> None:
        other.serve("tcp", THEIRS, 8000)
        with closing(started(somebody, "a", "--network", "blue")) as a:
            assert f"default via {blue}1 dev eth0" in a.run("ip", "route")
            assert a.ask("tcp", THEIRS, 8000) == f"other {OURS}"

    @pytest.mark.usefixtures("blue")
    def test_nothing_stays_when_nobody_is_connected(self, somebody: User) -> None:
        before = sorted(somebody.processes().values())
        started(somebody, "a", "--network", "blue").close()
        assert "pypod-bridges" in somebody.processes().values()
        say(somebody, "pod", "rm", "-f", "a")
        wait_until(lambda: sorted(somebody.processes().values()) == before)

    def test_a_published_port_keeps_the_clients_address(self, somebody: User, other: Host, blue: str) -> None:
        with (
            closing(started(somebody, "a", "--network", "blue", "-p", "8080:80")) as a,
            closing(started(somebody, "b", "--network", "blue")) as b,
        ):
            a.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            assert other.ask("tcp", OURS, 8080) == f"a {THEIRS}"
            assert b.ask("tcp", f"{blue}2", 80) == f"a {blue}3"
            refused = somebody.pypod("pod", "create", "--name", "c", "--network", "pasta", "-p", "8080:81")
            assert refused.returncode == 0
            refused = somebody.pypod("pod", "start", "c")
            assert "it is held by container" in refused.stderr

    def test_connected_and_disconnected_while_it_runs(self, somebody: User, blue: str) -> None:
        with (
            closing(started(somebody, "a", "--network", "blue")) as a,
            closing(started(somebody, "b", "--network", "none")) as b,
        ):
            infra = json.loads(say(somebody, "pod", "inspect", "b"))["InfraContainerID"]
            a.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            say(somebody, "network", "connect", "blue", infra)
            assert b.ask("tcp", f"{blue}2", 80) == f"a {blue}3"
            say(somebody, "network", "disconnect", "blue", infra)
            assert "eth0" not in b.run("ip", "-o", "link")

    def test_beside_a_program_of_its_own_there_is_no_bridge(self, somebody: User, blue: str) -> None:
        """Both would have an eth0."""
        with closing(started(somebody, "a", "--network", "pasta")):
            infra = json.loads(say(somebody, "pod", "inspect", "a"))["InfraContainerID"]
            refused = somebody.pypod("network", "connect", "blue", infra)
            assert refused.returncode == 125
            assert refused.stderr.startswith('Error: "pasta" is not supported: invalid network mode: create it on')
            assert blue not in somebody.ok("network", "inspect", "blue").partition("containers")[2]

    def test_reload_mends_what_was_with_a_holder_that_was_killed(self, somebody: User, blue: str) -> None:
        with (
            closing(started(somebody, "a", "--network", "blue")) as a,
            closing(started(somebody, "b", "--network", "blue")) as b,
        ):
            a.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            for pid, name in somebody.processes().items():
                if name in ("pypod-bridges", "pypod-names"):
                    kill_and_wait(pid)
            assert "is detached from" in somebody.pypod("system", "check").stdout
            say(somebody, "network", "reload", "-a")
            assert b.ask("tcp", f"{blue}2", 80) == f"a {blue}3"
            assert looked_up(b, "a", f"{blue}1") == [f"{blue}2"]
            assert "cut off" not in somebody.pypod("system", "check").stdout

    def test_a_session_whose_holder_was_killed_is_found_by_its_bridges(self, somebody: User, blue: str) -> None:
        with closing(started(somebody, "a", "--network", "blue")) as a:
            a.serve("tcp", "0.0.0.0", 80)  # noqa: S104
            session = next(pid for pid, name in somebody.processes().items() if name == "pypod-session")
            kill_and_wait(session)
            with closing(started(somebody, "b", "--network", "blue")) as b:
                assert b.ask("tcp", f"{blue}2", 80) == f"a {blue}3"

    @pytest.mark.parametrize("end", [("stop", "-t", "0"), ("kill",)])
    @pytest.mark.usefixtures("blue")
    def test_a_container_of_its_own_starts_again(
        self, somebody: User, other: Host, plain: Path, end: tuple[str, ...]
    ) -> None:
        words = ("run", "-d", "--name", "w", "--network", "blue", "-p", "8080:80", "--rootfs", f"{plain}:O")
        say(somebody, *words, "sh", "-c", "while nc -l -p 80 -e echo w; do :; done")
        try:
            wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
            assert say(somebody, *end, "w") == "w"
            assert say(somebody, "wait", "w")
            assert other.ask("tcp", OURS, 8080) == "ECONNREFUSED"
            assert say(somebody, "start", "w") == "w"
            wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
            assert say(somebody, "restart", "-t", "0", "w") == "w"
            wait_until(lambda: other.ask("tcp", OURS, 8080) == "w")
        finally:
            say(somebody, "rm", "-f", "-t", "0", "w")

    @pytest.mark.parametrize("end", [("stop", "-t", "0"), ("rm", "-f", "-t", "0")])
    @pytest.mark.usefixtures("blue")
    def test_containers_end_without_the_holder_of_the_session(
        self, somebody: User, plain: Path, end: tuple[str, ...]
    ) -> None:
        for name in ("first", "second"):
            words = ("run", "-d", "--name", name, "--network", "blue", "--rootfs", f"{plain}:O", "sleep", "1000")
            say(somebody, *words)
        try:
            kill_and_wait(next(pid for pid, name in somebody.processes().items() if name == "pypod-session"))
            assert say(somebody, *end, "first", "second").split() == ["first", "second"]
            wait_until(lambda: "pypod-bridges" not in somebody.processes().values())
        finally:
            say(somebody, "rm", "-f", "-t", "0", "first", "second")

    def test_who_joined_a_container_that_ended_is_reached_by_nobody(
        self, somebody: User, blue: str, plain: Path
    ) -> None:
        """Its address is assigned again."""
        sleep = ("--rootfs", f"{plain}:O", "sleep", "1000")
        say(somebody, "run", "-d", "--name", "first", "--network", "blue", *sleep)
        say(somebody, "run", "-d", "--name", "joined", "--network", "container:first", *sleep)
        say(somebody, "run", "-d", "--name", "other", "--network", "blue", *sleep)
        try:
            assert reaches(somebody, "joined", f"{blue}1")
            say(somebody, "stop", "-t", "0", "first")
            assert not reaches(somebody, "joined", f"{blue}1")
            say(somebody, "start", "first")
            assert reaches(somebody, "first", f"{blue}1")
            assert not reaches(somebody, "joined", f"{blue}1")
        finally:
            say(somebody, "rm", "-f", "-t", "0", "joined", "first", "other")

    def test_a_network_on_an_interface_of_the_host_is_roots(self, somebody: User) -> None:
        say(somebody, "network", "create", "-d", "macvlan", "-o", "parent=eth0", "--ipam-driver", "none", "red")
        failed = somebody.pypod("pod", "create", "--name", "m", "--network", "red")
        assert failed.returncode == 125
        assert "network red: macvlan networks are for root only" in failed.stderr
        say(somebody, "network", "rm", "red")
