"""The environment's proxy for an address: http_proxy, https_proxy and no_proxy.

The rules are Go's (golang.org/x/net/http/httpproxy), which podman follows: urllib.request lacks networks in no_proxy
and the exception for this host itself, and costs 60 ms to import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> str:
    """Return the proxy's address for a connection, or an empty string.

    >>> proxy_for("https", "quay.io", 443, {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "example.com"})
    'http://proxy:3128'
    """
    proxy = _variable(f"{scheme}_proxy", environment)
    if not proxy or _is_here(host) or _excepted(host, port, _variable("no_proxy", environment)):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str, environment: Mapping[str, str]) -> str:
    # In a CGI program, HTTP_PROXY comes from a client's "Proxy:" header (httpoxy, CVE-2016-5385)
    if name == "http_proxy" and environment.get("REQUEST_METHOD"):
        return environment.get(name, "")
    return environment.get(name.upper()) or environment.get(name, "")


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _excepted(host: str, port: int, no_proxy: str) -> bool:
    address = _address(host)
    for entry in no_proxy.lower().split(","):
        name = entry.strip()
        if not name:
            continue
        if name == "*":
            return True
        if address is not None and "/" in name:
            if _in_network(host, name):
                return True
            continue
        bare, colon, number = name.rpartition(":")
        if colon and number.isdecimal() and "]" not in number and (":" not in bare or bare.endswith("]")):
            if int(number) != port:
                continue
            name = bare
        name = name.strip("[]").removeprefix("*")
        if host == name.lstrip(".") and not name.startswith("."):
            return True
        if address is None and host.endswith(name if name.startswith(".") else f".{name}"):
            return True
    return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


def _in_network(host: str, name: str) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(host) in ip_network(name, strict=False)
    except (ValueError, TypeError):
        return False


if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address
