"""A user's settings for access to registries: flags of pull, push and login as one value."""

from __future__ import annotations

from _collections_abc import Callable

from pypod.model.value import Value


def _sleep(seconds: float) -> None:
    from time import sleep

    sleep(seconds)


class Access(Value):
    """How to reach a registry, in terms of podman's flags; the default leaves everything to the configuration files.

    ``tls_verify`` None: as in registries.conf, otherwise verified; False: also unverified TLS, and http.
    ``cert_dir`` holds ``*.crt``, ``*.cert`` and ``*.key`` (containers-certs.d(5)). ``credentials`` are user name and
    password, and are not sent to mirrors. ``authfile`` replaces every other file with credentials;
    with ``docker_form`` logins are stored in it as docker does, which has no credentials for namespaces.
    ``signature_policy`` is the path of a policy to use instead of policy.json, which says what is accepted.
    ``user_agent`` is sent to registries, with the version.
    ``retries`` is how often a request is repeated after a connection error, 429 or 5xx; ``sleep`` waits in between.

    A server is too slow when the connection, TLS and proxies included, takes longer than ``connect_timeout_s``, when an
    answer does not begin within ``read_timeout_s``, and when ``slow_after_s`` of waiting transfer fewer than
    ``lowest_rate`` bytes a second of a request or an answer (the rate and time are dnf's). The request is then repeated
    once, on a new connection.
    """

    tls_verify: bool | None = None
    cert_dir: str = ""
    authfile: str = ""
    docker_form: bool = False
    credentials: tuple[str, str] | None = None
    signature_policy: str = ""
    user_agent: str = "pypod"
    retries: int = 3
    retry_delay_s: float = 1.0
    connect_timeout_s: float = 30.0
    read_timeout_s: float = 60.0
    slow_after_s: float = 30.0
    lowest_rate: int = 1000
    sleep: Callable[[float], None] = _sleep
