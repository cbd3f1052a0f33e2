"""Names on networks: which names resolve to which addresses from where, and how long the name server runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pypod import Engine, errors
from pypod.engine.containers import connecting
from pypod.engine.containers.collect import repair
from pypod.engine.networks.names import service
from pypod.model.ids import new_id, short
from pypod.model.network import Connection, NetworkSpec, Subnet
from pypod.network.dns import forward, message
from pypod.network.dns.sockets import close_all, open_sockets
from pypod.network.loop import Loop
from pypod.store import networks, records
from tests import dns
from tests.facts import is_there, kill_and_wait, wait_until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("own_network", "no_server_left")]

BLUE, BLUE6, RED = "10.98.0.1", "fd98::1", "10.97.0.1"


@pytest.fixture
def no_server_left(engine):
    yield
    for pod in engine.pods.list():
        pod.remove(force=True, timeout=0)
    end_server(engine)


def end_server(engine) -> None:
    server = service.info(engine)
    if server:
        kill_and_wait(server.pid)


def add(engine, name: str, *gateways: str, **more: object) -> NetworkSpec:
    subnets = [
        Subnet(subnet=f"{gateway.removesuffix('1')}{'/64' if ':' in gateway else '0/24'}", gateway=gateway)
        for gateway in gateways
    ]
    more = {"dns": True, "interface": f"{name}0", **more}
    spec = NetworkSpec(id=new_id(), name=name, created_ns=0, subnets=tuple(subnets), **more)
    with engine.database.transaction() as connection, connection:
        networks.add(connection, spec)
    return spec


@pytest.fixture
def blue(engine) -> NetworkSpec:
    return add(engine, "blue", BLUE, BLUE6)


@pytest.fixture
def red(engine) -> NetworkSpec:
    return add(engine, "red", RED)


def pod_on(engine, *specs: NetworkSpec, aliases: tuple[str, ...] = (), **options: object):
    pod = engine.pods.create(network="none", **options)
    for spec in specs:
        connect(engine, pod.record().infra_id, Connection(network=spec.id, aliases=aliases))
    pod.start()
    return pod


def connect(engine, identifier: str, asked: Connection) -> None:
    with engine.database.transaction() as connection, connection:
        networks.connect(connection, identifier, asked)


def infra_of(engine, pod):
    return records.find_container(engine.database, pod.record().infra_id)


def addresses(engine, pod) -> list[str]:
    made = [one for _, one in networks.connections_of(engine.database, pod.record().infra_id) if one]
    return [address.partition("/")[0] for one in made for address in one.addresses]


def servers_of(engine) -> set[int]:
    """Return the processes with this storage on their command line, as the name server has."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and engine.layout.root.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def server_up(engine):
    """Return the server once it is up and handles signals."""
    server = service.info(engine)
    wait_until(lambda: Path(f"/proc/{server.pid}/comm").read_text() == "pypod-names\n")
    return server


def test_every_name_of_a_pod(engine, rootfs, blue):
    pod = pod_on(engine, blue, name="MiPod", hostname="thehost", aliases=("www",))
    member = pod.run(["sleep", "100"], rootfs=rootfs, name="apache")
    infra = infra_of(engine, pod)
    every = ["mipod", infra.name, short(infra.id), short(pod.id), "thehost", "www", "apache", short(member.id)]
    four, six = addresses(engine, pod)
    for name in every:
        for text in (name, name.upper(), f"{name}.dns.podman"):
            assert dns.ask(BLUE, text).data == [four], text
            assert dns.ask(BLUE6, text, dns.AAAA).data == [six], text
    assert [one.data for one in dns.ask_over_tcp(BLUE, *every)] == [[four]] * len(every)
    assert [one.data for one in dns.ask_over_tcp(BLUE6, *every, kind=dns.AAAA)] == [[six]] * len(every)
    reverse = ".".join(reversed(four.split("."))) + ".in-addr.arpa"
    assert set(dns.ask(BLUE, reverse, dns.PTR, edns=1232).data) == {name.lower() for name in every}


def test_a_container_of_its_own(engine, rootfs, blue):
    container = engine.containers.create(["sleep", "100"], rootfs=rootfs, network="none", name="alone", hostname="h1")
    connect(engine, container.id, Connection(network=blue.id, aliases=("one", "two")))
    container.start()
    made = networks.connections_of(engine.database, container.id)[0][1]
    expected = [made.addresses[0].partition("/")[0]]
    for name in ("alone", "h1", "one", "two", short(container.id)):
        assert dns.ask(BLUE, name).data == expected
    container.stop(timeout=0)
    assert dns.ask(BLUE, "alone").code == dns.NO_SUCH_NAME
    container.remove(force=True)


