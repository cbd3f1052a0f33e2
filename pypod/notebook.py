"""An IPython extension for the lessons in docs/notebooks: ``%load_ext pypod.notebook`` in the first cell.

Where you are root and may make namespaces nothing happens: cells run. Elsewhere (users, Colab, Binder) they are not
run, but the results that were recorded of them are shown, and a line says so. ``PYPOD_REPLAY=1`` asks for that.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORDED = "recorded.json"
_MAGIC = "pypod_replay"
_NEEDED = ("namespace-mnt", "namespace-pid", "namespace-net", "namespace-ipc", "namespace-uts", "overlay")


def load_ipython_extension(shell: Any) -> None:
    """Decide, and say, whether cells run or are replayed."""
    reason = why_not()
    if not reason:
        _say(shell, "**Live**: the cells run on this machine.")
        return
    recorded = read_recorded(RECORDED)
    _say(
        shell,
        f"**Replay**: nothing runs here ({reason}). You see what came out on {recorded.get('machine', 'no machine')}.",
    )
    outputs = recorded.get("cells", {})
    shell.register_magic_function(lambda line: _replay(shell, outputs.get(line.strip())), magic_name=_MAGIC)
    # by IPython's rule: after the cell is complete, before its own syntax (%, !) is understood
    shell.input_transformers_cleanup.append(_instead)


def why_not() -> str:
    """Return why lessons cannot run here, empty when they can."""
    if os.environ.get("PYPOD_REPLAY"):
        return "PYPOD_REPLAY is set"
    if os.geteuid() != 0:
        return "the lessons look at the namespaces of the host as root"
    from pypod.kernel.host.checks import check

    missing = [f"{one.name}: {one.reason}" for one in check() if one.name in _NEEDED and not one.ok]
    return missing[0] if missing else ""


def key(source: str) -> str:
    """Return what the results of a cell are found by: changed code has none."""
    return hashlib.sha256(source.strip().encode(errors="replace")).hexdigest()[:16]


def read_recorded(path: str) -> dict[str, Any]:
    """Return the recorded results: ``machine`` in words, and ``cells``, lists of nbformat outputs by key."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _instead(lines: list[str]) -> list[str]:
    return [f"%{_MAGIC} {key(''.join(lines))}\n"]


def _replay(shell: Any, outputs: list[dict[str, Any]] | None) -> None:
    if outputs is None:
        _say(shell, "*Not run, and there is no recorded result: the cell was changed, or is new.*")
        return
    for one in outputs:
        if one["output_type"] == "stream":
            (sys.stderr if one.get("name") == "stderr" else sys.stdout).write("".join(one["text"]))
        else:
            shell.display_pub.publish(data=one["data"], metadata=one.get("metadata", {}))


def _say(shell: Any, words: str) -> None:
    shell.display_pub.publish(data={"text/markdown": words, "text/plain": words.replace("*", "")}, metadata={})
