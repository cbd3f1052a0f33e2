"""The words of --security-opt: which of a host's protections a container goes without, and which it has in addition."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    class SecurityOptions(TypedDict, total=False):
        """The fields of a ContainerSpec that --security-opt sets."""

        seccomp: str
        no_new_privileges: bool
        masks: tuple[str, ...]
        unmasks: tuple[str, ...]
        proc_options: tuple[str, ...]


_SECURITY_KEYS = ("apparmor", "label", "mask", "proc-opts", "seccomp", "systempaths", "unmask")  # each with a value


def security_options(words: Sequence[str]) -> SecurityOptions:
    """Read podman's --security-opt: seccomp=, no-new-privileges, mask=, unmask=, label= and apparmor=."""
    fields: SecurityOptions = {}
    for word in words:
        key, separator, value = word.partition("=") if "=" in word else word.partition(":")
        _check_security_option(word, key, separator, value)
        if key == "seccomp":
            fields["seccomp"] = _seccomp_file(value)
        elif key == "no-new-privileges":
            fields["no_new_privileges"] = value != "false"
        elif key == "mask":
            fields["masks"] = tuple(value.split(":"))
        elif key == "unmask":
            fields["unmasks"] = _unmasks(value.split(":"))
        elif key == "systempaths":
            fields["unmasks"] = ("ALL",)
        elif key == "proc-opts":
            fields["proc_options"] = tuple(value.split(","))
    return fields


def _check_security_option(word: str, key: str, separator: str, value: str) -> None:
    """Raise InvalidSpec for a word of --security-opt that is unknown or lacks its value."""
    message = f'invalid --security-opt {2 if separator else 1}: "{word}"'
    if key == "no-new-privileges":
        wrong = bool(separator) and value not in ("true", "false")
    else:
        wrong = key not in _SECURITY_KEYS or not separator or not (value or key in ("apparmor", "label"))
    if not wrong and key == "mask" and not all(path.startswith("/") for path in value.split(":")):
        wrong, message = True, f"invalid mask {value!r}: a path must be absolute"
    elif not wrong and key == "systempaths" and value != "unconfined":
        wrong, message = True, f'invalid systempaths option "{value}", only `unconfined` is supported'
    elif not wrong and key == "apparmor" and value != "unconfined":
        wrong, message = True, f'apparmor profile "{value}" specified, but Apparmor is not enabled on this system'
    if wrong:
        raise InvalidSpec("--security-opt", message)


def _unmasks(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths with patterns (/proc/*) replaced by what they match of the paths that can be unmasked."""
    if any(path.lower() == "all" for path in paths):
        return ("ALL",)
    if not any(map(_is_pattern, paths)):
        return tuple(paths)
    from fnmatch import fnmatchcase

    from pypod.runtime.oci import MASKED_PATHS, READ_ONLY_PATHS

    known = (*MASKED_PATHS, *READ_ONLY_PATHS, "/sys/fs/cgroup")
    # as filepath.Match of Go: a star matches no slash
    found = (one for path in paths for one in known if one.count("/") == path.count("/") and fnmatchcase(one, path))
    return tuple(dict.fromkeys((*(path for path in paths if not _is_pattern(path)), *found)))


def _is_pattern(path: str) -> bool:
    return not {"*", "?", "["}.isdisjoint(path)


def _seccomp_file(value: str) -> str:
    if value == "unconfined":
        return value
    path = os.path.abspath(value)
    if not os.path.isfile(path):
        raise InvalidSpec("--security-opt", f"opening seccomp profile failed: open {value}: no such file or directory")
    import json

    try:
        with open(path, "rb") as file:
            json.load(file)
    except (OSError, ValueError) as error:
        message = f"loading seccomp profile ({value}) failed: decoding seccomp profile failed: {error}"
        raise InvalidSpec("--security-opt", message) from error
    return path
