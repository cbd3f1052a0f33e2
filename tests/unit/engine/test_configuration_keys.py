"""Every key of containers.conf(5) is known, and either has an effect or a reason why not, which its page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.cli.main import CONFIGURED
from pypod.cli.verbs import GROUPS, VERBS
from pypod.engine.configuration.keys import KEYS
from pypod.engine.configuration.without_effect import WITHOUT_EFFECT

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/containers-conf.md").read_text()
ALL = {(table, key) for table, keys in KEYS.items() for key in keys}
_TABLES = {"SECRET": "secrets"}


def documented() -> set[tuple[str, str]]:
    """Return the tables and keys of the manual page."""
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    words = ["man", "--encoding=ascii", "containers.conf"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "MANWIDTH": "200"})
    if done.returncode:
        pytest.skip("containers.conf(5) is not installed")
    found, table = set(), ""
    for line in re.sub(".\b", "", done.stdout).splitlines():
        if heading := re.match(r"([A-Z]+)(?: [A-Z ]+)? TABLE", line):
            table = _TABLES.get(heading[1], heading[1].lower())
        elif table in KEYS and (key := re.match(r" {7}([a-z_]+) ?=", line)):
            found.add((table, key[1]))
    return found


def test_every_documented_key_is_in_the_table() -> None:
    found = documented()
    assert len(found) > 80, "the page is not understood"
    assert sorted(found - ALL) == []


def test_only_keys_that_exist_have_reasons() -> None:
    assert sorted(set(WITHOUT_EFFECT) - ALL) == []


@pytest.mark.parametrize(("table", "key"), sorted(ALL - set(WITHOUT_EFFECT)))
def test_a_key_with_an_effect_is_read(table: str, key: str) -> None:
    del table
    sources = [path for path in (ROOT / "pypod").rglob("*.py") if path.parent.name != "configuration"]
    sources += [
        ROOT / "pypod/engine/configuration" / name
        for name in ("current.py", "destinations.py", "hooks.py", "values.py")
    ]
    assert any(f'"{key}"' in path.read_text() for path in sources)


def test_the_page_shows_the_table() -> None:
    with_effect, _, without = PAGE.partition("| keys without an effect |")
    for text, expected in ((with_effect, ALL - set(WITHOUT_EFFECT)), (without, set(WITHOUT_EFFECT))):
        rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
        assert {(table, key) for table, keys in rows for key in re.findall(r"`(\w+)`", keys)} == expected
    for (table, key), reason in WITHOUT_EFFECT.items():
        assert re.search(rf"^\| `{table}` \| .*`{key}`.* \| {re.escape(reason)} \|$", without, re.MULTILINE), key


def test_variables_of_the_engine_are_for_commands_that_exist() -> None:
    tables = (VERBS, *(verbs for _, verbs in GROUPS.values()))
    assert sorted(CONFIGURED - {row[1] for table in tables for row in table.values()}) == []
