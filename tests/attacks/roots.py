"""Create root file systems that try to escape: all kinds of links wherever something is going to be placed."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pypod.errors import PypodError
from pypod.model.mount import Mount
from tests.attacks.protection import gaps
from tests.integration.inside import Box, fingerprint

PLACES = """
    proc proc/sys proc/kcore sys sys/fs sys/firmware sys/fs/cgroup dev dev/null dev/pts dev/pts/ptmx dev/shm dev/mqueue
    dev/console dev/fd dev/l proc/l sys/l etc etc/hosts etc/hostname etc/resolv.conf etc/passwd etc/group run
    run/.containerenv tmp var var/tmp s s/link s/deep v v/deep w w/new real home
""".split()


@dataclass
class Outcomes:
    seed: str
    started: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.started + self.refused


@contextmanager
def at_rest(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    if process is None:
        yield
        return
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class Roots:
    """A stream of hostile roots in ``directory``, each tried in one container; PYPOD_TEST_SEED repeats it."""

    def __init__(self, directory: Path, probe: str, canary: Path) -> None:
        self.directory = directory
        self.probe = probe
        self.canary = canary
        self.seed = os.environ.get("PYPOD_TEST_SEED") or secrets.token_hex(4)
        self.chance = random.Random(self.seed)  # noqa: S311  # not a secret
        directory.mkdir()

    def run(self, box: Box, *, seconds: float) -> Outcomes:
        """Start containers on such roots for this many seconds, one after the other."""
        print(f"PYPOD_TEST_SEED={self.seed}")
        outcomes = Outcomes(self.seed)
        end = time.monotonic() + seconds
        number, untouched = 0, fingerprint(self.canary)
        while time.monotonic() < end and not outcomes.findings:
            number += 1
            root = self.directory / str(number)
            what = self.make(root)
            options = self.options(root)
            with self.exchanged(root, wanted=options.get("overlay") is False) as swapper:
                self.attempt(box, outcomes, root, options, what, swapper)
            if fingerprint(self.canary) != untouched:
                outcomes.findings.append(f"the canary was touched with {options} on {what}, seed {self.seed}")
            shutil.rmtree(root)
        return outcomes

    def attempt(
        self,
        box: Box,
        outcomes: Outcomes,
        root: Path,
        options: dict,
        what: list[str],
        swapper: subprocess.Popen[bytes] | None,
    ) -> None:
        container = box.engine.containers.create(["/probe", "stay"], rootfs=str(root), **options)
        try:
            for _ in range(2):  # the second time with the leftovers of the first
                try:
                    container.start()
                except PypodError:
                    outcomes.refused += 1
                    continue
                outcomes.started += 1
                with at_rest(swapper):  # the list of mounts is produced path by path
                    found = gaps(container.state().pid)
                if found and not self._went_on_moving(options, found):
                    outcomes.findings.append(f"{found} with {options} on {what}, seed {self.seed}")
                container.stop(timeout=0)
        finally:
            container.remove(force=True, timeout=0)

    def _went_on_moving(self, options: dict, found: list[str]) -> bool:
        """Return whether only the name is wrong: whoever shares the root can rename a mount point after the start."""
        return options.get("overlay") is False and all(gap.startswith(("/proc is no", "/sys is no")) for gap in found)

    def make(self, root: Path) -> list[str]:
        """Create a root; return its oddities."""
        for name in ("bin", "etc", "proc", "sys", "dev", "run", "tmp", "real", "s", "v", "w", "var"):
            (root / name).mkdir(parents=True)
        shutil.copy(self.probe, root / "probe")
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        odd = []
        for name in self.chance.sample(PLACES, self.chance.choice([1, 1, 2, 3, 5])):
            kind, target = self.chance.choice([self._link, self._link, self._link, self._other])()
            if self._put(root / name, kind, target):
                odd.append(f"{name}: {kind} {target}")
        return odd

    def _link(self) -> tuple[str, str]:
        place = self.chance.choice(PLACES)
        way = self.chance.choice([
            f"/{place}", place, f"../{place}", f"./{place}/.", f"/{'../' * 20}{place}", f"/dev/../{place}",
            str(self.canary), f"/{'../' * 20}{self.canary}", f"/proc/1/root{self.canary}", f"/proc/self/root/{place}",
            "/nosuch/at/all", "loop", "/proc/self/fd/3", "/proc/thread-self/cwd", "/proc/sys/kernel", "/proc/sys",
        ])  # fmt: skip
        return "link", way

    def _other(self) -> tuple[str, str]:
        return self.chance.choice(["file", "fifo", "missing", "full"]), ""

    def _put(self, place: Path, kind: str, target: str) -> bool:
        """Create an object below the root, unless an earlier link already leads out of it."""
        # from the top: nothing below a link is examined
        above = [parent for parent in reversed(place.parents) if parent.is_relative_to(self.directory)]
        if any(parent.is_symlink() or (parent.exists() and not parent.is_dir()) for parent in above):
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        if kind == "link":
            place.symlink_to(target)
        elif kind == "file":
            place.write_text("a file\n")
        elif kind == "fifo":
            os.mkfifo(place)
        elif kind == "full":
            (place / "sys/kernel").mkdir(parents=True)
            (place / "null").write_text("a file\n")
        return True

    def options(self, root: Path) -> dict:
        chance = self.chance
        chosen: dict = {"mounts": [], "tmpfs": []}
        volume = root.parent / "volume"
        volume.mkdir(exist_ok=True)
        for target in chance.sample(["/s", "/v/deep", "/real", "/run/secrets", "/s/link", "/dev/x", "/var/tmp"], 2):
            if chance.random() < 0.3:
                chosen["mounts"].append(Mount(type="bind", source=str(volume), target=target))
            elif chance.random() < 0.2:
                chosen["tmpfs"].append(f"{target}:{chance.choice(['tmpcopyup', 'notmpcopyup'])}")
        for name, value, share in (
            ("overlay", False, 0.4), ("read_only", True, 0.2), ("terminal", True, 0.1), ("cap_drop", ["all"], 0.2),
            ("working_directory", chance.choice(["/w", "/w/new", "/s/link", "/proc/self/cwd", "/dev/fd/3"]), 0.2),
            ("sysctls", {"net.core.somaxconn": "99"}, 0.1), ("user", chance.choice(["1001", "root"]), 0.2),
        ):  # fmt: skip
            if chance.random() < share:
                chosen[name] = value
        return chosen

    @contextmanager
    def exchanged(self, root: Path, *, wanted: bool) -> Iterator[subprocess.Popen[bytes] | None]:
        """Meanwhile swap a pair of places in the root as fast as possible, as a container sharing the root could.

        Only direct children of the root are swapped: below a link, renameat2(2) would swap something of the host.
        """
        if not wanted or self.chance.random() < 0.5:
            yield None
            return
        pair = self.chance.sample(["proc", "sys", "dev", "real", "s", "etc", "run", "tmp"], 2)
        words = [self.probe, "swap", "30", *(str(root / name) for name in pair)]
        swapper = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield swapper
        finally:
            swapper.kill()
            swapper.wait()
