"""Run every lesson on this machine and save the outputs: in the notebooks, and in recorded.json for the replay.

    python docs/notebooks/record.py [NAME...]

Needs root and ``pip install 'pypod[docs]'``. Nothing is saved of a lesson in which a cell fails.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from pypod.notebook import RECORDED, key

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 120
LOADS = "%load_ext pypod.notebook"


def run(path: Path) -> Any:
    """Return a lesson with its outputs. Raises CellExecutionError."""
    lesson = nbformat.read(path, as_version=4)
    NotebookClient(lesson, timeout=TIMEOUT_S, resources={"metadata": {"path": str(HERE)}}).execute()
    # the path of this checkout is of no interest to readers
    lesson = nbformat.reads(nbformat.writes(lesson).replace(str(HERE.parents[1]), "/usr/share/pypod"), as_version=4)
    lesson.metadata = {
        name: lesson.metadata[name] for name in ("kernelspec", "language_info") if name in lesson.metadata
    }
    lesson.metadata["language_info"] = {"name": "python"}
    for cell in lesson.cells:
        kept = {key: value for key, value in cell.metadata.items() if key == "tags"}  # times are left out
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = None
    return lesson


def results(lesson: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the outputs of a lesson's cells by the key of their source."""
    cells = [cell for cell in lesson.cells if cell.cell_type == "code" and cell.source.strip() != LOADS]
    return {key(cell.source): [json.loads(json.dumps(output)) for output in cell.outputs] for cell in cells}


def main() -> None:
    """Record the named lessons, or all of them."""
    paths = sorted(HERE.glob("*.ipynb"))
    found: dict[str, Any] = {}
    for path in paths:
        named = not sys.argv[1:] or path.stem in sys.argv[1:]
        lesson = run(path) if named else nbformat.read(path, as_version=4)
        if named:
            nbformat.write(lesson, path)
            print(f"{path.name}: recorded")
        found.update(results(lesson))
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    machine = f"{system}, kernel {platform.release().split('-')[0]}, Python {platform.python_version()}"
    (HERE / RECORDED).write_text(json.dumps({"machine": machine, "cells": found}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
