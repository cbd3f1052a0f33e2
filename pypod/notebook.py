"""An IPython extension for the lessons in docs/notebooks: ``%load_ext pypod.notebook`` in the first cell.

As root, with permission to create namespaces, the extension does nothing: cells run. Elsewhere (users, Colab, Binder)
cells do not run; their recorded results are shown instead, and a line says so. ``PYPOD_REPLAY=1`` forces the replay.
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
    """Decide whether cells run or are replayed, and say so."""
    reason = why_not()
    if not reason:
        _say(shell, "**Live**: the cells run on this machine.")
        return
    recorded = read_recorded(RECORDED)
    _say(
        shell,
        f"**Replay**: nothing runs here ({reason}). The results are from {recorded.get('machine', 'no machine')}.",
    )
    outputs = recorded.get("cells", {})
    shell.register_magic_function(lambda line: _replay(shell, outputs.get(line.strip())), magic_name=_MAGIC)
    # IPython calls these once the cell is complete, before it interprets its own syntax (%, !)
    shell.input_transformers_cleanup.append(_instead)


def why_not() -> str:
    """Return the reason why lessons cannot run here, or an empty string when they can."""
    if os.environ.get("PYPOD_REPLAY"):
        return "PYPOD_REPLAY is set"
    if os.geteuid() != 0:
        return "the lessons look at the namespaces of the host as root"
    from pypod.kernel.host.checks import check

    missing = [f"{one.name}: {one.reason}" for one in check() if one.name in _NEEDED and not one.ok]
    return missing[0] if missing else ""


def key(source: str) -> str:
    """Return the key of a cell's recorded results; it changes with the source."""
    return hashlib.sha256(source.strip().encode(errors="replace")).hexdigest()[:16]


def read_recorded(path: str) -> dict[str, Any]:
    """Return the recorded results: ``machine``, a description, and ``cells``, lists of nbformat outputs by key."""
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
