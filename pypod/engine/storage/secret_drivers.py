"""Drivers that keep the content of secrets outside of the storage: commands of the shell, and gpg for ``pass``.

The content of such a secret is looked up when a container is created with it, and kept in the container's directory.
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, SystemFailure, Unsupported
from pypod.kernel.programs import installed
from pypod.model.secret import BYTES_LIMIT, FILE_DRIVER, SecretSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASS, SHELL = "pass", "shell"
_COMMANDS = ("delete", "list", "lookup", "store")
_STORES = (".password-store", ".local/share/gopass/stores/root")  # below the home directory
_KEY_FILE = ".gpg-id"


def check(driver: str, options: Mapping[str, str]) -> None:
    """Raise InvalidSpec for a driver that does not exist, and for options that it cannot work with."""
    if driver not in (FILE_DRIVER, PASS, SHELL):
        raise InvalidSpec("--driver", "invalid driver")
    if driver == SHELL:
        for name in options:
            if name not in _COMMANDS:
                raise InvalidSpec("--driver-opts", f'invalid shell driver option: "{name}"')
        if not all(options.get(name) for name in _COMMANDS):
            hint = f"the shell driver needs {', '.join(_COMMANDS)}"
            raise InvalidSpec("--driver-opts", "missing config value", hint=hint)


def store(spec: SecretSpec, content: bytes) -> None:
    """Have a driver keep the content of a new secret. Raises SystemFailure."""
    if spec.driver == SHELL:
        code, _ = _shell(spec, "store", content)
    else:
        _, key, file = _password_store(spec)
        code, _ = _gpg(spec, ["--encrypt", "-r", key, "-o", file], content)
    if code:
        raise SystemFailure(f"create secret {spec.name}", 0, f"creating secret {spec.name}: exit status {code}")


def lookup(spec: SecretSpec) -> bytes:
    """Return the content of a secret. Raises SystemFailure when its driver does not have it."""
    if spec.driver == SHELL:
        code, found = _shell(spec, "lookup")
    else:
        code, found = _gpg(spec, ["--decrypt", _password_store(spec)[2]])
    if code or not found:
        raise _gone(spec)
    return found[:BYTES_LIMIT]


def delete(spec: SecretSpec) -> None:
    """Have a driver delete the content of a secret. Raises SystemFailure when it cannot."""
    if spec.driver == SHELL:
        failed = _shell(spec, "delete")[0] != 0
    else:
        try:
            os.unlink(_password_store(spec)[2])
            failed = False
        except OSError:
            failed = True
    if failed:
        raise _gone(spec, f"deleting secret {spec.name}: ")


def _gone(spec: SecretSpec, begin: str = "") -> SystemFailure:
    return SystemFailure(f"use secret {spec.name}", 2, f"{begin}{spec.id}: no secret data with ID")


def _shell(spec: SecretSpec, command: str, content: bytes = b"") -> tuple[int, bytes]:
    words = ["/bin/sh", "-c", dict(spec.options)[command]]
    return _run(words, content, {**os.environ, "SECRET_ID": spec.id}, quiet=False)


def _password_store(spec: SecretSpec) -> tuple[str, str, str]:
    """Return the directory of a store of passwords, the key that they are encrypted for, and a secret's file in it."""
    options = dict(spec.options)
    root, key = options.get("root", ""), ""
    if not root:
        home = os.path.expanduser("~")
        root = next((path for name in _STORES if os.path.isdir(path := f"{home}/{name}")), "")
        key = _key_of(root) if root else ""
    else:
        above = os.path.abspath(root)
        while not (key := _key_of(above)) and above != "/":
            above = os.path.dirname(above)
    return root, options.get("key") or key, os.path.join(root, f"{spec.id}.gpg")


def _key_of(directory: str) -> str:
    try:
        with open(f"{directory}/{_KEY_FILE}", encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def _gpg(spec: SecretSpec, words: Sequence[str], content: bytes = b"") -> tuple[int, bytes]:
    home = dict(spec.options).get("gpghomedir", "")
    program = installed("gpg")
    if not program:
        raise Unsupported("--driver", 'exec: "gpg": executable file not found in $PATH', hint="install gpg")
    return _run([program, *(("--homedir", home) if home else ()), *words], content, dict(os.environ), quiet=True)


def _run(words: Sequence[str], content: bytes, variables: dict[str, str], *, quiet: bool) -> tuple[int, bytes]:
    import subprocess

    done = subprocess.run(
        words,
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        env=variables,
        check=False,
    )
    return done.returncode, done.stdout
