"""One file of a tree that is copied: what it is, whose it is, and where its content comes from."""

from __future__ import annotations

from pypod.images.tar.entries import FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Item:
    """One file, directory, link or device on its way from one tree or archive to another.

    ``path`` is relative to what is copied to, ``kind`` is the type of a tar entry, ``link`` the target of a symbolic
    link, or the path of the first item of a hard link. ``uid`` and ``gid`` are those inside of the container. The
    content of a file is read from ``fd``, which belongs to the reader, or comes in ``pieces``. A ``generated`` file is
    one of the kernel's: its size is known only at its end.
    """

    __slots__ = (
        "attributes",
        "device",
        "fd",
        "generated",
        "gid",
        "kind",
        "link",
        "mode",
        "mtime_ns",
        "path",
        "pieces",
        "size",
        "uid",
    )

    def __init__(
        self,
        path: str,
        kind: str = FILE,
        *,
        mode: int = 0,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_ns: int = 0,
        device: int = 0,
        link: str = "",
        attributes: Mapping[str, bytes] | None = None,
        fd: int = -1,
        pieces: Iterator[bytes] | None = None,
        generated: bool = False,
    ) -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime_ns = mtime_ns
        self.device = device
        self.link = link
        self.attributes = attributes or {}
        self.fd = fd
        self.pieces = pieces
        self.generated = generated

    def __repr__(self) -> str:
        return f"<Item {self.kind} {self.path!r}>"
