"""Simple signatures: a JSON claim about a manifest, signed with OpenPGP by gpg(1) (containers-signature(5))."""

from __future__ import annotations

import os
import subprocess
import tempfile

from pypod.errors import InvalidSpec, Unsupported
from pypod.images.trust import claims
from pypod.images.trust.claims import BadSignature
from pypod.kernel.programs import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPE = "atomic container signature"
_TIMEOUT_S = 30
_GOOD, _VALID = "GOODSIG", "VALIDSIG"
_QUIET = ("--batch", "--no-tty", "--no-options")


def _gpg() -> str:
    for name in ("gpg2", "gpg"):
        if found := installed(name):
            return found
    raise Unsupported("gpg", 'exec: "gpg2": executable file not found in $PATH', hint="install gpg (Debian: gpg)")


def claim_of(signature: bytes, keys: Sequence[bytes]) -> tuple[str, str]:
    """Return the digest and the name that a signature claims, made by one of the ``keys``.

    Raises BadSignature, Unsupported without gpg.
    """
    with tempfile.TemporaryDirectory(prefix="pypod-gpg-") as home:  # nothing of the caller's own keyring counts
        program = (_gpg(), *_QUIET, "--no-autostart", "--homedir", home)
        for key in keys:
            _run((*program, "--import"), key)
        done = _run((*program, "--status-fd", "2", "--decrypt"), signature)
    status = [line.split()[1] for line in done.stderr.decode("utf-8", "replace").splitlines() if "[GNUPG:] " in line]
    if done.returncode or status.count(_GOOD) != 1 or status.count(_VALID) != 1:
        raise BadSignature("Invalid GPG signature")
    return claims.read(done.stdout, _TYPE)


def _run(words: tuple[str, ...], data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False)


def sign(digest: str, name: str, identity: str, passphrase_file: str = "") -> bytes:
    """Return a signature by the key of the caller's keyring that belongs to ``identity``.

    Without a ``passphrase_file``, whose first line counts, a protected key is one that its agent has unlocked.

    Raises InvalidSpec when there is none, Unsupported without gpg.
    """
    passphrase = ("--pinentry-mode", "loopback", "--passphrase-file", passphrase_file) if passphrase_file else ()
    done = _run((_gpg(), *_QUIET, *passphrase, "--local-user", identity, "--sign"), claims.claim(_TYPE, digest, name))
    if done.returncode or not done.stdout:
        reason = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise InvalidSpec("--sign-by", f"creating new signature: {reason}")
    return done.stdout


def identities(path: str) -> list[str]:
    """Return the user ids of the keys in a file, as e-mail addresses where they have one.

    Raises Unsupported without gpg.
    """
    program = _gpg()
    if not os.path.isfile(path):
        return []
    with tempfile.TemporaryDirectory(prefix="pypod-gpg-") as home:
        words = (program, *_QUIET, "--no-autostart", "--homedir", home, "--with-colons", "--show-keys", path)
        done = _run(words, b"")
    found = []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == "uid" and len(fields) > 9:
            name = fields[9]
            found.append(name[name.index("<") + 1 : -1] if name.endswith(">") and "<" in name else name)
    return found