def test_programs_inside_find_it(engine, rootfs, blue):
    """With a resolver that is not ours, in the network namespace of another pod."""
    first, second = pod_on(engine, blue, name="first"), pod_on(engine, blue, name="second")
    with second.enter("net"):
        for how in ([], ["+tcp"]):
            words = ["dig", *how, "+short", "+tries=1", "+time=3", f"@{BLUE}", "first.dns.podman"]
            assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == [
                addresses(engine, first)[0]
            ]
    box = second.run(["nslookup", "-type=a", "first.dns.podman", BLUE], rootfs=rootfs)
    assert box.wait() == 0
    assert addresses(engine, first)[0].encode() in b"".join(piece.data for piece in box.logs())


def test_answers_follow_at_once(engine, rootfs, blue):
    """Without a delay: the first query after each change gets the current answer."""
    pod_on(engine, blue, name="stays")

    def known(name: str) -> bool:
        answer = dns.ask(BLUE, name)
        assert answer.code in (dns.NO_ERROR, dns.NO_SUCH_NAME)
        return bool(answer.data)

    assert not known("comes")
    pod = pod_on(engine, blue, name="comes")
    assert known("comes")
    member = pod.run(["sleep", "100"], rootfs=rootfs, name="member")
    assert known("member")
    member.rename("renamed")
    assert (known("member"), known("renamed")) == (False, True)
    member.stop(timeout=0)
    assert not known("renamed")
    pod.stop(timeout=0)
    assert not known("comes")
    pod.start()
    assert known("comes")
    kill_and_wait(infra_pid(engine, pod))
    assert not known("comes")
    pod.remove(force=True, timeout=0)
    pod = pod_on(engine, name="late")
    assert not known("late")
    connecting.connect(engine, infra_of(engine, pod), Connection(network=blue.id, aliases=("alias",)), blue)
    assert known("late")
    assert known("alias")
    connecting.disconnect(engine, infra_of(engine, pod), blue)
    assert not known("late")


def infra_pid(engine, pod) -> int:
    status = Path(engine.layout.container(pod.record().infra_id), "status").read_text()
    return int(status.split()[0])


def test_names_are_those_of_the_networks_that_one_is_on(engine, blue, red):
    first = pod_on(engine, blue, name="first")
    both = pod_on(engine, blue, red, name="both")
    last = pod_on(engine, red, name="last")
    seen = {}
    for pod, gateway in ((first, BLUE), (both, BLUE), (both, RED), (last, RED)):
        with pod.enter("net"):
            seen[pod.name, gateway] = [set(dns.ask(gateway, name).data) for name in ("first", "both", "last")]
    blue_both, _, red_both = addresses(engine, both)
    own, other = addresses(engine, first)[0], addresses(engine, last)[0]
    assert seen == {
        ("first", BLUE): [{own}, {blue_both}, set()],
        ("both", BLUE): [{own}, {blue_both, red_both}, {other}],
        ("both", RED): [{own}, {red_both, blue_both}, {other}],
        ("last", RED): [set(), {red_both}, {other}],
    }


def test_a_shared_alias_gives_all_addresses(engine, blue):
    pods = [pod_on(engine, blue, aliases=("db",)) for _ in range(3)]
    expected = [addresses(engine, pod)[0] for pod in pods]
    answers = [dns.ask(BLUE, "db").data for _ in range(6)]
    assert [sorted(one) for one in answers] == [sorted(expected)] * 6
    assert {one[0] for one in answers} == set(expected)


def test_strangers_are_refused(engine, blue):
    pod_on(engine, blue, name="web")
    subprocess.run(["ip", "addr", "add", "192.0.2.7/32", "dev", "lo"], check=True)
    assert dns.ask(BLUE, "web", source="192.0.2.7").code == dns.REFUSED
    assert dns.ask(BLUE, "example.com", source="192.0.2.7").code == dns.REFUSED
    assert dns.ask(BLUE, "web").code == dns.NO_ERROR


def test_a_network_without_names(engine):
    plain = add(engine, "plain", "10.96.0.1", dns=False)
    pod_on(engine, plain, name="web")
    assert service.info(engine) is None
    with pytest.raises(ConnectionRefusedError):
        dns.ask("10.96.0.1", "web")


