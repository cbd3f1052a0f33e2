"""Mounts as podman's -v and --mount write them: forms, options and messages are those of podman."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.mount import BIND, DEVPTS, IMAGE, PROPAGATIONS, RAMFS, TMPFS, VOLUME, Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Fields = dict[str, Any]

# Words of which one may be given: how podman names the choice, and the field and value of each word.
_ATTRIBUTES: tuple[tuple[str, dict[str, tuple[str, object]]], ...] = (
    ("'noexec' or 'exec'", {"noexec": ("no_exec", True), "exec": ("no_exec", False)}),
    ("'nodev' or 'dev'", {"nodev": ("no_dev", True), "dev": ("no_dev", False)}),
    ("'nosuid' or 'suid'", {"nosuid": ("no_suid", True), "suid": ("no_suid", False)}),
)
_CHOICES: tuple[tuple[str, dict[str, tuple[str, object]]], ...] = (
    *_ATTRIBUTES,
    ("'rw' or 'ro'", {"rw": ("read_only", False), "ro": ("read_only", True)}),
    ("'z', 'Z', or 'O'", {"z": ("relabel", "z"), "Z": ("relabel", "Z"), "O": ("overlay", True)}),
    ("'U'", {"U": ("chown", True)}),
    (
        "'[r]shared', '[r]private', '[r]slave' or '[r]unbindable'",
        {word: ("propagation", word) for word in PROPAGATIONS},
    ),
    ("'[r]bind'", {"bind": ("recursive", False), "rbind": ("recursive", True)}),
    ("'copy' or 'nocopy'", {"copy": ("copy_up", True), "nocopy": ("copy_up", False)}),
)
_OF_WORD = {word: (choice, *found) for choice, words in _CHOICES for word, found in words.items()}
_FOR_MACS = ("cached", "delegated", "consistent")  # Docker's, of no effect elsewhere
_OVERLAY_DIRECTORIES = ("upperdir", "workdir")
_NEEDS_VALUE = "must provide an argument for option"
_INVALID = "invalid mount option"


def parse_volume(text: str, argument: str = "--volume") -> Mount:
    """Parse ``[HOST-DIR|NAME:]CONTAINER-DIR[:OPTIONS]`` like podman's -v.

    A source that begins with a dot or a slash is a path, any other one the name of a volume.
    """
    parts = text.split(":")
    if len(parts) > 3:
        message = f"{text}: incorrect volume format, should be [host-dir:]ctr-dir[:option]"
        raise InvalidSpec(argument, message)
    source, target, words = ("", parts[0], "") if len(parts) == 1 else (*parts, "")[:3]
    fields = _fields(words.split(",") if len(parts) == 3 else [], argument)
    if len(parts) > 1 and not source:
        raise InvalidSpec(argument, "host directory cannot be empty")
    if not target:
        raise InvalidSpec(argument, "container directory cannot be empty")
    if source.startswith((".", "/")):
        return Mount(type=BIND, source=absolute(source), target=target, argument=argument, **fields)
    return _volume(source, target, argument, fields)


def absolute(path: str) -> str:
    """Return a path of the host relative to the root instead of the working directory."""
    if path.startswith("/"):
        return path
    import os

    return os.path.abspath(path)


def _volume(source: str, target: str, argument: str, fields: Fields) -> Mount:
    """Return a mount of a volume: without devices and set-ID programs, unless asked for."""
    given = {"no_suid": True, "no_dev": True, **fields}
    if "options" in given and given.get("overlay") is None:
        raise InvalidSpec(argument, f'unknown mount option "{given["options"][0]}": {_INVALID}')
    return Mount(type=VOLUME, source=source, target=target, anonymous=not source, argument=argument, **given)


def _fields(words: Sequence[str], argument: str) -> Fields:
    """Return the fields for options of -v. Raises InvalidSpec."""
    fields: Fields = {}
    chosen: set[str] = set()
    for word in words:
        name = word.partition("=")[0]
        if name in _OVERLAY_DIRECTORIES:
            if any(one.startswith(name) for one in fields.get("options", ())):
                raise InvalidSpec(argument, f"invalid options {_listed(words)}, can only specify 1 {name} per overlay")
            fields["options"] = (*fields.get("options", ()), word)
        elif word == "idmap":
            fields["idmap"] = True
        elif word in _OF_WORD:
            choice, field, value = _OF_WORD[word]
            if choice in chosen:
                raise InvalidSpec(argument, f"invalid options {_listed(words)}, can only specify 1 {choice} option")
            chosen.add(choice)
            fields[field] = value
        elif word not in _FOR_MACS:
            raise InvalidSpec(argument, f'invalid option type "{word}"')
    if len(fields.get("options", ())) == 1:
        raise InvalidSpec(argument, "must set both `upperdir` and `workdir`")
    return fields


def _listed(words: Sequence[str]) -> str:
    return f'"{", ".join(words)}"'


def parse_mount(text: str, argument: str = "--mount") -> Mount:
    """Parse ``type=bind,source=/a,target=/b,ro`` like podman's --mount."""
    words = text.split(",") if '"' not in text else _csv(text, argument)
    kinds = [word.partition("=")[2] for word in words if word.startswith("type=")]
    if not kinds:
        form = "type=<bind|tmpfs|volume>,[src=<host-dir|volume-name>,]target=<ctr-dir>[,options]"
        raise InvalidSpec(argument, f"incorrect mount format: should be --mount {form}")
    reader = _READERS.get(kinds[-1])
    if reader is None:
        raise InvalidSpec(argument, f'invalid filesystem type "{kinds[-1]}"')
    return reader(_Words([word for word in words if not word.startswith("type=")], argument, kinds[-1]))


