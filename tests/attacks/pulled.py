"""Hostile images and registries, pulled by the installed program as a user does: what it says, takes and leaves."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import NamedTuple

from tests.cli.program import Program
from tests.fake_registry import Images, Server, images_of
from tests.images.made import Made, names_of

# From a small process: a child's peak begins with that of whoever forked it, which here is pytest.
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
    peak_bytes: int  # of memory, of the largest of its processes
    cpu_s: float


class Storage:
    """A storage of one test. ``pull`` runs with an address space of a GiB: what wants more fails."""

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
        """Assert that a pull ends with an error of ours that says why, and leaves nothing in the storage."""
        found = self.pull(images, *options)
        assert_refused(found, reason)
        assert self.holds() == {}
        return found

    def holds(self) -> dict[str, list[str]]:
        """What there is of images: layers, blobs, and what is on its way."""
        places = {name: names_of(f"{self.root}/images/{name}") for name in ("layers", "blobs/sha256", "incoming")}
        return {name: found for name, found in places.items() if found}


def assert_refused(found: Outcome, reason: str) -> None:
    assert found.code == 125
    assert found.stderr.startswith("Error: ")
    assert found.stderr.count("\n") == 1
    assert reason in found.stderr