def test_nobody_stays_whom_no_network_needs(engine, blue, red):
    pods = [pod_on(engine, blue), pod_on(engine, red)]
    server = server_up(engine)
    assert set(server.networks) == {blue.id, red.id}
    assert os.getsid(server.pid) == server.pid
    pods[0].remove(force=True, timeout=0)
    wait_until(lambda: service.info(engine).networks == (red.id,))
    with pytest.raises(OSError, match=r"refused|unreachable|timed out"):  # the bridge is removed, too
        dns.ask(BLUE, "x")
    pods[1].remove(force=True, timeout=0)
    wait_until(lambda: not is_there(server.pid))
    assert sorted(os.listdir(engine.layout.names)) == ["errors.log", "status"]
    assert Path(engine.layout.names, "errors.log").read_text() == ""


def test_a_server_that_was_killed_leaves_no_files_of_networks_that_are_gone(engine, blue, red):
    pods = [pod_on(engine, blue), pod_on(engine, red)]
    kill_and_wait(server_up(engine).pid)
    for pod in pods:
        pod.remove(force=True, timeout=0)
    with engine.database.transaction() as connection, connection:  # by a client killed after that
        connection.execute("DELETE FROM networks WHERE id = ?", (red.id,))
    assert f"{engine.layout.names}/{red.id}" in service.left_behind(engine)
    engine.networks.get("blue").remove()
    assert service.left_behind(engine) == []
    assert sorted(os.listdir(engine.layout.names)) == ["errors.log", "status"]


def test_a_file_of_the_name_server_that_a_crash_left_is_repaired(engine, blue):
    pod = pod_on(engine, blue)
    kill_and_wait(server_up(engine).pid)
    pod.remove(force=True, timeout=0)
    with engine.database.transaction() as connection, connection:
        connection.execute("DELETE FROM networks WHERE id = ?", (blue.id,))
    left = f"{engine.layout.names}/{blue.id}"
    check = [sys.executable, "-m", "pypod", "--root", engine.layout.root, "system", "check"]
    told = subprocess.run(check, capture_output=True, text=True, check=True).stdout
    assert f"left behind: {left}" in told
    assert f"removed {left}" in repair(engine)
    assert not os.path.exists(left)


def test_it_stays_while_one_runs_of_those_who_were_there(engine, blue):
    first, second = pod_on(engine, blue), pod_on(engine, blue, name="second")
    server = server_up(engine)
    kill_and_wait(infra_pid(engine, first))
    os.kill(server.pid, signal.SIGHUP)
    first.remove(force=True, timeout=0)
    os.kill(server.pid, signal.SIGHUP)
    assert dns.ask(BLUE, "second").data == [addresses(engine, second)[0]]
    assert service.info(engine) == server


def test_a_server_that_was_killed_comes_back(engine, blue, red):
    pod = pod_on(engine, blue, red, name="web")
    before = service.info(engine)
    assert service.unserved(engine) == []
    kill_and_wait(before.pid)
    assert service.info(engine) is None
    assert {one.name for one in service.unserved(engine)} == {"blue", "red"}
    assert {one.name for one in service.renew(engine)} == {"blue", "red"}
    assert dns.ask(RED, "web").data == addresses(engine, pod)[2:]
    kill_and_wait(service.info(engine).pid)
    pod_on(engine, blue, name="next")
    assert dns.ask(BLUE, "web").data == [addresses(engine, pod)[0]]
    assert [one.name for one in service.unserved(engine)] == ["red"]


def test_many_starters_make_one_server(engine, blue, red):
    barrier = threading.Barrier(16)

    def begin(number: int) -> None:
        with Engine(engine.layout.root) as own:
            barrier.wait()
            service.serve(own, (blue, red)[number % 2])

    for _ in range(3):
        pod_on(engine, blue, red)
        end_server(engine)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(begin, range(16)))
        assert dns.ask(BLUE, "nobody").code == dns.ask(RED, "nobody").code == dns.NO_SUCH_NAME
        assert servers_of(engine) == {service.info(engine).pid}


def test_questions_that_come_before_the_server_wait(engine, blue):
    """The sockets exist when ``serve`` returns, whatever the server does."""
    pod = pod_on(engine, blue, name="web")
    for _ in range(5):
        end_server(engine)
        service.serve(engine, blue)
        assert dns.ask(BLUE, "web").data == [addresses(engine, pod)[0]]


