"""Credential helpers: ``docker-credential-NAME get|store|erase|list`` (docker/docker-credential-helpers).

A verb as argument, the query on stdin, JSON on stdout. A helper is trusted insofar as its name comes from the user's
own file; its output is read up to a limit.
"""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec, SystemFailure
from pypod.kernel.children import exit_code_of
from pypod.model.credentials import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OUTPUT_BYTES_LIMIT = 1 << 20
# Output of helpers for an unknown server (docker-credential-helpers: credentials/error.go).
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105


def get(program: str, server: str) -> Credentials | None:
    """Return a helper's credentials for a server, or None."""
    answer = _run(program, "get", server)
    if answer is None:
        return None
    found = _object(program, answer)
    user, secret = found.get("Username", ""), found.get("Secret", "")
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(program, "its answer has the wrong types")
    if user == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(user=user, password=secret) if user or secret else None


def store(program: str, server: str, credentials: Credentials) -> None:
    """Store credentials in a helper."""
    import json

    token = credentials.identity_token
    question = {
        "ServerURL": server,
        "Username": _TOKEN_USER if token else credentials.user,
        "Secret": token or credentials.password,
    }
    _run(program, "store", json.dumps(question))


def erase(program: str, server: str) -> bool:
    """Erase a server from a helper; return whether it was known."""
    if _run(program, "get", server) is None:
        return False
    return _run(program, "erase", server) is not None


def names(program: str) -> list[str]:
    """Return the servers that a helper has credentials for."""
    return [str(name) for name in _object(program, _run(program, "list", "") or "{}")]


def _object(program: str, text: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _failed(program, "its answer is not JSON")
    return found


def _run(program: str, verb: str, question: str) -> str | None:
    """Run a helper; return its answer, or None when it does not know the server. Raises SystemFailure."""
    if not program or "/" in program or "\0" in program:
        raise InvalidSpec("credHelpers", f"invalid name of a credential helper: {program!r}")
    if "\n" in question and verb != "store":
        raise InvalidSpec("registry", "invalid reference format")
    name = f"docker-credential-{program}"
    # Files instead of pipes on both sides: nothing can block, and nothing has to be polled.
    fds = [os.memfd_create(f"pypod-{one}", os.MFD_CLOEXEC) for one in ("question", "answer")]
    try:
        os.write(fds[0], question.encode("utf-8", "surrogateescape"))
        os.lseek(fds[0], 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, fds[0], 0), (os.POSIX_SPAWN_DUP2, fds[1], 1)]
        actions.append((os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0))  # type: ignore[arg-type]
        try:
            pid = os.posix_spawnp(name, [name, verb], dict(os.environ), file_actions=actions)
        except OSError as error:
            raise _failed(program, f"{error.strerror}", error.errno or 0) from error
        code = exit_code_of(pid)
        answer = os.pread(fds[1], _OUTPUT_BYTES_LIMIT, 0).decode("utf-8", "surrogateescape")
    finally:
        for fd in fds:
            os.close(fd)
    if code == 0:
        return answer
    if _NOT_FOUND in answer:
        return None
    raise _failed(program, f"{verb}: exit code {code}: {answer.strip()[:200]!a}")


def _failed(program: str, reason: str, number: int = 0) -> SystemFailure:
    return SystemFailure("credentials", number, f"docker-credential-{program}: {reason}")
