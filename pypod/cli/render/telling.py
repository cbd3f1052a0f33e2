"""Progress output on stderr for pull, push, load and save: podman's lines, and on a terminal each blob's progress."""

from __future__ import annotations

import sys

from pypod.cli.render.plain_text import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from pypod.model.reports.progress import Progress

_REDRAW_S = 0.05
_BAR_WIDTH = 24
_STATES = {"present": "skipped: already exists", "done": "done"}
_NAMED = {
    "resolved": "{}\n",
    "trying": "Trying to pull {}...\n",
    "listing": "Getting image list signatures\nCopying {} images in list\n",
    "copying": "Copying image {}\n",
    "listed": "Writing manifest list to image destination\nStoring list signatures\n",
}
_UP_AND_CLEAR = "\x1b[{}A\r\x1b[J"


class Telling:
    """Print progress reports of a transfer. A context manager: on success the exit prints the last lines.

    On a terminal finished blobs stay as lines, and the blobs in progress are redrawn below them: only as many as fit,
    none wider than the window, so that moving up by their number always reaches the first. podman does not mention
    signatures at the beginning where it would omit them (``signed``).
    """

    def __init__(self, *, quiet: bool = False, signed: bool = True) -> None:
        self._quiet = quiet
        self._beginning = "Getting image source signatures\n" if signed else ""
        self._live = sys.stderr.isatty()
        self._began = False
        self._told: set[str] = set()
        self._moving: dict[str, Progress] = {}
        self._drawn = 0
        self._drawn_at_s = 0.0
        self._config = ""

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Print one report."""
        if self._quiet:
            return
        if progress.name:  # another image
            self._restart(self._last() + _NAMED.get(progress.state, "").format(progress.name))
            return
        if not self._began:
            self._began = True
            sys.stderr.write(self._beginning)
        if progress.is_config:
            self._config = progress.digest  # printed last: podman reads it last
        elif self._live:
            self._show(progress)
        elif progress.digest not in self._told:
            self._told.add(progress.digest)
            sys.stderr.write(f"Copying blob {progress.digest}\n")
            sys.stderr.flush()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restart("" if kind else self._last())
        sys.stderr.flush()

    def _last(self) -> str:
        if not self._began:
            return ""
        config = _short(self._config) if self._live else self._config
        done = " done" if self._live else ""
        copied = f"Copying config {config}{done}\n" if self._config else ""
        return f"{copied}Writing manifest to image destination\nStoring signatures\n"

    def _restart(self, text: str) -> None:
        """Finish the drawn lines, print ``text``, and reset for another image."""
        if self._drawn:
            self._draw(0)
        sys.stderr.write(text)
        self._began, self._config = False, ""
        self._told.clear()
        self._moving.clear()

    def _show(self, progress: Progress) -> None:
        from time import monotonic

        finished = progress.state in _STATES
        if finished:
            self._moving.pop(progress.digest, None)
            if progress.digest in self._told:
                return
            self._told.add(progress.digest)
        else:
            self._moving[progress.digest] = progress
        now_s = monotonic()
        if not finished and now_s - self._drawn_at_s < _REDRAW_S:
            return
        self._drawn_at_s = now_s
        columns, rows = _window()
        line = f"{_line(progress, columns)}\n" if finished else ""
        self._draw(rows - 1, columns, line)
        sys.stderr.flush()

    def _draw(self, rows: int, columns: int = 80, finished: str = "") -> None:
        """Replace the drawn lines by a finished one and at most ``rows`` lines for blobs in progress."""
        if self._drawn:
            control(sys.stderr, _UP_AND_CLEAR.format(self._drawn))
        shown = [_line(one, columns) for one in list(self._moving.values())[: max(rows, 0)]]
        self._drawn = len(shown)
        sys.stderr.write(finished + "".join([f"{line}\n" for line in shown]))


def _window() -> tuple[int, int]:
    import os

    try:
        columns, rows = os.get_terminal_size(2)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24  # a terminal whose size was never set reports 0


def _line(progress: Progress, columns: int) -> str:
    state = _STATES.get(progress.state)
    if state is None:
        from pypod.cli.render.output import human_size

        done, total = progress.done_bytes, progress.total_bytes
        filled = _BAR_WIDTH * min(done, total) // total if total else _BAR_WIDTH
        state = f"[{'=' * filled:-<{_BAR_WIDTH}}] {human_size(done)} / {human_size(total)}"
    # the last column stays free: writing to it makes some terminals wrap
    return f"Copying blob {_short(progress.digest)} {state}"[: max(columns - 1, 1)]


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]
