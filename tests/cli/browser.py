"""A headless Chromium, controlled through its debugging pipe: no driver, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import pytest

TIMEOUT_S = 30.0


class Browser:
    """One page of a browser that runs for the duration of the block."""

    def __init__(self, directory: Path, *options: str) -> None:
        program = shutil.which("chromium")
        if program is None:
            pytest.skip("chromium is not installed")
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()
        words = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={directory}", "--remote-debugging-pipe", *options,
        ]  # fmt: skip
        # the browser expects the pipe's ends at descriptors 3 and 4
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *words],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._count = 0
        self._session = ""

    def open(self, address: str) -> None:
        target = self._ask("Target.createTarget", url=address)["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def document(self) -> str:
        return str(self.evaluate("document.documentElement.outerHTML"))

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        question: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            question["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(question).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            message, end, rest = self._buffer.partition(b"\0")
            if end:
                self._buffer = rest
                answer = json.loads(message)
                if answer.get("id") == self._count:
                    assert "error" not in answer, answer
                    return answer["result"]  # type: ignore[no-any-return]
                continue
            ready, _, _ = select.select([self._from_browser], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"the browser does not answer {method}"
            self._buffer += os.read(self._from_browser, 1 << 16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, 9)
        self._process.wait()
        os.close(self._to_browser)
        os.close(self._from_browser)
