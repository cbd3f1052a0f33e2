"""D-Bus as bytes, and a conversation with a bus that the test plays."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.errors import Unsupported
from pypod.kernel.cgroups.detect import Hierarchies, Hierarchy
from pypod.kernel.cgroups.scope import HOLDER, ScopeDriver, why_not
from pypod.kernel.dbus import Bus, BusError, Variant, call_message, lengths, pack, parse_answer, user_bus

UID = os.geteuid()
STRANGER = 54321
# what dbus-daemon 1.14 answered to Hello: a method return with REPLY_SERIAL 1 and the text ":1.0"
HELLO = bytes.fromhex(
    "6c02010109000000010000003d000000"
    "06017300040000003a312e3000000000"
    "05017500010000000801670001730000"
    "07017300140000006f72672e66726565"
    "6465736b746f702e4442757300000000"
    "040000003a312e3000"
)


def error(serial: int, name: str, text: str) -> bytes:
    fields = [(4, Variant("s", name)), (5, Variant("u", serial)), (8, Variant("g", "s"))]
    body = pack("s", text)
    head = pack("yyyyuua(yv)", ord("l"), 3, 1, 1, len(body), 99, fields)
    return head + b"\0" * (-len(head) % 8) + body


def returned(serial: int) -> bytes:
    head = pack("yyyyuua(yv)", ord("l"), 2, 1, 1, 0, 98, [(5, Variant("u", serial))])
    return head + b"\0" * (-len(head) % 8)


SIGNAL = pack("yyyyuua(yv)", ord("l"), 4, 1, 1, 0, 97, [(1, Variant("o", "/"))]).ljust(32, b"\0")


class Played:
    """A bus at a socket: takes one client, lets it in and gives ``answers`` to its calls; keeps what it was sent."""

    def __init__(self, path: str, answers: list[bytes], greeting: bytes = b"OK 0123\r\n", owner: int = UID) -> None:
        self.calls: list[bytes] = []
        self.said = b""
        self._answers = answers
        self._greeting = greeting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.seteuid(owner)  # SO_PEERCRED tells who called listen(2)
        try:
            self._listener.listen()
        finally:
            os.seteuid(UID)
        self._listener.settimeout(10)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        # a client that goes away is none of its errors
        with client, client.makefile("rwb", buffering=0) as stream, contextlib.suppress(ConnectionError):
            client.settimeout(10)
            self.said = stream.readline()
            stream.write(self._greeting)
            if not self._greeting.startswith(b"OK") or not stream.readline():
                return
            for answer in self._answers:
                start = stream.read(16)
                if not start:
                    return
                self.calls.append(start + stream.read(sum(lengths(start)) - 16))
                stream.write(answer)

    def end(self) -> None:
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., tuple[str, Played]]]:
    played: list[Played] = []

    def play(answers: list[bytes], **options: Any) -> tuple[str, Played]:
        path = str(tmp_path / f"bus{len(played)}")
        played.append(Played(path, answers, **options))
        return path, played[-1]

    yield play
    for one in played:
        one.end()


class TestBytes:
    @pytest.mark.parametrize(
        ("signature", "values", "expected"),
        [
            ("y", (5,), "05"),
            ("yu", (5, 6), "05000000 06000000"),
            ("b", (True,), "01000000"),
            ("s", ("foo",), "03000000 666f6f00"),
            ("g", ("au",), "02617500"),
            ("v", (Variant("u", 4),), "01750000 04000000"),
            ("au", ([1, 2],), "08000000 01000000 02000000"),
            ("au", ([],), "00000000"),
            # the gap before the first element is not counted, and is there without elements, too
            ("a(sv)", ([],), "00000000 00000000"),
            ("a(sb)", ([("a", False)],), "0c000000 00000000 01000000 61000000 00000000"),
            ("a(sa(sv))s", ((), "x"), "00000000 00000000 01000000 7800"),
        ],
    )
    def test_values(self, signature: str, values: tuple[object, ...], expected: str) -> None:
        assert pack(signature, *values).hex() == expected.replace(" ", "")

    def test_a_call(self) -> None:
        message = call_message(7, "a.b", "/x", "i.f", "M", "s", "n")
        assert message.hex(" ", -8) == (
            "6c01000106000000 0700000047000000 01016f0002000000 2f78000000000000 "
            "0201730003000000 692e660000000000 0301730001000000 4d00000000000000 "
            "0601730003000000 612e620000000000 0801670001730000 010000006e00"
        )

    def test_an_answer(self) -> None:
        answer = parse_answer(HELLO)
        assert answer is not None
        assert (answer.serial, answer.error, answer.text) == (1, "", ":1.0")

    def test_an_error(self) -> None:
        answer = parse_answer(error(5, "a.b.Failed", "it did not work"))
        assert answer is not None
        assert (answer.serial, answer.error, answer.text) == (5, "a.b.Failed", "it did not work")

    def test_a_signal_is_no_answer(self) -> None:
        assert parse_answer(SIGNAL) is None

    @given(st.data())
    def test_any_byte_may_be_wrong(self, data: st.DataObject) -> None:
        message = bytearray(HELLO)
        at = data.draw(st.integers(0, len(message) - 1))
        message[at] = data.draw(st.integers(0, 255))
        cut = bytes(message[: data.draw(st.integers(16, len(message)))])
        try:
            parse_answer(cut)
        except ValueError:
            return


class TestBus:
    def test_authenticates_and_calls(self, play) -> None:
        path, bus = play([HELLO, SIGNAL + returned(2)])
        with Bus(path, UID) as connection:
            assert connection.call("d.e", "/", "i.f", "Do", "au", [3]) == ""
        bus.end()
        assert bus.said == b"\0AUTH EXTERNAL " + str(UID).encode().hex().encode() + b"\r\n"
        assert b"Hello\0" in bus.calls[0]
        assert bus.calls[1] == call_message(2, "d.e", "/", "i.f", "Do", "au", [3])

    def test_an_error_has_its_name(self, play) -> None:
        path, _ = play([HELLO, error(2, "org.freedesktop.systemd1.UnitExists", "Unit x was there")])
        with Bus(path, UID) as connection, pytest.raises(BusError, match="Do: Unit x was there") as caught:
            connection.call("d.e", "/", "i.f", "Do")
        assert caught.value.name == "org.freedesktop.systemd1.UnitExists"

    def test_is_refused(self, play) -> None:
        path, _ = play([], greeting=b"REJECTED EXTERNAL\r\n")
        with pytest.raises(BusError, match="does not let us in: REJECTED"):
            Bus(path, UID)

    def test_of_somebody_else_is_not_told_anything(self, play) -> None:
        owner = UID or STRANGER  # root's own would be trusted by everybody
        path, bus = play([], owner=owner)
        with pytest.raises(BusError, match=f"belongs to user {owner}"):
            Bus(path, owner + 1)
        bus.end()
        assert bus.said == b""

    @pytest.mark.parametrize("answers", [[], [b"HTTP/1.1 400 Bad"], [HELLO[:20]], [b"l\2\0\1" + b"\xff" * 12]])
    def test_one_that_talks_nonsense(self, play, answers: list[bytes]) -> None:
        path, _ = play(answers)
        with pytest.raises((BusError, ConnectionError)):
            Bus(path, UID)

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
        path, bus = play([HELLO, returned(2)])
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        Path(driver.root).mkdir(parents=True)
        driver.bring("/pypod/monitors", 4711)
        bus.end()
        expected = pack("ssau", "pypod-1.scope", "/pypod/monitors", [4711])
        assert b"AttachProcessesToUnit\0" in bus.calls[1]
        assert bus.calls[1].endswith(expected)
        assert Path(driver.root, "pypod/monitors").is_dir()

    def test_a_scope_that_is_there_is_joined(self, tmp_path: Path, play) -> None:
        """Its holder was killed and its containers run."""
        path, bus = play([HELLO, error(2, "org.freedesktop.systemd1.UnitExists", ""), error(3, "a.b.Stop", "enough")])
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        Path(driver.root).mkdir(parents=True)
        with pytest.raises(Unsupported, match="enough"):
            driver.hold(4711)
        bus.end()
        assert b"StartTransientUnit\0" in bus.calls[1]
        assert bus.calls[2].endswith(pack("ssau", "pypod-1.scope", HOLDER, [4711]))

    def test_systemd_refuses(self, tmp_path: Path, play) -> None:
        path, _ = play([HELLO, error(2, "org.freedesktop.DBus.Error.AccessDenied", "Permission denied")])
        driver = ScopeDriver(str(tmp_path), "", UID, path, "pypod-1.scope")
        with pytest.raises(Unsupported, match="gives no cgroups: StartTransientUnit: Permission denied"):
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
        assert "no systemd of user 7" in why_not(unified, 7, "/bus")
        service = tmp_path / "user.slice/user-7.slice/user@7.service"
        service.mkdir(parents=True)
        (service / "cgroup.procs").touch()
        assert "dbus-user-session" in why_not(unified, 7, "")
        assert why_not(unified, 7, "/bus") == ""
