"""The options of volumes of the local driver, as ``volume create --opt`` takes them."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, Unsupported
from pypod.model import plain_json
from pypod.model.volume import VolumeRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = "local"
_OPTION = "--opt"
_KNOWN = ("type", "device", "o", "uid", "gid", "size", "inodes", "noquota", "copy", "nocopy")
# What podman derives from o=, and what does not make a volume a mount.
_DERIVED = ("UID", "GID", "SIZE", "INODES", "NOQUOTA")
_OURS = (*_DERIVED, "copy", "nocopy")
_UNITS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def read(options: Mapping[str, str]) -> dict[str, str]:
    """Return options in the form in which podman shows and keeps them. Raises InvalidSpec."""
    found: dict[str, str] = {}
    for key, value in options.items():
        if key.lower() not in _KNOWN:
            raise InvalidSpec(_OPTION, f"invalid mount option {key} for driver 'local': invalid argument")
        if key.lower() == "o":
            found |= _of_mount(key, value)
        else:
            found[key] = value
    kind = found.get("type", "").lower()
    if kind == "bind" and "device" in found and not os.path.exists(found["device"]):
        message = f"invalid volume option device for driver 'local': stat {found['device']}: no such file or directory"
        raise InvalidSpec(_OPTION, message)
    if "NOQUOTA" in found and ("SIZE" in found or "INODES" in found):
        raise InvalidSpec(_OPTION, "volume options size and inodes cannot be used without quota")
    if kind == "tmpfs" and "INODES" in found:
        raise InvalidSpec(_OPTION, "volume option inodes not supported on tmpfs filesystem")
    return dict(sorted(found.items()))


def _of_mount(key: str, value: str) -> dict[str, str]:
    """Read ``o=``: what is podman's own is kept beside it."""
    found, kept = {}, []
    for word in value.split(","):
        name, _, given = word.partition("=")
        lowered = name.lower()
        if lowered in ("uid", "gid"):
            if not (given.isascii() and given.isdecimal()):
                message = f'cannot convert {lowered.upper()} {given} to integer: strconv.Atoi: parsing "{given}"'
                raise InvalidSpec(_OPTION, f"{message}: invalid syntax")
            found[lowered.upper()] = given
        elif lowered == "size":
            size_bytes(given)
            found["SIZE"] = given
        elif lowered == "inodes":
            if not (given.isascii() and given.isdecimal()):
                message = f'cannot convert inodes {given} to integer: strconv.ParseUint: parsing "{given}"'
                raise InvalidSpec(_OPTION, f"{message}: invalid syntax")
            found["INODES"] = given
        elif lowered == "noquota":
            found["NOQUOTA"] = "true"
            continue
        elif lowered == "timeout":
            message = "Volume driver timeout can only be used with non-local volume drivers: invalid argument"
            raise InvalidSpec(_OPTION, f"running volume create option: {message}")
        kept.append(word)
    return {**found, key: ",".join(kept)} if kept else found


def size_bytes(text: str) -> int:
    """Return a size as docker/go-units' FromHumanSize reads it: units are powers of 1000. Raises InvalidSpec."""
    number = text.strip().lower().removesuffix("b")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        found = int(float(number[: len(number) - len(unit)]) * 1000 ** _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise InvalidSpec(_OPTION, f"cannot convert size {text} to integer: invalid size: '{text}'") from None
    if found < 0:
        raise InvalidSpec(_OPTION, f"cannot convert size {text} to integer: invalid size: '{text}'")
    return found


def record(
    name: str,
    created_ns: int,
    *,
    options: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    anonymous: bool = False,
) -> VolumeRecord:
    """Return the record of a new volume with options from ``read``."""
    owned = "UID" in options or "GID" in options
    return VolumeRecord(
        name=name,
        driver=LOCAL,
        created_ns=created_ns,
        anonymous=int(anonymous),
        labels=plain_json.dumps(sorted((labels or {}).items())),
        options=plain_json.dumps(list(options.items())),
        needs_owner=int(not owned),
    )


def require_driver(driver: str, name: str) -> None:
    """Raise Unsupported for a driver that pypod does not have, InvalidSpec for one that does not exist."""
    if driver == "image":
        raise Unsupported("--driver image", "the image driver is not available", hint="run --mount type=image,rw=true")
    if driver != LOCAL:
        message = f"volume {name} uses volume plugin {driver} but it could not be retrieved"
        reason = f"no volume plugin with name {driver} available: required plugin missing"
        raise InvalidSpec("--driver", f"{message}: {reason}")


def is_mount(options: Mapping[str, str]) -> bool:
    """Return whether a volume is a file system that has to be mounted, rather than a directory."""
    if options.keys() <= set(_OURS):
        return False
    others = options.keys() - {*_OURS, "o"}
    # uid, gid, size and inodes alone, which are also in o, apply to the directory
    return bool(others) or not all(
        word.partition("=")[0].lower() in ("uid", "gid", "size", "inodes", "noquota")
        for word in options["o"].split(",")
    )


def mount_words(options: Mapping[str, str]) -> tuple[str, str, str]:
    """Return type, device and options of a volume's file system as mount(8) takes them."""
    kind, device = options.get("type", ""), options.get("device", "")
    given = options.get("o", "")
    if kind == "bind":
        kind, given = "", f"{given},bind" if given else "bind"
    return kind, device or kind, given
