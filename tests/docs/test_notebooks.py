"""The lessons run from top to bottom, twice, and after a kernel was killed; elsewhere they are replayed."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from pypod import Engine
from pypod.notebook import key
from tests.facts import wait_until

HERE = Path(__file__).parents[2] / "docs" / "notebooks"
LESSONS = sorted(HERE.glob("*.ipynb"))
RECORDED = json.loads((HERE / "recorded.json").read_text())
LOADS = "%load_ext pypod.notebook"


@pytest.fixture(scope="module", autouse=True)
def event_loop() -> None:
    """Start a kernel first: nbclient creates an event loop and keeps it."""
    with kernel(nbformat.v4.new_notebook()):
        pass


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, monkeypatch) -> Iterator[Engine]:
    monkeypatch.setenv("PYPOD_ROOT", str(tmp_path / "storage"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with Engine(str(tmp_path / "storage")) as engine:
        yield engine


@contextmanager
def kernel(lesson: Any) -> Iterator[NotebookClient]:
    with TemporaryDirectory() as directory:
        # not TCP: the kernel may be in a different network namespace from the client's threads
        config = Config(KernelManager={"transport": "ipc", "ip": f"{directory}/kernel"})
        client = NotebookClient(lesson, timeout=60, resources={"metadata": {"path": str(HERE)}}, config=config)
        with client.setup_kernel():
            yield client


def code_of(lesson: Any) -> list[tuple[int, Any]]:
    return [(number, cell) for number, cell in enumerate(lesson.cells) if cell.cell_type == "code"]


def run(client: NotebookClient, lesson: Any, count: int | None = None) -> None:
    for number, cell in code_of(lesson)[:count]:
        client.execute_cell(cell, number)


def test_there_are_eight_and_two_in_spanish() -> None:
    names = [path.stem for path in LESSONS]
    assert [name[:2] for name in names if not name.startswith("es-")] == [f"{n:02}" for n in range(1, 9)]
    assert [name[:5] for name in names if name.startswith("es-")] == ["es-03", "es-04"]


@pytest.mark.root
@pytest.mark.usefixtures("own_network")
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_killed_kernel_and_then_twice(path: Path, own_storage: Engine) -> None:
    lesson = nbformat.read(path, as_version=4)
    with kernel(lesson) as client:
        run(client, lesson, len(code_of(lesson)) * 2 // 3)
        os.kill(client.km.provisioner.process.pid, signal.SIGKILL)
        wait_until(lambda: not own_storage.pods.list() + own_storage.containers.list(all=True), 10)
    with kernel(lesson) as client:
        for _ in range(2):
            run(client, lesson)
            assert own_storage.pods.list() == own_storage.containers.list(all=True) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_everything_is_recorded(path: Path) -> None:
    for number, cell in code_of(nbformat.read(path, as_version=4)):
        if cell.source == LOADS:
            continue
        recorded = RECORDED["cells"].get(key(cell.source))
        assert recorded is not None, f"cell {number}: python docs/notebooks/record.py {path.stem}"
        assert recorded == cell.outputs, number
        assert all(output["output_type"] != "error" for output in recorded)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_cell_says_what_privilege_it_needs(path: Path) -> None:
    """As a tag, which front ends show to readers, and by which runners can select cells."""
    cells = [cell for _, cell in code_of(nbformat.read(path, as_version=4))]
    tags = [cell.metadata.get("tags") for cell in cells]
    assert all(tag in (["needs-nothing"], ["needs-root"]) for tag in tags)
    assert {"needs-nothing", "needs-root"} == {tag[0] for tag in tags}


def test_every_record_is_of_one_cell() -> None:
    """No code appears twice in the lessons: results are looked up by code."""
    sources = [cell.source for path in LESSONS for _, cell in code_of(nbformat.read(path, as_version=4))]
    sources = [source for source in sources if source != LOADS]
    assert len(sources) == len(set(sources))
    assert set(RECORDED["cells"]) == set(map(key, sources))
    # no path of this checkout, wherever it is: for /pypod, /var/lib/pypod does not count
    assert not re.search(rf"(?<![\w/.]){re.escape(str(HERE.parents[1]))}/", json.dumps(RECORDED))


@pytest.mark.parametrize("path", [LESSONS[2], LESSONS[6]], ids=lambda path: path.stem)
def test_replay(path: Path, own_storage: Engine, monkeypatch) -> None:
    """No cell runs, every result is shown, and the lesson says so; works without root."""
    monkeypatch.setenv("PYPOD_REPLAY", "1")
    lesson = nbformat.read(path, as_version=4)
    lesson.cells.append(nbformat.v4.new_code_cell("raise SystemExit('this runs')"))
    with kernel(lesson) as client:
        run(client, lesson)
    (_, first), *others, (_, last) = code_of(lesson)
    assert first.outputs[0].data["text/markdown"].startswith("**Replay**: nothing runs here (PYPOD_REPLAY is set)")
    assert RECORDED["machine"] in first.outputs[0].data["text/markdown"]
    assert [shown(cell.outputs) for _, cell in others] == [shown(RECORDED["cells"][key(c.source)]) for _, c in others]
    assert "no recorded result" in last.outputs[0].data["text/markdown"]


def shown(outputs: list[Any]) -> list[Any]:
    return [output["text"] if output["output_type"] == "stream" else dict(output["data"]) for output in outputs]


@pytest.mark.root
def test_a_cell_that_fails_is_seen() -> None:
    lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert False")])
    with kernel(lesson) as client, pytest.raises(CellExecutionError):
        run(client, lesson)
