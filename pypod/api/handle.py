"""Base classes of the handles of pods and containers: identity, the end of a ``with`` block, networks."""

from __future__ import annotations

import os
from _collections_abc import Sequence

from pypod.api import types
from pypod.errors import NoSuchContainer
from pypod.model import ids
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypod.store.records import ContainerRecord


class Handle:
    """An engine and an id. Whatever can change is read from the store and the kernel each time."""

    __slots__ = ("_engine", "_entered_by", "_name", "id")

    def __init__(self, engine: types.Engine, identifier: str, name: str) -> None:
        self._engine = engine
        self.id = identifier
        self._name = name
        self._entered_by = os.getpid()

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    def remove(self, *, force: bool = False, timeout: float | None = None) -> None:
        """Remove it."""
        raise NotImplementedError

    def _network_record(self) -> ContainerRecord:
        """Return the container that is connected to networks on its behalf."""
        raise NotImplementedError

    def connect(
        self,
        network: types.Network | str,
        *,
        ip: str = "",
        ip6: str = "",
        mac_address: str = "",
        aliases: Sequence[str] = (),
    ) -> None:
        """Connect it to another network, at once if it is running, else at its next start. ``aliases`` are more names.

        Raises NoSuchNetwork, AlreadyExists when it is already connected, InUse when no address is available, and
        InvalidSpec when it has no network of its own.
        """
        from pypod.engine.containers.connecting import connect_to

        record, name = self._network_record(), network if isinstance(network, str) else network.id
        connect_to(self._engine, record, name, ip=ip, ip6=ip6, mac_address=mac_address, aliases=aliases)

    def disconnect(self, network: types.Network | str) -> None:
        """Disconnect it from a network. Raises WrongState when it is not connected to it."""
        from pypod.engine.containers.connecting import disconnect_from

        disconnect_from(self._engine, self._network_record(), network if isinstance(network, str) else network.id)

    def __exit__(self, *_: object) -> None:
        if self._entered_by == os.getpid():  # a forked child of the owner leaves the block, too
            self.remove(force=True)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {ids.short(self.id)}>"


class ContainerHandle(Handle):
    """A container's record and directory, for the methods that are in modules of their own."""

    __slots__ = ()

    @property
    def directory(self) -> str:
        """The directory that holds its log, status and layers."""
        return self._engine.layout.container(self.id)

    def record(self) -> types.ContainerRecord:
        """Return its row in the database. Raises NoSuchContainer when it was removed."""
        try:
            return records.find_container(self._engine.database, self.id)
        except NoSuchContainer:
            raise NoSuchContainer(self._name) from None