def test_a_network_that_is_made_again_at_once(engine, tmp_path, blue):
    """A server lingers for a while; it releases its address when another network, also of another storage, needs it."""
    pod_on(engine, blue, name="one").remove(force=True, timeout=0)
    networks.remove(engine.database, blue.id)
    again = add(engine, "again", BLUE, BLUE6, interface="blue0")
    pod = pod_on(engine, again, name="two")
    assert dns.ask(BLUE, "two").data == [addresses(engine, pod)[0]]
    pod.remove(force=True, timeout=0)
    with Engine(str(tmp_path / "another")) as other:
        elsewhere = add(other, "elsewhere", BLUE, interface="blue0")
        try:
            pod_on(other, elsewhere, name="three")
            assert len(dns.ask(BLUE, "three").data) == 1
        finally:
            other.pods.get("three").remove(force=True, timeout=0)
            end_server(other)


def test_a_server_that_is_slow_to_let_go(engine, blue):
    pod_on(engine, blue, name="one").remove(force=True, timeout=0)
    networks.remove(engine.database, blue.id)
    again = add(engine, "again", BLUE, interface="blue0")
    pid = service.info(engine).pid
    os.kill(pid, signal.SIGSTOP)
    goes_on = threading.Timer(3, os.kill, (pid, signal.SIGCONT))
    goes_on.start()
    try:
        pod = pod_on(engine, again, name="two")
        assert dns.ask(BLUE, "two").data == [addresses(engine, pod)[0]]
    finally:
        goes_on.join()


def test_a_port_that_is_taken(engine, blue):
    subprocess.run(["ip", "addr", "add", f"{BLUE}/24", "dev", "lo"], check=True)
    pod = engine.pods.create(network="none")
    connect(engine, pod.record().infra_id, Connection(network=blue.id))
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with closing(socket.socket(socket.AF_INET, kind)) as taken:
            taken.bind(("", 53))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            with pytest.raises(errors.InUse, match=rf"\(pid {os.getpid()}\).*--disable-dns") as caught:
                pod.start()
            assert caught.value.ref == f"{BLUE}:53"
    assert addresses(engine, pod) == []
    pod.start()
    assert dns.ask(BLUE, pod.name).code == dns.NO_ERROR


def is_removed(directory: str) -> bool:
    """Remove a directory in which the server may be opening a file; return whether it is gone."""
    shutil.rmtree(directory, ignore_errors=True)
    return not os.path.lexists(directory)


def test_it_ends_when_the_storage_has_gone(tmp_path, engine):
    with Engine(str(tmp_path / "vanishing")) as other:
        spec = add(other, "blue", BLUE)
        pod = pod_on(other, spec)
        server = server_up(other)
        kill_and_wait(infra_pid(other, pod))
        other.cgroups.remove(os.path.dirname(infra_of(other, pod).cgroup))
        wait_until(lambda: is_removed(other.layout.root))
        os.kill(server.pid, signal.SIGHUP)  # earlier than it would check by itself
        wait_until(lambda: not is_there(server.pid))
    assert not Path(other.layout.root).exists()


@contextmanager
def upstream(address: str, answers: dict[bytes, bytes], *, truncates: bool = False):
    """Run an external name server over UDP and TCP: ``answers`` maps first labels to addresses; yield ``asked``."""
    asked: list[tuple[str, bytes]] = []

    def reply(data: bytes, how: str) -> bytes:
        label = data[13 : 13 + data[12]]
        asked.append((how, label))
        end = data.index(b"\0", 12) + 5
        found = answers.get(label)
        cut = truncates and how == "udp"
        flags = 0x8180 | (0x0200 if cut else 0) | (0 if found else 3)
        header = data[:2] + struct.pack(">5H", flags, 1, int(bool(found) and not cut), 0, 0)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + found if found and not cut else b""
        return header + data[12:end] + record

    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp, closing(socket.socket()) as tcp:
        for one in (udp, tcp):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, 53))
            one.settimeout(10)
        tcp.listen()

        def over_udp() -> None:
            while (got := udp.recvfrom(4096))[0] != b"end":
                wrong = b"\0\0" if got[0][:2] != b"\0\0" else b"\1\1"
                udp.sendto(wrong + reply(got[0], "spoof")[2:], got[1])
                udp.sendto(reply(got[0], "udp"), got[1])

        def over_tcp() -> None:
            while True:
                client, _ = tcp.accept()
                with client:
                    data = client.recv(4096)
                    if not data:
                        return
                    answer = reply(data[2:], "tcp")
                    for byte in struct.pack(">H", len(answer)) + answer:
                        client.send(bytes([byte]))

        threads = [threading.Thread(target=run) for run in (over_udp, over_tcp)]
        for thread in threads:
            thread.start()
        try:
            yield asked
        finally:
            udp.sendto(b"end", (address, 53))
            socket.create_connection((address, 53)).close()
            for thread in threads:
                thread.join()


