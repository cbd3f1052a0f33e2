"""WWW-Authenticate headers of honest and hostile registries, and the choice of a proxy."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod.images.registry.challenge import parse
from pypod.images.registry.proxies import proxy_for


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ("BASIC", [("basic", {})]),
        (
            'Bearer realm="https://a/t",service="r.io",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "r.io", "scope": "repository:a/b:pull,push"})],
        ),
        ("Bearer  REALM = https , service=a", [("bearer", {"realm": "https", "service": "a"})]),
        ('Basic realm="a", Bearer realm="b"', [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        ('Negotiate, Basic realm="a"', [("negotiate", {}), ("basic", {"realm": "a"})]),
        (r'Basic realm="a\"b\\c"', [("basic", {"realm": 'a"b\\c'})]),
        ('Bearer realm="a,b=c"', [("bearer", {"realm": "a,b=c"})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('Bearer realm="never ends', [("bearer", {"realm": ""})]),
        ("Basic dG9rZW4=", [("basic", {"dg9rzw4": ""})]),
        ("", []),
        ('"', []),
        ("=,=", []),
    ],
)
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, {name: one[name] for name in dict(one.parameters)}) for one in parse([header])] == found


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_header_is_read_without_failing(headers: list[str]) -> None:
    for one in parse(headers):
        assert one.scheme == one.scheme.lower()


@pytest.mark.parametrize(
    "text", ["Basic " + '"' * 60000, "a " * 30000, "Bearer " + "a=" * 30000, 'B a="' + "\\" * 60000]
)
def test_a_long_header_is_read_quickly(text: str) -> None:
    start = time.process_time()
    parse([text] * 10)
    assert time.process_time() - start < 2


PROXY = {"http_proxy": "http://p:1", "HTTPS_PROXY": "q:2"}


@pytest.mark.parametrize(
    ("scheme", "host", "port", "no_proxy", "proxy"),
    [
        ("http", "r.io", 80, "", "http://p:1"),
        ("https", "r.io", 443, "", "http://q:2"),
        ("https", "localhost", 443, "", ""),
        ("https", "127.0.0.1", 5000, "", ""),
        ("https", "::1", 5000, "", ""),
        ("https", "r.io", 443, "*", ""),
        ("https", "r.io", 443, "other.io, r.io", ""),
        ("https", "a.r.io", 443, "r.io", ""),
        ("https", "ar.io", 443, "r.io", "http://q:2"),
        ("https", "r.io", 443, ".r.io", "http://q:2"),
        ("https", "a.r.io", 443, ".r.io", ""),
        ("https", "a.r.io", 443, "*.r.io", ""),
        ("https", "r.io", 443, "r.io:5000", "http://q:2"),
        ("https", "r.io", 5000, "r.io:5000", ""),
        ("https", "10.1.2.3", 443, "10.0.0.0/8", ""),
        ("https", "11.1.2.3", 443, "10.0.0.0/8", "http://q:2"),
        ("https", "10.1.2.3", 443, "10.1.2.3", ""),
        ("https", "fd00::5", 443, "fd00::/8", ""),
        ("https", "fd00::5", 443, "[fd00::5]:443", ""),
        ("https", "r.io", 443, "10.0.0.0/99,nonsense/8", "http://q:2"),
    ],
)
def test_proxies(scheme: str, host: str, port: int, no_proxy: str, proxy: str) -> None:
    assert proxy_for(scheme, host, port, {**PROXY, "no_proxy": no_proxy}) == proxy


def test_a_header_of_a_cgi_request_is_no_proxy() -> None:
    assert proxy_for("http", "r.io", 80, {"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}) == ""
