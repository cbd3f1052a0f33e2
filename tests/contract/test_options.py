"""What type checkers are told that the front doors take is what is taken behind them."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pypod.api import options
from pypod.api.images import Images
from pypod.api.networks import Networks
from pypod.api.pods import Pods
from pypod.engine.containers import committing
from pypod.engine.images import making

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(options.__file__).parents[2]
TAKEN_BY = {
    "PodOptions": Pods.create,
    "NetworkOptions": Networks.create,
    "PullOptions": Images.pull,
    "SaveOptions": Images.save,
    "PushOptions": Images.push,
    "ImportOptions": making.import_tree,
    "CommitOptions": committing.commit,
}


def _told() -> dict[str, dict[str, str]]:
    """Return the fields of every class, those it has from the classes before it, too."""
    tree = ast.parse(Path(options.__file__).read_text())
    told: dict[str, dict[str, str]] = {}
    for one in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        told[one.name] = {
            line.target.id: ast.unparse(line.annotation)
            for line in one.body
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        }
        for base in one.bases:
            told[one.name] |= told.get(ast.unparse(base), {})
    return told


def test_there_are_no_others() -> None:
    assert _told().keys() - {"NamespaceOptions"} == TAKEN_BY.keys()


@pytest.mark.parametrize(("name", "taker"), TAKEN_BY.items(), ids=TAKEN_BY)
def test_names_and_types_are_those_taken(name: str, taker: Callable[..., Any]) -> None:
    parameters = inspect.signature(taker).parameters.values()
    taken = {one.name: one.annotation for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
    assert _told()[name] == taken


def test_a_type_checker_sees_mistakes(tmp_path: Path) -> None:
    """Every line of the first file is one, and none of the second."""
    wrong = [
        'pypod.Pod.create("a", nmae=1)',
        'pypod.Pod.create("a", memory="1g")',
        'pypod.Network.create("a", subnet="10.0.0.0/8")',
        'pypod.Image.pull("a", quiet=True)',
        'pypod.Container.get("a").commit("b", pause="yes")',
        'pypod.Container.run(rootfs="/", environmnet={})',
    ]
    right = ['pypod.Pod.create("a", memory=1 << 30, network="b")', 'pypod.Image.pull("a", platform="linux/arm64")']
    files = {name: tmp_path / f"{name}.py" for name in ("wrong", "right")}
    files["wrong"].write_text("\n".join(["import pypod", *wrong]))
    files["right"].write_text("\n".join(["import pypod", *right]))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        *map(str, files.values()),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line.split(": error:")[0].rpartition("/")[2] for line in done.stdout.splitlines() if ": error:" in line]
    assert errors == [f"wrong.py:{number}" for number in range(2, 2 + len(wrong))], done.stdout
