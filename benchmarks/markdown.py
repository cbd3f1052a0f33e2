"""python -m benchmarks.markdown [DIRECTORY]: the results as the tables of docs/performance.md."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks import NAMES
from benchmarks.harness import PYPOD, RESULTS


def table(result: dict[str, Any]) -> list[str]:
    """Return one result as a table: a row per operation, a column per contestant with median and 95th percentile."""
    rows: list[dict[str, Any]] = result["rows"]
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    contestants = list(dict.fromkeys(row["contestant"] for row in rows))
    unit = result["unit"]
    goals = any(row["goal"] for row in rows)
    lines = [
        "| " + " | ".join(["operation", *(f"{name}, {unit}" for name in contestants), *(["goal"] * goals)]) + " |",
        "|---" * (1 + len(contestants) + goals) + "|",
    ]
    for operation in operations:
        of = {row["contestant"]: row for row in rows if row["operation"] == operation}
        cells = [_cell(of.get(name)) for name in contestants]
        lines.append("| " + " | ".join([operation, *cells, *([_goal(of.get(PYPOD))] * goals)]) + " |")
    return lines


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["median"] is None:
        return "-"
    return f"{_number(row['median'])} ({_number(row['p95'])})"


def _goal(row: dict[str, Any] | None) -> str:
    if row is None or not row["goal"]:
        return ""
    ratios = [f"{row[key]:.2f}x {name}" for key, name in (("to_floor", "floor"), ("to_podman", "podman")) if row[key]]
    met = {True: "met", False: "**not met**", None: "not known"}[row["met"]]
    return f"{row['goal']}: {met}" + (f" ({', '.join(ratios)})" if ratios else "")


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def main() -> None:
    """Print every existing result."""
    directory = sys.argv[1] if len(sys.argv) > 1 else RESULTS
    for name in NAMES:
        path = os.path.join(directory, f"{name}.json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        machine = result["machine"]
        print(f"### {result['title']}\n")
        print("\n".join(table(result)))
        where = machine.get("directory", "")
        print(f"\nMedian (95th percentile). {machine['date']}, {machine['kernel']}, {machine['cpus']} processors,")
        load = machine["load_average_before"][0]
        print(f"load {load:.1f}, Python {machine['python']}, {machine['cgroups']} cgroups, {where}.\n")


if __name__ == "__main__":
    main()
