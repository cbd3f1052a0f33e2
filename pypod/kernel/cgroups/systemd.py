"""Calls to a user's systemd over the user's bus (org.freedesktop.systemd1(5)).

Importing jeepney takes longer than a call, so this module is only imported where one is made.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any, Self

from jeepney import DBusAddress, DBusErrorResponse, Message, new_method_call
from jeepney.auth import BEGIN, Authenticator
from jeepney.io.blocking import DBusConnection, unwrap_read
from jeepney.wrappers import unwrap_msg

from pypod.errors import Unsupported

_MANAGER = DBusAddress(
    "/org/freedesktop/systemd1", "org.freedesktop.systemd1", interface="org.freedesktop.systemd1.Manager"
)
_EXISTS = "org.freedesktop.systemd1.UnitExists"
_TIMEOUT_S = 10.0
# jeepney raises a ValueError for a refusal, and these for bytes that are not a D-Bus message.
_NONSENSE = (ValueError, LookupError, AssertionError, struct.error)


class Systemd:
    """A connection to the systemd of user ``uid`` over the bus at a socket, whose peer must be that user or root.

    All methods raise Unsupported when the bus or systemd refuses or does not reply in time.
    """

    def __init__(self, bus: str, uid: int) -> None:
        channel = socket.socket(socket.AF_UNIX)
        try:
            with _refusals(bus):
                channel.settimeout(_TIMEOUT_S)
                channel.connect(bus)
                _authenticate(channel, uid)
                self._connection = _Connection(channel)
        except BaseException:
            channel.close()
            raise

    def start_scope(self, name: str, slice_: str, pid: int) -> bool:
        """Start a scope delegated to the user, with a process in it. Return False when it exists already."""
        properties = [
            ("Description", ("s", "pypod: pods and containers")),
            ("Slice", ("s", slice_)),
            ("Delegate", ("b", True)),
            ("CollectMode", ("s", "inactive-or-failed")),
            ("PIDs", ("au", [pid])),
        ]
        with _refusals("StartTransientUnit"):
            try:
                self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", properties, [])
            except DBusErrorResponse as error:
                if error.name != _EXISTS:
                    raise
                return False
        return True

    def attach(self, unit: str, path: str, pid: int) -> None:
        """Move a process of the user into a group of a unit."""
        with _refusals("AttachProcessesToUnit"):
            self._call("AttachProcessesToUnit", "ssau", unit, path, [pid])

    def _call(self, method: str, signature: str, *arguments: object) -> None:
        unwrap_msg(self._connection.send_and_get_reply(new_method_call(_MANAGER, method, signature, arguments)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


class _Connection(DBusConnection):  # type: ignore[misc]  # jeepney has no types
    """A connection whose calls time out, including Hello, which jeepney makes without a timeout."""

    def send_and_get_reply(self, message: Message, *, timeout: float | None = None) -> Any:
        return super().send_and_get_reply(message, timeout=_TIMEOUT_S if timeout is None else timeout)


def _authenticate(channel: socket.socket, uid: int) -> None:
    _, owner, _ = struct.unpack("3I", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))  # pid, uid, gid
    if owner not in (0, uid):
        raise PermissionError(f"it belongs to user {owner}")
    conversation = Authenticator()
    # jeepney authenticates with the effective id, which in a user namespace differs from the one that the bus sees.
    conversation.data_to_send()
    channel.sendall(b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n")
    while not conversation.authenticated:
        conversation.feed(unwrap_read(channel.recv(1024)))
    channel.sendall(BEGIN)


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Raise Unsupported for errors inside, with a message that begins with ``what``: a call, or the bus."""
    try:
        yield
    except DBusErrorResponse as error:
        raise _refused(what, (error.data and error.data[0]) or error.name) from error
    except (OSError, *_NONSENSE) as error:
        raise _refused(what, str(error) or type(error).__name__) from error


def _refused(what: str, why: str) -> Unsupported:
    message = f"the user's systemd provides no cgroups: {what}: {why}"
    return Unsupported("cgroups", message, hint="systemctl --user status")
