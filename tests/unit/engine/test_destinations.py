"""The services of containers.conf: changed in one file, whose other lines stay as they are."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypod import InvalidSpec, Unsupported
from pypod.api import configuration
from pypod.engine.configuration.destinations import _written, address

BEFORE = """\
# mine
[containers]
default_ulimits = ["nofile=1024:1024"] # kept

[engine]
active_service = "old"
events_logger = "file"

[engine.service_destinations]
[engine.service_destinations.old]
uri = "tcp://old:1"
identity = "/key"

# about the network
[network]
default_network = "podman"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "containers.conf"
    monkeypatch.setenv("CONTAINERS_CONF", str(path))
    path.write_text(BEFORE)
    path.chmod(0o640)
    return path


def shown() -> list[tuple[str, str, str, bool]]:
    return [(one.name, one.uri, one.identity, one.default) for one in configuration.destinations()]


def test_a_life(file: Path) -> None:
    assert shown() == [("old", "tcp://old:1", "/key", True)]
    assert configuration.add_destination("new", "ssh://me@far/run/p.sock", identity="/id") == ""
    assert configuration.add_destination("here", "unix:///nowhere", default=True) == '"/nowhere" does not exists'
    assert shown() == [
        ("here", "unix:///nowhere", "", True),
        ("new", "ssh://me@far:22/run/p.sock", "/id", False),
        ("old", "tcp://old:1", "/key", False),
    ]
    configuration.rename_destination("here", "old")
    configuration.make_default_destination("new")
    configuration.remove_destination("nobody")
    assert shown() == [("new", "ssh://me@far:22/run/p.sock", "/id", True), ("old", "unix:///nowhere", "", False)]
    configuration.remove_destination("new")
    assert shown() == [("old", "unix:///nowhere", "", False)]
    configuration.remove_all_destinations()
    kept = BEFORE[: BEFORE.index("active_service")] + 'events_logger = "file"\n\n\n' + BEFORE[BEFORE.index("# about") :]
    assert file.read_text() == kept
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_link_to_the_file_stays_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    monkeypatch.setenv("CONTAINERS_CONF", str(link))
    configuration.make_default_destination("old")
    configuration.remove_destination("old")
    assert link.is_symlink()
    assert "service_destinations" not in file.read_text()


def test_the_first_one_is_the_default_and_makes_the_file(file: Path) -> None:
    file.write_text("")
    configuration.add_destination("one", "tcp://h:1")
    configuration.add_destination("two", "tcp://h:2")
    assert [one.name for one in configuration.destinations() if one.default] == ["one"]


@pytest.mark.parametrize("change", ["make_default_destination", "rename_destination"])
def test_an_unknown_name_changes_nothing(file: Path, change: str) -> None:
    with pytest.raises(InvalidSpec, match='"nobody" destination is not defined'):
        getattr(configuration, change)(*["nobody", "x"][: 1 + (change == "rename_destination")])
    assert file.read_text() == BEFORE


@pytest.mark.parametrize(
    "text",
    [
        '[engine]\nservice_destinations = {a = {uri = "x"}}\n',
        'engine.service_destinations.a.uri = "x"\n',
        '[engine]\nservice_destinations.a.uri = "x"\n',
        "[engine\n",
    ],
)
def test_a_form_that_cannot_be_changed_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidSpec, match=r"containers\.conf"):
        configuration.add_destination("b", "tcp://h:1")
    assert file.read_text() == text


@given(st.dictionaries(st.text(), st.fixed_dictionaries({"uri": st.text()}), max_size=4), st.text(min_size=1))
def test_any_text_comes_back(tables: dict[str, dict[str, str]], active: str) -> None:
    try:
        f"{tables}{active}".encode()
    except UnicodeEncodeError:
        return
    found = tomllib.loads(_written(BEFORE, tables, active))
    assert found["engine"].get("service_destinations", {}) == tables
    assert found["engine"]["active_service"] == active
    assert found["network"] == {"default_network": "podman"}


@pytest.mark.parametrize(
    ("given_as", "options", "uri"),
    [
        ("h/run/p.sock", {}, "ssh://h:22/run/p.sock"),
        ("ssh://u@h:2200/p", {}, "ssh://u@h:2200/p"),
        ("ssh://h", {"socket_path": "/s", "port": 5}, "ssh://h:5/s"),
        ("ssh://[::1]/p", {}, "ssh://[::1]:22/p"),
        ("tcp://h", {"port": 5}, "tcp://h:5"),
        ("unix:///a", {"socket_path": "/b"}, "unix:///b"),
        ("npipe:////./pipe/x", {}, "npipe:////./pipe/x"),
    ],
)
def test_addresses(given_as: str, options: dict, uri: str) -> None:
    assert address(given_as, **options) == uri


@pytest.mark.parametrize(
    ("given_as", "options", "words"),
    [
        ("tcp://h", {}, "tcp scheme requires a port"),
        ("tcp://h:1", {"identity": "/x"}, "--identity option not supported for tcp scheme"),
        ("tcp://h:1", {"socket_path": "/x"}, "--socket-path option not supported for tcp scheme"),
        ("unix:///p", {"identity": "/x"}, "--identity option not supported for unix scheme"),
        ("tcp://h:x", {}, "tcp://h:x"),
        ("/run/p.sock", {}, "names no host"),
    ],
)
def test_addresses_that_are_refused(given_as: str, options: dict, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        address(given_as, **options)


def test_no_host_is_asked_for_its_socket() -> None:
    with pytest.raises(Unsupported, match="socket"):
        address("ssh://me@far")
