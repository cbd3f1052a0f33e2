"""The mounts a user asks for, shared by the command line, images, volumes and the compiler."""

from __future__ import annotations

from posixpath import normpath

from pypod.errors import InvalidSpec
from pypod.model.ids import check_name
from pypod.model.value import Value

PROPAGATIONS = (
    *("rprivate", "private", "rslave", "slave"),
    *("rshared", "shared", "runbindable", "unbindable"),
)
BIND, TMPFS, VOLUME, IMAGE, DEVPTS, RAMFS = "bind", "tmpfs", "volume", "image", "devpts", "ramfs"
TYPES = (BIND, TMPFS, VOLUME, IMAGE, DEVPTS, RAMFS)


def plain_path(path: str) -> str:
    """Return an absolute path in the form of the kernel's own listings: ``//a/./b/`` is ``/a/b``.

    POSIX allows two leading slashes a meaning of their own, so ``normpath`` keeps them; to Linux they are one.
    """
    return "/" + normpath(path).lstrip("/")


class Mount(Value):
    """One mount in a container.

    ``type`` is bind, tmpfs, volume, image, devpts or ramfs; ``source`` is the host path of a bind, the name of a volume
    (in a plan its path), or an image; ``target`` is an absolute path in the container. A volume without a name is
    ``anonymous``: creating the container gives it one. ``options`` are those of the file system (``size=64m``); a
    volume that does not exist is created with them, as by ``volume create --opt``.

    With ``copy_up``, a tmpfs starts with a copy of the directory that it covers, and a new volume, too. With ``chown``
    the files of a bind or volume are given to the container's user first. ``idmap`` maps their owners to the
    container's user namespace. ``subpath`` is the part of a volume or image to mount. With ``overlay``, what the
    container writes to a bind or volume goes to a layer above it and ends with the container, unless ``options`` name
    another (``upperdir=``, ``workdir=``). ``relabel`` (z or Z) has no effect without SELinux. The remaining fields are
    what the kernel calls mount attributes; ``no_suid`` and ``no_dev`` are the default of file systems in memory.
    """

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    no_suid: bool = None  # type: ignore[assignment]  # then as podman: True in memory, otherwise False
    no_dev: bool = None  # type: ignore[assignment]
    no_exec: bool = False
    recursive: bool = True
    propagation: str = "rprivate"
    copy_up: bool = True
    options: tuple[str, ...] = ()
    anonymous: bool = False
    chown: bool = False
    idmap: bool = False
    subpath: str = ""
    overlay: bool = False
    relabel: str = ""
    argument: str = "--mount"

    def check(self) -> None:
        for name in ("no_suid", "no_dev"):
            if self.__dict__[name] is None:
                self.__dict__[name] = self.type in (TMPFS, RAMFS)
        if self.type not in TYPES:
            raise InvalidSpec(self.argument, f'invalid filesystem type "{self.type}"', hint=f"use {', '.join(TYPES)}")
        if not self.target.startswith("/"):
            raise InvalidSpec(self.argument, f'invalid container path "{self.target}", must be an absolute path')
        if any("\0" in text for text in (self.target, self.source, self.subpath, *self.options)):
            raise InvalidSpec(self.argument, "a path must not contain a NUL byte")
        if self.target.rstrip("/") == "" or self.target.split("/").count(".."):
            raise InvalidSpec(self.argument, f"invalid container path {self.target!r}: must be below /")
        if self.type == BIND and not self.source.startswith("/"):
            raise InvalidSpec(self.argument, f"invalid host path {self.source!r}, must be an absolute path")
        if self.type == IMAGE and not self.source:
            raise InvalidSpec(self.argument, "must set source and destination for image volume")
        if self.type == VOLUME and self.source and not self.source.startswith("/"):
            check_volume_name(self.source, self.argument)
        if self.propagation not in PROPAGATIONS:
            raise InvalidSpec(self.argument, f'invalid option type "{self.propagation}"')
        if self.overlay and self.type not in (BIND, VOLUME):
            raise InvalidSpec(self.argument, f"only a directory or a volume can be an overlay, not {self.type}")


def check_volume_name(name: str, argument: str) -> str:
    """Return the name of a volume if podman allows it. Raises InvalidSpec with podman's message."""
    try:
        return check_name(name)
    except InvalidSpec as error:
        message = f'creating named volume "{name}": running volume create option: {error.message}'
        raise InvalidSpec(argument, message) from None


_FLAGS: dict[str, tuple[str, bool]] = {
    "ro": ("read_only", True),
    "readonly": ("read_only", True),
    "rw": ("read_only", False),
    "nosuid": ("no_suid", True),
    "suid": ("no_suid", False),
    "nodev": ("no_dev", True),
    "dev": ("no_dev", False),
    "noexec": ("no_exec", True),
    "exec": ("no_exec", False),
    "tmpcopyup": ("copy_up", True),
    "notmpcopyup": ("copy_up", False),
}
_CHOICES = {  # as podman names them
    "read_only": "'rw' and 'ro'",
    "no_suid": "'nosuid' and 'suid'",
    "no_dev": "'nodev' and 'dev'",
    "no_exec": "'noexec' and 'exec'",
    "copy_up": "'tmpcopyup' and 'notmpcopyup'",
}
_NOT_IN_MEMORY = (("bind", "rbind"), ("z", "Z"))


def _flags(words: list[str], argument: str) -> dict[str, object]:
    fields: dict[str, object] = {}
    for word in words:
        if word in _FLAGS:
            name, value = _FLAGS[word]
            if name in fields:
                message = f"only one of {_CHOICES[name]} can be used: duplicate mount option passed"
                raise InvalidSpec(argument, message)
            fields[name] = value
        elif word in PROPAGATIONS:
            fields["propagation"] = word
        else:
            for one, other in _NOT_IN_MEMORY:
                if word in (one, other):
                    message = f"the '{one}' and '{other}' options are not allowed with tmpfs mounts"
                    raise InvalidSpec(argument, f"{message}: invalid mount option")
            from pypod.model.words import quoted

            raise InvalidSpec(argument, f"unknown mount option {quoted(word)}: invalid mount option")
    return fields


def parse_tmpfs(text: str, argument: str = "--tmpfs") -> Mount:
    """Parse ``DIRECTORY[:OPTIONS]`` like podman's --tmpfs: nosuid, nodev, noexec and writable by default."""
    target, _, options = text.partition(":")
    if not target:
        raise InvalidSpec(argument, "container directory cannot be empty")
    fields: dict[str, object] = {"no_suid": True, "no_dev": True}
    words = options.split(",") if options else []
    own = [word for word in words if "=" in word]
    fields.update(_flags([word for word in words if "=" not in word], argument))
    return Mount(type="tmpfs", target=target, options=tuple(own), argument=argument, **fields)  # type: ignore[arg-type]
