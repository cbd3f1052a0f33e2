"""Hostile images and registries, pulled by the installed program as a user does: its output, its cost, its remains."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import NamedTuple

from tests.cli.program import Program
from tests.fake_registry import Images, Server, images_of
from tests.images.made import Made, names_of

# Run from a small process: a child's peak starts at that of the process that forked it, which here is pytest.
MEASURE = """
import os, resource, sys
code = os.spawnvp(os.P_WAIT, sys.argv[2], sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(f"{used.ru_maxrss << 10} {used.ru_utime + used.ru_stime}")
sys.exit(code)
"""


class Outcome(NamedTuple):
    code: int
    stderr: str
    peak_bytes: int  # peak memory of the largest of its processes
    cpu_s: float


class Storage:
    """The storage of one test. ``pull`` runs with an address space of 1 GiB: a larger allocation fails."""

    def __init__(self, stack: ExitStack, root: str) -> None:
        self._stack = stack
        self.root = root
        self.pypod = Program(root)

    def serve(self, images: Images | Made) -> Server:
        return self._stack.enter_context(Server(images_of(images) if isinstance(images, Made) else images))

    def pull(self, images: Images | Made | Server, *options: str, name: str = "team/app:latest") -> Outcome:
        server = images if isinstance(images, Server) else self.serve(images)
        return self.run("pull", "-q", "--tls-verify=false", *options, f"{server.host}/{name}")

    def run(self, *words: str) -> Outcome:
        with tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile() as used:
            command = ["prlimit", f"--as={1 << 30}", *self.pypod.words, *words]
            measured = [sys.executable, "-S", "-c", MEASURE, used.name, *command]
            code = subprocess.call(measured, stdout=errors, stderr=errors)
            errors.seek(0)
            peak_bytes, cpu_s = used.read().split()
            return Outcome(code, errors.read().decode(), int(peak_bytes), float(cpu_s))

    def refuses(self, images: Images | Made | Server, reason: str, *options: str) -> Outcome:
        """Assert that a pull ends with a proper error that gives the reason, and leaves nothing in the storage."""
        found = self.pull(images, *options)
        assert_refused(found, reason)
        assert self.holds() == {}
        return found

    def holds(self) -> dict[str, list[str]]:
        """Return what is stored of images: layers, blobs, and incoming data."""
        places = {name: names_of(f"{self.root}/images/{name}") for name in ("layers", "blobs/sha256", "incoming")}
        return {name: found for name, found in places.items() if found}


def assert_refused(found: Outcome, reason: str) -> None:
    assert found.code == 125
    assert found.stderr.startswith("Error: ")
    assert found.stderr.count("\n") == 1
    assert reason in found.stderr