def _csv(text: str, argument: str) -> list[str]:
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise InvalidSpec(argument, f"parse error on line 1: {error}") from None


class _Words:
    """The words of a --mount flag besides its type, each looked up once. The rest is unknown."""

    def __init__(self, words: Sequence[str], argument: str, kind: str) -> None:
        self.argument = argument
        self.kind = kind
        self._left = [word.partition("=") for word in words]

    def error(self, message: str) -> InvalidSpec:
        return InvalidSpec(self.argument, message)

    def take(self, *names: str, repeated: bool = False) -> list[tuple[str, str | None]]:
        """Return name and value (None without an equals sign) of the words with these names, and drop them."""
        found = [(name, value if equals else None) for name, equals, value in self._left if name in names]
        self._left = [one for one in self._left if one[0] not in names]
        if len(found) > 1 and not repeated:
            choice = " and ".join(f"'{name}'" for name in names) if len(names) < 3 else _or(names)
            word = "option" if len(names) == 1 else "options"
            raise self.error(f"cannot pass {choice} {word} more than once: {_NEEDS_VALUE}")
        return found

    def text(self, *names: str) -> str | None:
        """Return the last value of the words with these names. Raises InvalidSpec when it is missing."""
        found = self.take(*names, repeated=True)
        for name, value in found:
            if not value:
                raise self.error(f"{name}: {_NEEDS_VALUE}")
        return found[-1][1] if found else None

    def truth(self, *names: str) -> bool | None:
        """Return the truth of a flag; None when it is not there."""
        for name, value in self.take(*names):
            if value in (None, "true", "1"):
                return True
            if value in ("false", "0"):
                return False
            choice = f"'{name}'" if len(names) == 1 else _or(names)
            raise self.error(f'{choice} must be set to true or false, instead received "{value}": {_NEEDS_VALUE}')
        return None

    def target(self) -> str:
        found = self.text("target", "dst", "destination", "dest")
        if found is None:
            raise self.error("must set volume destination")
        return found

    def read_only(self) -> Fields:
        """Return the field for ro and rw."""
        words = [name for name, _, _ in self._left if name in ("readonly", "ro", "rw")]
        found = self.truth("readonly", "ro", "rw")
        return {} if found is None else {"read_only": found != (words == ["rw"])}

    def attributes(self) -> Fields:
        """Return the fields for noexec, nosuid, nodev and their opposites."""
        fields: Fields = {}
        for _, words in _ATTRIBUTES:
            for name, _ in self.take(*words):
                field, value = words[name]
                fields[field] = value
        return fields

    def chown(self) -> Fields:
        found = self.truth("U", "chown")
        return {} if found is None else {"chown": found}

    def relabel(self) -> Fields:
        for _, value in self.take("relabel"):
            if value not in ("private", "shared"):
                raise self.error(f"relabel mount option must be 'private' or 'shared': {_INVALID}")
            return {"relabel": "Z" if value == "private" else "z"}
        return {}

    def id_map(self) -> Fields:
        found = self.truth("idmap")
        return {} if found is None else {"idmap": found}

    def made(self, target: str, **fields: Any) -> Mount:
        """Return the mount. Raises InvalidSpec for words that are left."""
        self.take("consistency", repeated=True)
        for name, _, _ in self._left:
            raise self.error(f"{name}: {_INVALID}")
        return Mount(type=self.kind, target=target, argument=self.argument, **fields)


