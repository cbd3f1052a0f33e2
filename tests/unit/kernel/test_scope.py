"""The systemd scope of a user's containers, and the dialogue with a bus that the test plays."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jeepney import DBusAddress, HeaderFields, Message, Parser, new_error, new_method_return, new_signal

from pypod.errors import Unsupported
from pypod.kernel.cgroups import systemd
from pypod.kernel.cgroups.detect import Hierarchies, Hierarchy
from pypod.kernel.cgroups.scope import HOLDER, ScopeDriver, user_bus, why_not
from pypod.kernel.cgroups.systemd import Systemd

UID = os.geteuid()
STRANGER = 54321
# dbus-daemon 1.14's answer to Hello: a method return with REPLY_SERIAL 1 and the string ":1.0"
HELLO = bytes.fromhex(
    "6c02010109000000010000003d000000"
    "06017300040000003a312e3000000000"
    "05017500010000000801670001730000"
    "07017300140000006f72672e66726565"
    "6465736b746f702e4442757300000000"
    "040000003a312e3000"
)
EXISTS = "org.freedesktop.systemd1.UnitExists"

Answer = Callable[[Message], bytes]


def error(name: str, text: str) -> Answer:
    return lambda call: new_error(call, name, "s", (text,)).serialise(serial=99)


def returned(call: Message) -> bytes:
    job = "/org/freedesktop/systemd1/job/7"
    return new_method_return(call, "o", (job,)).serialise(serial=98)


def after_a_signal(call: Message) -> bytes:
    emitter = DBusAddress("/", interface="a.b")
    return new_signal(emitter, "Changed", "s", ("x",)).serialise(serial=97) + returned(call)


class Played:
    """A bus on a socket: accepts one client, authenticates it, gives ``answers`` to its calls, and records them."""

    def __init__(
        self,
        path: str,
        answers: list[Answer],
        *,
        hello: bytes = HELLO,
        greeting: bytes = b"OK 0123\r\n",
        owner: int = UID,
    ) -> None:
        self.calls: list[Message] = []
        self.said = b""
        self._answers: list[Answer] = [lambda _: hello, *answers]
        self._greeting = greeting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.seteuid(owner)  # SO_PEERCRED reports the user who called listen(2)
        try:
            self._listener.listen()
        finally:
            os.seteuid(UID)
        self._listener.settimeout(10)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        # a client that disconnects is not an error
        with client, client.makefile("rwb", buffering=0) as stream, contextlib.suppress(ConnectionError):
            client.settimeout(10)
            self.said = stream.readline()
            stream.write(self._greeting)
            if not self._greeting.startswith(b"OK") or not stream.readline():
                return
            parser = Parser()
            for answer in self._answers:
                while (call := parser.get_next_message()) is None:
                    data = stream.read(4096)
                    if not data:
                        return
                    parser.add_data(data)
                self.calls.append(call)
                stream.write(answer(call))

    def end(self) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Played]]]:
    played: list[Played] = []

    def play(*answers: Answer, **options: Any) -> tuple[str, Played]:
        path = str(tmp_path / f"bus{len(played)}")
        played.append(Played(path, list(answers), **options))
        return path, played[-1]

    yield play
    for bus in played:
        bus.end()


class TestSystemd:
    def test_authenticates_and_calls(self, play) -> None:
        path, bus = play(after_a_signal)
        with Systemd(path, UID) as connection:
            connection.attach("x.scope", "/y", 3)
        bus.end()
        assert bus.said == b"\0AUTH EXTERNAL " + str(UID).encode().hex().encode() + b"\r\n"
        hello, call = bus.calls
        assert hello.header.fields[HeaderFields.member] == "Hello"
        assert call.header.fields == {
            HeaderFields.destination: "org.freedesktop.systemd1",
            HeaderFields.path: "/org/freedesktop/systemd1",
            HeaderFields.interface: "org.freedesktop.systemd1.Manager",
            HeaderFields.member: "AttachProcessesToUnit",
            HeaderFields.signature: "ssau",
        }
        assert call.body == ("x.scope", "/y", [3])

    def test_names_the_id_that_the_bus_sees(self, play, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root in a user namespace is another user on the host."""
        path, bus = play(greeting=b"REJECTED EXTERNAL\r\n")
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
        with pytest.raises(Unsupported):
            Systemd(path, UID)
        bus.end()
        assert bus.said == b"\0AUTH EXTERNAL " + str(UID).encode().hex().encode() + b"\r\n"

    def test_starts_a_scope(self, play) -> None:
        path, bus = play(returned)
        with Systemd(path, UID) as connection:
            assert connection.start_scope("x.scope", "user.slice", 7)
        bus.end()
        name, mode, properties, aux = bus.calls[1].body
        assert (name, mode, aux) == ("x.scope", "fail", [])
        assert dict(properties) == {
            "Description": ("s", "pypod: pods and containers"),
            "Slice": ("s", "user.slice"),
            "Delegate": ("b", True),
            "CollectMode": ("s", "inactive-or-failed"),
            "PIDs": ("au", [7]),
        }

    def test_is_refused(self, play) -> None:
        path, _ = play(greeting=b"REJECTED EXTERNAL\r\n")
        with pytest.raises(Unsupported, match=f"{path}: Authentication failed.*REJECTED") as caught:
            Systemd(path, UID)
        assert caught.value.hint == "systemctl --user status"

    def test_of_somebody_else_is_not_told_anything(self, play) -> None:
        owner = UID or STRANGER  # every user would trust a bus of root
        path, bus = play(owner=owner)
        with pytest.raises(Unsupported, match=f"belongs to user {owner}"):
            Systemd(path, owner + 1)
        bus.end()
        assert bus.said == b""

    @pytest.mark.parametrize("hello", [b"", b"HTTP/1.1 400 Bad", HELLO[:20], b"l\2\0\1" + b"\xff" * 12, b"\0" * 16])
    def test_one_that_talks_nonsense(self, play, hello: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_TIMEOUT_S", 0.2)
        path, _ = play(hello=hello)
        with pytest.raises(Unsupported, match=f"provides no cgroups: {path}: ."):
            Systemd(path, UID)

    def test_one_that_does_not_answer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_TIMEOUT_S", 0.05)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "bus"))
            listener.listen()
            with pytest.raises(Unsupported, match=r"provides no cgroups: .*: timed out"):
                Systemd(str(tmp_path / "bus"), UID)

    def test_hello_is_not_waited_for_without_end(self, play, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_TIMEOUT_S", 0.05)
        path, _ = play(hello=HELLO[:40])
        with pytest.raises(Unsupported, match="provides no cgroups"):
            Systemd(path, UID)


class TestBus:
    def test_its_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "bus").touch()
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert user_bus(UID) == f"{tmp_path}/bus"
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"tcp:host=x,port=1;unix:path={tmp_path}/bus,guid=7")
        assert user_bus(UID) == f"{tmp_path}/bus"
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/gone")
        assert user_bus(UID) == ""


