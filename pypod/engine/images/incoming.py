"""A layer being pulled: the part of its blob received so far, and the tree that it is unpacked into.

Both lie in a directory for one blob at one position in a stack of layers, whose lock is held while it is worked on. An
image can claim any diff id, even that of a public base image: if the directory belonged to the layer alone, data of
another blob would pass for the beginning of this one.

A partial blob cannot be trusted until the whole has been checked against its digest. It may come from a registry that
lied, or from a disk that lost power, so it is used for one attempt and never outlives a need for the space it takes.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pypod.engine.core.locks import AT_ONCE, NO_SPACE, Lock
from pypod.engine.core.parallel import Stopped
from pypod.engine.storage.trash import discard
from pypod.errors import RegistryError, StoreError
from pypod.images.new_file import PIECE_BYTES
from pypod.kernel.allocation import spread
from pypod.kernel.descriptors import write_all
from pypod.store.failures import wants_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pypod.engine.core.context import Context
    from pypod.model.images.image import Descriptor

_BLOB = "blob"


class Incoming:
    """The directory of a layer being pulled. Every other method requires ``lock`` to be held."""

    def __init__(self, context: Context, chain: str, descriptor: Descriptor) -> None:
        self._context = context
        self._size_bytes = descriptor.size
        self.directory = context.layout.incoming(chain, descriptor.digest)
        self.blob = f"{self.directory}/{_BLOB}"

    def lock(self) -> Lock:
        """Return the layer's lock, which creates the directory; on release it is removed if empty."""
        return Lock(self.directory)

    def prepare(self) -> None:
        """Remove what an earlier attempt unpacked, and anything that cannot be the beginning of the blob."""
        self._discard_trees()
        spread(self.directory)
        if self.begun_bytes > self._size_bytes:
            self.forget()

    @property
    def begun_bytes(self) -> int:
        """How much of the blob an earlier attempt received."""
        try:
            return os.stat(self.blob, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def tree(self) -> str:
        """Return a new directory to unpack into. Its name stays the same among the finished layers."""
        made = self.new_path()
        os.mkdir(made, 0o755)
        return made

    def new_path(self) -> str:
        """Return a path where a tree can be created."""
        return f"{self.directory}/{os.urandom(4).hex()}"

    def forget(self) -> None:
        """Discard the partial blob."""
        with suppress(FileNotFoundError):
            os.unlink(self.blob)

    def fail(self, error: BaseException) -> None:
        """Discard what a failed attempt unpacked, and the partial blob unless the attempt was merely interrupted.

        When the disk was full, the trees are deleted before this returns, so that their space is free at once.
        """
        if isinstance(error, Exception) and not isinstance(error, RegistryError | Stopped):
            self.forget()
        self._discard_trees(wait=is_full(error))

    def _discard_trees(self, *, wait: bool = False) -> None:
        found = [f"{self.directory}/{name}" for name in os.listdir(self.directory) if name != _BLOB]
        discard(self._context, found, wait=wait)

    def pieces(self, rest: Callable[[int], Iterator[bytes]]) -> Generator[bytes, None, None]:
        """Yield the part received earlier and then ``rest`` from that offset on, stored as it arrives."""
        fd = os.open(self.blob, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "r+b", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
            if (begun := file.tell()) < self._size_bytes:
                for piece in rest(begun):
                    write_all(fd, piece)
                    yield piece


def is_full(error: BaseException) -> bool:
    """Return whether an error says that the disk is full, for files or for the database."""
    return getattr(error, "errno", None) in NO_SPACE or (isinstance(error, StoreError) and wants_space(error))


def make_room(context: Context) -> bool:
    """Delete the partial layers that no process is working on; return whether there were any."""
    directory = f"{context.layout.images}/incoming"
    found = False
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        path = f"{directory}/{name}"
        with suppress(BlockingIOError, FileNotFoundError), Lock(path, AT_ONCE) as lock, lock:
            if os.listdir(path):
                discard(context, [path], wait=True)
                found = True
    return found
