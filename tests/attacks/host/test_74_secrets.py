"""The content of a secret exists only in its own file and in the containers that use it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring

pytestmark = pytest.mark.root

CONTENT = "swordfish-74-e8c1"


@pytest.fixture
def running(engine, busybox):
    image = bring(engine, busybox_image(busybox))
    engine.secrets.create("s1", CONTENT)
    uses = ["s1", "s1,type=env,target=WORD", "s1,target=/etc/word"]
    container = engine.containers.run(
        image, ["sh", "-c", "cat /run/secrets/s1 > /dev/null; exec sleep 1000"], secrets=uses
    )
    done = container.exec(["cat", "/run/secrets/s1", "/etc/word"])
    assert done.stdout.decode() == CONTENT * 2  # sanity check
    return container


def _files_with(root: str) -> list[str]:
    found = []
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink() and CONTENT.encode() in path.read_bytes():
                found.append(str(path))
    return found


def test_files_of_the_storage(engine, running) -> None:
    running.restart(timeout=0)
    own = f"{engine.layout.root}/secrets/{engine.secrets.get('s1').id}"
    assert _files_with(engine.layout.root) == [own]


def test_what_is_shown(engine, running) -> None:
    program = Program(engine.layout.root)
    shown = [
        json.dumps(running.inspect()),
        json.dumps(running.oci_config()),
        *(
            program(*words).stdout
            for words in (
                ("inspect", running.name),
                ("ps", "-a", "--no-trunc"),
                ("events", "--stream=false", "--format", "json"),
                ("secret", "ls", "--format", "{{json .}}"),
                ("secret", "inspect", "s1"),
                ("run", "--explain", "--secret=s1", "--secret=s1,type=env", "made", "true"),
                ("exec", "--explain", running.name, "env"),
                ("info",),
            )
        ),
    ]
    assert [text for text in shown if CONTENT in text] == []


def test_command_lines_and_environments_of_the_host(engine, running) -> None:
    """Ours are those of the monitor and of the programs that it runs; the container's processes have the variable."""
    inside = {running.state().pid}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            assert CONTENT.encode() not in (entry / "cmdline").read_bytes()
            if int(entry.name) not in inside:
                assert CONTENT.encode() not in (entry / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            continue


def test_images_and_archives(engine, running, tmp_path) -> None:
    image = running.commit("mine")
    image.save(str(tmp_path / "image.tar"))
    program = Program(engine.layout.root)
    program.ok("export", "-o", str(tmp_path / "tree.tar"), running.name)
    for name in ("image.tar", "tree.tar"):
        assert CONTENT.encode() not in (tmp_path / name).read_bytes()
    assert program("run", "--rm", "mine", "cat", "/run/secrets/s1").returncode == 1
    assert program("run", "--rm", "mine", "cat", "/etc/word").stdout == ""


@pytest.mark.parametrize("link", ["run", "run/secrets", "etc"])
def test_a_link_where_secrets_go(engine, busybox, tmp_path, link) -> None:
    """Nothing is written outside of the container, whatever the image has in these places."""
    canary = tmp_path / "canary"
    canary.mkdir()
    layer = Layer().directory("run") if link == "run/secrets" else Layer()
    bring(engine, busybox_image(busybox, layer.symlink(link, f"../../../..{canary}").bytes()))
    engine.secrets.create("s1", CONTENT)
    Program(engine.layout.root)("run", "--rm", "--secret=s1", "--secret=s1,target=/etc/x", "made", "true")
    assert list(canary.iterdir()) == []