def _or(names: Sequence[str]) -> str:
    *first, last = [f"'{name}'" for name in names]
    return f"{', '.join(first)}, or {last}" if len(first) > 1 else f"{first[0]} or {last}"


def _bind(words: _Words) -> Mount:
    fields = {**words.read_only(), **words.attributes(), **words.chown(), **words.relabel(), **words.id_map()}
    flat = words.truth("bind-nonrecursive")
    if flat is not None:
        fields["recursive"] = not flat
    spread = [value for _, value in words.take("bind-propagation", "propagation", repeated=True)]
    spread += [name for name, _ in words.take(*PROPAGATIONS, repeated=True)]
    if spread:
        if not spread[-1]:
            raise words.error(f"bind-propagation: {_NEEDS_VALUE}")
        fields["propagation"] = spread[-1]
    source = words.text("source", "src")
    target = words.target()
    return words.made(target, source=absolute(source or target), **fields)


def _of_volume(words: _Words) -> Mount:
    fields = {"no_suid": True, "no_dev": True, **words.read_only(), **words.attributes(), **words.chown()}
    fields |= {**words.relabel(), **words.id_map()}
    if words.take("volume-label", repeated=True):
        raise words.error("the --volume-label option is not presently implemented")
    options = [value or "" for _, value in words.take("volume-opt", repeated=True)]
    copied = words.truth("copy")
    for name in ("nocopy", "volume-nocopy"):
        found = words.truth(name)
        copied = copied if found is None else not found
    if copied is not None:
        fields["copy_up"] = copied
    subpath = words.text("subpath", "volume-subpath")
    sources = [value or "" for _, value in words.take("source", "src", repeated=True)]  # an empty one is anonymous
    source = sources[-1] if sources else ""
    return words.made(
        words.target(),
        source=source,
        anonymous=not source,
        subpath=subpath or "",
        options=tuple(options),
        **fields,
    )


def _of_image(words: _Words) -> Mount:
    source, target = words.text("source", "src"), words.text("target", "dst", "destination", "dest")
    if not source or not target:
        raise words.error("must set source and destination for image volume")
    subpath = words.text("subpath", "image-subpath")
    writable = None
    for name, value in words.take("rw", "readwrite"):
        if value not in (None, "true", "false"):
            raise words.error(f'invalid {name} value "{value}": {_INVALID}')
        writable = value != "false"
    return words.made(target, source=source, subpath=subpath or "", read_only=not writable, copy_up=False)


def _in_memory(words: _Words) -> Mount:
    fields = {"no_suid": True, "no_dev": True, **words.read_only(), **words.attributes(), **words.chown()}
    for name, _ in words.take("tmpcopyup", "notmpcopyup"):
        fields["copy_up"] = name == "tmpcopyup"
    if words.take("source", "src", repeated=True):
        raise words.error(f"source is not supported with {words.kind} mounts")
    options = []
    for name in ("size", "mode"):
        value = words.text(f"{words.kind}-{name}", f"tmpfs-{name}")
        if value is not None:
            options.append(f"{name}={value}")
    return words.made(words.target(), options=tuple(options), **fields)


def _devpts(words: _Words) -> Mount:
    options = []
    for name in ("uid", "gid", "mode", "max"):
        value = words.text(name)
        if value is not None:
            options.append(f"{name}={value}")
    return words.made(words.target(), options=tuple(options), copy_up=False)


_READERS: dict[str, Callable[[_Words], Mount]] = {
    BIND: _bind,
    VOLUME: _of_volume,
    IMAGE: _of_image,
    TMPFS: _in_memory,
    RAMFS: _in_memory,
    DEVPTS: _devpts,
}