class TestScope:
    def driver(self, tmp_path: Path, bus: str, own: str = "/user.slice/user-7.slice/session-1.scope") -> ScopeDriver:
        return ScopeDriver(str(tmp_path), own, 7, bus, "pypod-1.scope")

    def test_controllers_are_those_of_the_users_systemd_until_there_is_a_scope(self, tmp_path: Path) -> None:
        driver = self.driver(tmp_path, "")
        manager = tmp_path / "user.slice/user-7.slice/user@7.service"
        manager.mkdir(parents=True)
        (manager / "cgroup.controllers").write_text("memory pids\n")
        assert driver.controllers() == ("memory", "pids")
        Path(driver.root).mkdir(parents=True)
        Path(driver.root, "cgroup.controllers").write_text("cpu memory pids\n")
        assert driver.controllers() == ("cpu", "memory", "pids")
        assert driver.tracking_directory("/pypod/x") == f"{manager}/user.slice/pypod-1.scope/pypod/x"
        assert driver.prefix == "/user.slice/user-7.slice/user@7.service/user.slice/pypod-1.scope"

    def test_what_is_not_delegated_says_who_can(self, tmp_path: Path) -> None:
        driver = self.driver(tmp_path, "")
        with pytest.raises(Unsupported, match=r"--cpuset-cpus: .* Delegate=yes"):
            driver.settings({"cpu": {"cpus": "0"}})

    def test_systemd_is_asked_to_bring_a_process(self, tmp_path: Path, play) -> None:
        path, bus = play(returned)
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        Path(driver.root).mkdir(parents=True)
        driver.bring("/pypod/monitors", 4711)
        bus.end()
        assert bus.calls[1].header.fields[HeaderFields.member] == "AttachProcessesToUnit"
        assert bus.calls[1].body == ("pypod-1.scope", "/pypod/monitors", [4711])
        assert Path(driver.root, "pypod/monitors").is_dir()

    def test_a_scope_that_is_there_is_joined(self, tmp_path: Path, play) -> None:
        """The scope's holder was killed, but its containers still run."""
        path, bus = play(error(EXISTS, ""), error("a.b.Stop", "enough"))
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        Path(driver.root).mkdir(parents=True)
        with pytest.raises(Unsupported, match="enough"):
            driver.hold(4711)
        bus.end()
        assert bus.calls[1].header.fields[HeaderFields.member] == "StartTransientUnit"
        assert bus.calls[2].body == ("pypod-1.scope", HOLDER, [4711])

    @pytest.mark.parametrize(("text", "expected"), [("Permission denied", "Permission denied"), ("", "a.b.Denied")])
    def test_systemd_refuses(self, tmp_path: Path, play, text: str, expected: str) -> None:
        path, _ = play(error("a.b.Denied", text))
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        with pytest.raises(Unsupported, match=f"provides no cgroups: StartTransientUnit: {expected}"):
            driver.hold(4711)

    def test_who_enters_by_itself(self, tmp_path: Path) -> None:
        service = tmp_path / "user.slice/user-7.slice/user@7.service"
        service.mkdir(parents=True)
        (service / "cgroup.procs").touch()
        inside = "/user.slice/user-7.slice/user@7.service/app.slice/x.scope"
        assert self.driver(tmp_path, "", inside).enters_groups
        assert not self.driver(tmp_path, "").enters_groups
        assert not self.driver(tmp_path, "", "").enters_groups

    def test_why_not(self, tmp_path: Path) -> None:
        hybrid = Hierarchies(Hierarchy((), str(tmp_path), "/"), (Hierarchy(("memory",), "/x", "/"),))
        assert "hybrid" in why_not(hybrid, 7, "/bus")
        unified = Hierarchies(Hierarchy((), str(tmp_path), "/"))
        assert "no systemd instance of user 7" in why_not(unified, 7, "/bus")
        service = tmp_path / "user.slice/user-7.slice/user@7.service"
        service.mkdir(parents=True)
        (service / "cgroup.procs").touch()
        assert "dbus-user-session" in why_not(unified, 7, "")
        assert why_not(unified, 7, "/bus") == ""
