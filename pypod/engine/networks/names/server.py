"""The process that answers name queries: it receives the sockets of networks, and releases those not needed.

It exits when no network is left, or when the storage is gone.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import sys
import time

from pypod.engine.core.layout import Layout
from pypod.engine.core.locks import AT_ONCE, Lock
from pypod.engine.networks.names.handover import SERVER_NAME, SOCKET
from pypod.engine.networks.names.table import Table
from pypod.kernel import pidfd
from pypod.kernel.abi import SIGNALS
from pypod.model.ids import is_id
from pypod.network.dns.server import Server
from pypod.network.loop import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from pypod.engine.core.context import Context
else:
    import _signal

LINGER_S = 1.0  # the next start may come soon, and starting a server takes 20 ms of processor time
_LOOK_S = 5.0  # polling, for changes without notification: a storage that is gone, a container disconnected
_RETRY_S = 0.05
_MESSAGE_BYTES, _DESCRIPTORS = 256, 64
_STANDARD_INPUT = 0


class Keeper:
    """Holds the sockets of networks, each with the lock that marks it as served."""

    def __init__(self, context: Context, listener: _socket.socket) -> None:
        self.loop = Loop()
        self._layout = context.layout
        self._database = os.stat(context.layout.database)
        self._listener = listener
        self._table = Table(context)
        self._server = Server(self.loop, self._table.view)
        self._locks: dict[str, int] = {}
        self._idle_since: dict[str, float] = {}
        self._watched: dict[str, int] = {}
        self._looks_again = False
        self.loop.watch(listener.fileno(), self.take_over)
        self.loop.later(_LOOK_S, self._look_now_and_then)

    def take_over(self) -> None:
        """Receive the sockets that are waiting to be handed over."""
        while True:
            try:
                fd, _ = self._listener._accept()  # type: ignore[attr-defined]
            except OSError:  # no more connections
                return
            channel = _socket.socket(fileno=fd)
            try:
                self._receive(channel)
            finally:
                channel.close()

    def _receive(self, channel: _socket.socket) -> None:
        data, ancillary, _, _ = channel.recvmsg(_MESSAGE_BYTES, _socket.CMSG_SPACE(4 * _DESCRIPTORS))
        passed = [
            int.from_bytes(content[at : at + 4], sys.byteorder)
            for level, kind, content in ancillary
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
            for at in range(0, len(content) - 3, 4)
        ]
        network = data.decode("latin-1")
        if not passed or not is_id(network) or network in self._locks:
            for fd in passed:
                os.close(fd)
            return
        self._locks[network] = passed[0]
        self._table.served.add(network)
        self._server.add(network, [_socket.socket(fileno=fd) for fd in passed[1:]])
        self._look_again(LINGER_S)

    def _look_now_and_then(self) -> None:
        self.loop.later(_LOOK_S, self._look_now_and_then)
        self.look()

    def _look_again(self, delay_s: float) -> None:
        if not self._looks_again:
            self._looks_again = True
            self.loop.later(delay_s, self._look_after_all)

    def _look_after_all(self) -> None:
        self._looks_again = False
        self.look()

    def look(self, linger_s: float = LINGER_S) -> None:
        """Release networks that have not been needed for ``linger_s``; exit when none is left."""
        try:
            status = os.stat(self._layout.database)
            if not os.path.samestat(status, self._database) or not status.st_size:  # an emptied one waits for our close
                raise FileNotFoundError
        except OSError:
            self.loop.stop()
            return
        self._table.refresh()
        now = time.monotonic()
        for network in self._locks:
            if self._is_needed(network):
                self._idle_since.pop(network, None)
            else:
                self._idle_since.setdefault(network, now)
        left = [one for one, since in self._idle_since.items() if now - since >= linger_s]
        if left or not self._locks:
            self._release(left)
        if self._locks.keys() - self._watched.keys():
            self._look_again(LINGER_S)

    def _is_needed(self, network: str) -> bool:
        """Return whether a container runs on the network or is about to. If one runs, its exit is watched."""
        if network in self._watched and pidfd.wait(self._watched[network], 0):
            self._unwatch(network)
        found = self._table.runner(network)
        if found is None:
            return self._table.is_starting(network)
        fd = pidfd.open_process(*found) if network not in self._watched else None
        if fd is not None:
            self._watched[network] = fd
            self.loop.watch(fd, self.look)
        return True

    def _unwatch(self, network: str) -> None:
        fd = self._watched.pop(network, None)
        if fd is not None:
            self.loop.forget(fd)
            os.close(fd)

    def _release(self, left: list[str]) -> None:
        """Release networks, holding the lock for starting servers: a starter finds a network served, or waits."""
        try:
            with Lock(self._layout.names, AT_ONCE) as lock, lock:
                self.take_over()
                for network in left:
                    self._drop_unless_needed(network)
                if not self._locks:
                    os.unlink(f"{self._layout.names}/{SOCKET}")
                    self.loop.stop()
        except BlockingIOError:
            self._look_again(_RETRY_S)

    def _drop_unless_needed(self, network: str) -> None:
        # Unlocked first: a starter that saw the lock held had recorded its need before, so we see that now.
        fcntl.flock(self._locks[network], fcntl.LOCK_UN)
        if self._table.has_changed():
            self._table.refresh()
            if self._is_needed(network):
                fcntl.flock(self._locks[network], fcntl.LOCK_EX)
                return
        self._server.drop(network)
        self._unwatch(network)
        self._table.served.discard(network)
        self._idle_since.pop(network, None)
        os.unlink(f"{self._layout.names}/{network}")
        os.close(self._locks.pop(network))


def _hear_hangups(keeper: Keeper) -> None:
    """Make SIGHUP release at once whatever is not needed: another process wants the address."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def look() -> None:
        os.read(reader, 4096)
        keeper.look(0)

    keeper.loop.watch(reader, look)
    _signal.set_wakeup_fd(writer)
    _signal.signal(SIGNALS["HUP"], lambda *_: None)


def main() -> None:
    """Entry point of the process. argv: ROOT; stdin is the socket through which networks are handed over."""
    from pypod.engine.core.context import Context

    listener = _socket.socket(fileno=_STANDARD_INPUT)
    listener.setblocking(False)
    if not os.path.exists(Layout(sys.argv[1]).database):  # deleted meanwhile: an engine would create it anew
        return
    with Context(sys.argv[1]) as context:
        keeper = Keeper(context, listener)
        _hear_hangups(keeper)
        fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, SERVER_NAME.encode())
        os.close(fd)
        keeper.loop.run()
