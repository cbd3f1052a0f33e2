"""The mounts a user asks for, shared by the command line, images, volumes and the compiler."""

from __future__ import annotations

from posixpath import normpath

from pypod.errors import InvalidSpec
from pypod.model.ids import is_id
from pypod.model.value import Value

PROPAGATIONS = ("rprivate", "private", "rslave", "slave")


def plain_path(path: str) -> str:
    """Return an absolute path in the form of the kernel's own listings: ``//a/./b/`` is ``/a/b``.

    POSIX allows two leading slashes a meaning of their own, so ``normpath`` keeps them; to Linux they are one.
    """
    return "/" + normpath(path).lstrip("/")


class Mount(Value):
    """One mount in a container.

    ``type`` is ``bind``, ``tmpfs``, or ``volume`` for an anonymous volume; ``source`` is the host path of a bind, or
    the id of the volume, in a plan its path; ``target`` is an absolute path in the container; ``options`` are those of
    the file system (``size=64m``). With ``copy_up``, a tmpfs starts with a copy of the directory that it covers. The
    remaining fields are what the kernel calls mount attributes.
    """

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    no_suid: bool = False
    no_dev: bool = False
    no_exec: bool = False
    recursive: bool = True
    propagation: str = "rprivate"
    copy_up: bool = True
    options: tuple[str, ...] = ()
    argument: str = "--mount"

    def check(self) -> None:
        if self.type not in ("bind", "tmpfs", "volume"):
            raise InvalidSpec(self.argument, f"invalid filesystem type {self.type!r}", hint="use bind or tmpfs")
        if not self.target.startswith("/"):
            raise InvalidSpec(self.argument, f"invalid container path {self.target!r}, must be an absolute path")
        if "\0" in self.target or "\0" in self.source:
            raise InvalidSpec(self.argument, "a path must not contain a NUL byte")
        if self.target.rstrip("/") == "" or self.target.split("/").count(".."):
            raise InvalidSpec(self.argument, f"invalid container path {self.target!r}: must be below /")
        if self.type == "bind" and not self.source.startswith("/"):
            raise InvalidSpec(self.argument, f"invalid host path {self.source!r}, must be an absolute path")
        if self.type == "volume" and not (is_id(self.source) or self.source.startswith("/")):
            raise InvalidSpec(self.argument, f"invalid volume {self.source!r}: must be an id or a path")
        if self.propagation not in PROPAGATIONS:
            raise InvalidSpec(self.argument, f"unsupported mount propagation {self.propagation!r}")


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
    "bind": ("recursive", False),
    "rbind": ("recursive", True),
    "tmpcopyup": ("copy_up", True),
    "notmpcopyup": ("copy_up", False),
}
_TRUE = frozenset(("", "true", "1", "t", "True", "TRUE"))


def _flags(words: list[str], argument: str) -> dict[str, object]:
    fields: dict[str, object] = {}
    for word in words:
        if word in _FLAGS:
            name, value = _FLAGS[word]
            if fields.setdefault(name, value) is not value:
                raise InvalidSpec(argument, f"invalid options {', '.join(words)!r}: {word!r} contradicts another")
        elif word in PROPAGATIONS:
            fields["propagation"] = word
        elif word in ("z", "Z"):
            continue  # SELinux labels: no effect without SELinux, as in podman
        elif word in ("O", "U", "copy", "nocopy") or word.startswith(("upperdir=", "workdir=", "idmap")):
            raise InvalidSpec(argument, f"mount option {word!r} is not available yet")
        else:
            raise InvalidSpec(argument, f"invalid mount option {word!r}")
    return fields


def parse_volume(text: str, argument: str = "--volume") -> Mount:
    """Parse ``HOST-DIR:CONTAINER-DIR[:OPTIONS]`` like podman's -v. Named volumes are not available yet."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts[:2]):
        raise InvalidSpec(argument, f"incorrect volume format {text!r}, should be host-dir:ctr-dir[:option]")
    if parts[0].startswith("."):  # a path, as in podman; anything else is the name of a volume
        import os

        parts[0] = os.path.abspath(parts[0])
    if not parts[0].startswith("/"):
        raise InvalidSpec(
            argument,
            f"invalid host path {parts[0]!r}: named volumes are not available yet",
            hint="use an absolute path",
        )
    fields = _flags(parts[2].split(",") if len(parts) == 3 else [], argument)
    return Mount(type="bind", source=parts[0], target=parts[1], argument=argument, **fields)  # type: ignore[arg-type]


def parse_tmpfs(text: str, argument: str = "--tmpfs") -> Mount:
    """Parse ``DIRECTORY[:OPTIONS]`` like podman's --tmpfs: nosuid, nodev, noexec and writable by default."""
    target, _, options = text.partition(":")
    fields: dict[str, object] = {"no_suid": True, "no_dev": True}
    words = options.split(",") if options else []
    own = [word for word in words if "=" in word]
    fields.update(_flags([word for word in words if "=" not in word], argument))
    return Mount(type="tmpfs", target=target, options=tuple(own), argument=argument, **fields)  # type: ignore[arg-type]


_KEYS = {
    "source": "source",
    "src": "source",
    "target": "target",
    "destination": "target",
    "dst": "target",
    "dest": "target",
}


def parse_mount(text: str, argument: str = "--mount") -> Mount:
    """Parse ``type=bind,source=/a,target=/b,ro`` like podman's --mount."""
    fields: dict[str, object] = {}
    own: list[str] = []
    flags: list[str] = []
    kind = ""
    for word in text.split(","):
        key, _, value = word.partition("=")
        if key == "type":
            kind = value
        elif key in _KEYS:
            fields[_KEYS[key]] = value
        elif key in ("tmpfs-size", "tmpfs-mode"):
            own.append(f"{key[6:]}={value}")
        elif key in ("bind-propagation", "propagation"):
            fields["propagation"] = value
        elif key == "bind-nonrecursive":
            fields["recursive"] = value not in _TRUE
        elif key in ("ro", "readonly", "rw"):
            flags.append("ro" if (value in _TRUE) == (key != "rw") else "rw")
        else:
            flags.append(word)
    fields.update(_flags(flags, argument))
    if not kind:
        raise InvalidSpec(argument, f"invalid mount {text!r}: type=bind or type=tmpfs is missing")
    if kind == "volume":  # an anonymous volume has no name, and comes with the image
        raise InvalidSpec(argument, f"invalid filesystem type {kind!r}", hint="use bind or tmpfs")
    if "target" not in fields:
        raise InvalidSpec(argument, f"invalid mount {text!r}: must set volume destination")
    if kind == "tmpfs":
        fields = {"no_suid": True, "no_dev": True, **fields}
    return Mount(type=kind, options=tuple(own), argument=argument, **fields)  # type: ignore[arg-type]
