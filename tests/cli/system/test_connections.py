"""system connection, with podman's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

EMPTY = "Name        URI         Identity    Default\n"


@pytest.fixture
def connection(world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONTAINERS_CONF", str(tmp_path / "containers.conf"))
    (tmp_path / "containers.conf").write_text("")
    return lambda *words: world.pypod("system", "connection", *words)


@pytest.mark.root
def test_a_life(connection) -> None:
    assert connection("list").stdout == EMPTY
    assert connection("ls", "--format", "json").stdout == "[]\n"
    assert connection("add", "a", "tcp://h:1").returncode == 0
    unix = connection("add", "--default", "b", "unix:///no/such")
    assert unix.returncode == 0
    assert r'level=warning msg="\"/no/such\" does not exists"' in unix.stderr
    assert connection("ls").stdout.splitlines()[1:] == [
        "a           tcp://h:1                    false",
        "b           unix:///no/such              true",
    ]
    assert json.loads(connection("ls", "-f", "json").stdout)[0] == {
        **{"Name": "a", "URI": "tcp://h:1", "Identity": "", "IsMachine": False, "Default": False}
    }
    assert connection("ls", "-q").stdout == "a\nb\n"
    assert connection("default", "a").returncode == 0
    assert connection("rename", "a", "c").returncode == 0
    assert connection("ls", "--format", "{{.Name}} {{.Default}}").stdout == "b false\nc true\n"
    assert connection("rm", "b").returncode == 0
    assert connection("remove", "--all").returncode == 0
    assert connection("ls").stdout == EMPTY


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Error: missing command 'pypod system connection COMMAND'"),
        (("nosuch",), "Error: unrecognized command `pypod system connection nosuch`"),
        (("add", "x"), "Error: accepts 2 arg(s), received 1"),
        (("add", "x", "tcp://h"), "Error: tcp scheme requires a port either via --port or in destination URL"),
        (("default", "x"), 'Error: "x" destination is not defined. See "pypod system connection add ..." to create'),
        (("rm",), "Error: accepts 1 arg(s), received 0"),
    ],
)
def test_bad_input(connection, words, message) -> None:
    done = connection(*words)
    assert done.returncode == 125
    assert message in done.stderr