def test_other_names_are_asked_of_other_servers(engine):
    spec = add(engine, "blue", BLUE, BLUE6, dns_servers=("127.0.0.9", "127.0.0.8"))  # nothing listens at the first
    pod_on(engine, spec, name="web")
    with upstream("127.0.0.8", {b"www": bytes([192, 0, 2, 80])}) as asked:
        assert dns.ask(BLUE, "www.example").records == [("www.example", dns.A, 60, "192.0.2.80")]
        assert dns.ask(BLUE6, "www.example").data == ["192.0.2.80"]
        assert [one.data for one in dns.ask_over_tcp(BLUE, "www.example", "web", "www.example")] == [
            ["192.0.2.80"],
            [dns.ask(BLUE, "web").data[0]],
            ["192.0.2.80"],
        ]
        assert dns.ask(BLUE, "nobody.example").code == dns.NO_SUCH_NAME
        assert not dns.ask(BLUE, "www.example").authoritative
        count = len(asked)
        assert dns.ask(BLUE, "nobody").code == dns.NO_SUCH_NAME
        assert dns.ask(BLUE, "nobody.dns.podman").code == dns.NO_SUCH_NAME
        assert len(asked) == count  # our own names are not forwarded
    assert dns.ask(BLUE, "www.example").code == dns.SERVER_FAILURE


def test_servers_that_are_silent_are_given_up_before_a_resolver_gives_up(monkeypatch):
    """However many there are, their total time is bounded."""
    monkeypatch.setattr(forward, "TOGETHER_S", 0.2)
    addresses = [f"127.0.0.{number}" for number in range(2, 6)]
    sockets = [open_sockets(address) for address in addresses]
    loop, answers = Loop(), []
    question = dns.question("www.example")
    try:
        began = time.monotonic()
        forwarder = forward.Forwarder(loop)
        asked = message.parse(question)
        forwarder.ask(
            question, asked, tuple(addresses), "10.1.0.2", lambda answer: (answers.append(answer), loop.stop())
        )
        loop.run()
        assert time.monotonic() - began < 0.5
        assert [dns.read(answer).code for answer in answers] == [dns.SERVER_FAILURE]
        assert all(udp.recv(512)[12:] == question[12:] for udp, _ in sockets)  # each was queried
    finally:
        loop.close()
        for both in sockets:
            close_all(both)


def test_truncated_answers_are_asked_for_again_over_tcp(engine):
    pod_on(engine, add(engine, "blue", BLUE, dns_servers=("127.0.0.8",)))
    with upstream("127.0.0.8", {b"www": bytes([192, 0, 2, 80])}, truncates=True) as asked:
        words = ["dig", "+short", "+tries=1", "+time=3", f"@{BLUE}", "www.example"]
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert shown.split() == ["192.0.2.80"]
        assert ("tcp", b"www") in asked


def test_the_servers_that_a_pod_asked_for(engine):
    spec = add(engine, "blue", BLUE, dns_servers=("127.0.0.8",))
    own, other = pod_on(engine, spec), pod_on(engine, spec)
    text = "UPDATE pods SET spec = json_set(spec, '$.dns_servers', json('[\"127.0.0.7\"]')) WHERE id = ?"
    with engine.database.transaction() as connection, connection:
        connection.execute(text, (own.id,))
    with (
        upstream("127.0.0.8", {b"www": bytes([192, 0, 2, 8])}),
        upstream("127.0.0.7", {b"www": bytes([192, 0, 2, 7])}),
    ):
        with own.enter("net"):
            assert dns.ask(BLUE, "www.example").data == ["192.0.2.7"]
        with other.enter("net"):
            assert dns.ask(BLUE, "www.example").data == ["192.0.2.8"]


def test_an_internal_network_asks_nobody(engine):
    pod_on(engine, add(engine, "blue", BLUE, internal=True, dns_servers=("127.0.0.8",)), name="web")
    with upstream("127.0.0.8", {b"www": bytes([192, 0, 2, 80])}) as asked:
        assert dns.ask(BLUE, "www.example").code == dns.NO_SUCH_NAME
        assert asked == []
    assert len(dns.ask(BLUE, "web").data) == 1


def test_the_steps_are_told(engine, blue):
    pod = engine.pods.create(network="none")
    connect(engine, pod.record().infra_id, Connection(network=blue.id))
    assert "answer the names of network blue at 10.98.0.1, fd98::1" in str(pod.explain())
    assert service.info(engine) is None
