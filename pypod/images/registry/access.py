"""What a user says about reaching registries: flags of pull, push and login as one value."""

from __future__ import annotations

from _collections_abc import Callable

from pypod.model.value import Value


def _sleep(seconds: float) -> None:
    from time import sleep

    sleep(seconds)


class Access(Value):
    """How to reach a registry, in the words of podman's flags; the default says nothing and lets files decide.

    ``tls_verify`` None: what registries.conf says, otherwise verified; False: also unverified TLS, and http.
    ``cert_dir`` holds ``*.crt``, ``*.cert`` and ``*.key`` (containers-certs.d(5)). ``credentials`` are user name and
    password, and go to no mirror. ``authfile`` replaces every other file with credentials.
    ``user_agent`` is what registries are told of us, with the version.
    ``retries`` is how often a request is repeated after a connection error, 429 or 5xx; ``sleep`` waits between.

    A server is too slow when there is no connection, TLS and proxies included, within ``connect_timeout_s``, when an
    answer does not begin within ``read_timeout_s``, and when ``slow_after_s`` of waiting move fewer than
    ``lowest_rate`` bytes a second of a request or an answer (dnf has the same rate and time). What it was asked for is
    asked once more, on a new connection.
    """

    tls_verify: bool | None = None
    cert_dir: str = ""
    authfile: str = ""
    credentials: tuple[str, str] | None = None
    user_agent: str = "pypod"
    retries: int = 3
    retry_delay_s: float = 1.0
    connect_timeout_s: float = 30.0
    read_timeout_s: float = 60.0
    slow_after_s: float = 30.0
    lowest_rate: int = 1000
    sleep: Callable[[float], None] = _sleep
