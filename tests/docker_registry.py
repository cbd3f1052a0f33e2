"""docker-registry (Debian's package) on loopback for one test module, with a directory and a port of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import pytest

needs_docker_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="docker-registry is not installed"
)
# user pypod, password secret: bcrypt, the only format that docker-registry accepts
HTPASSWD = "pypod:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


class DockerRegistry:
    """A running docker-registry; ``host`` is its address and port, for plain HTTP."""

    def __init__(self, directory: Path, *, password: bool = False) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.host = f"127.0.0.1:{listener.getsockname()[1]}"
        (directory / "htpasswd").write_text(HTPASSWD)
        auth = f'auth: {{htpasswd: {{realm: test, path: "{directory}/htpasswd"}}}}' if password else ""
        (directory / "config.yml").write_text(
            "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n"
            f'storage: {{filesystem: {{rootdirectory: "{directory}/data"}}}}\nhttp: {{addr: "{self.host}"}}\n{auth}\n'
        )
        self._log = (directory / "log").open("wb")
        command = ["docker-registry", "serve", str(directory / "config.yml")]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5).close()
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                assert time.monotonic() < deadline, "docker-registry does not answer"
                time.sleep(0.02)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
