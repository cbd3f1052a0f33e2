"""Hostile images and registries, pulled by the installed program as a user does: what it says, takes and leaves."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import NamedTuple

from tests.cli.program import Program
from tests.fake_registry import Images, Server, images_of
from tests.images.made import Made, names_of


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
        with tempfile.TemporaryFile() as errors:
            self.pypod.words[:0] = ["prlimit", f"--as={1 << 30}"]
            try:
                process = self.pypod.start(*words, stdout=errors, stderr=errors)
            finally:
                del self.pypod.words[:2]
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            return Outcome(process.returncode, errors.read().decode(), usage.ru_maxrss << 10, sum(usage[:2]))

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
