"""Run clients, kill at random, and check the result: see tests/chaos/__init__.py."""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from tests.chaos import kernel
from tests.chaos.client import NETWORKS
from tests.images.made import Made, busybox_entries, layer
from tests.lanes import apart

ROUND_S = 5.0
HANGS_AFTER_S = 60.0
SETTLE_S = 20.0
SEARCH_S = 0.05  # to look for a process of the wanted kind: some live for a millisecond
WANTED = ("client", "client", "launcher", *sorted(set(kernel.KINDS.values())))
PASSING = {"launcher", "unpacker", "discarder"}  # kinds that end by themselves
HOMES = (
    *("containers", "pods", "trash", "volumes", "names", "bridges"),
    *("images/layers", "images/incoming", "images/mounts"),
)
OF_THE_NAME_SERVER = {"errors.log", "socket", "status"}
REMOVALS = (
    ("pod", "rm", "--all", "--force", "--time", "0"),
    ("rm", "--all", "--force", "--time", "0"),
    ("rmi", "--all", "--force"),
    ("network", "rm", "--force", *NETWORKS),
    ("system", "check", "--repair"),
)


class Worker:
    """A client process, and its reports."""

    def __init__(self, words: list[str], told: Callable[[dict[str, str]], None]) -> None:
        self.begun = ("", time.monotonic())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.client", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        self._told = told
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):  # it was killed
                return
            words = json.loads(line)
            if "begun" in words:
                self.begun = (words["begun"], words["at"])
            else:
                self._told(words)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def join(self) -> int:
        """Read the rest of its reports; return its exit code."""
        code = self.process.wait()
        self._reader.join(HANGS_AFTER_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Chaos:
    """The storage, its clients, and the findings."""

    def __init__(self, home: str, seed: str, clients: int) -> None:
        self.root, self.rootfs, self.archive = f"{home}/storage", f"{home}/root", f"{home}/image.tar"
        self.seed = seed
        self.clients = clients
        self.chance = random.Random(seed)  # noqa: S311  # no secret
        self.workers: list[Worker] = []
        self.started = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.kills: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.ids: set[str] = set()
        busybox = shutil.which("busybox") or sys.exit("busybox (Debian: busybox-static) is not installed")
        os.makedirs(f"{self.rootfs}/bin")
        shutil.copy(busybox, f"{self.rootfs}/bin/busybox")
        for name in ("sh", "sleep", "true", "echo"):
            os.symlink("busybox", f"{self.rootfs}/bin/{name}")
        below = layer(busybox_entries(self.rootfs))
        above = layer({"data": None, **{f"data/{number}": b"x" * 4096 for number in range(1000)}})
        Made(below, above, config={"Cmd": ["sleep", "1000"]}).archive(Path(self.archive), "localhost/chaos:latest")
        self.mounts, self.links = kernel.mounts(), kernel.links()

    def told(self, words: dict[str, str]) -> None:
        if "finding" in words:
            self.findings[f"{words['finding']}\n{words['trace']}"] += 1
        else:
            self.outcomes[words["verb"], words["outcome"]] += 1

    def pypod(self, *words: str) -> str:
        """Run a command that has to succeed; any output on stderr is a finding."""
        command = [sys.executable, "-m", "pypod", "--root", self.root, *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            self.findings[f"pypod {' '.join(words)} hangs"] += 1
            return ""
        if done.returncode or done.stderr:
            self.findings[f"pypod {' '.join(words)} exits with {done.returncode}: {done.stderr.strip()}"] += 1
        return done.stdout

    def round(self, seconds: float) -> None:
        """Let clients work and kill at random; then let them finish and compare the listing with the kernel."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._keep_clients()
            time.sleep(self.chance.uniform(0, 0.2))
            self._kill(self.chance.choice(WANTED))
        self._finish()
        self._settle(PASSING)
        self._compare()

    def _keep_clients(self) -> None:
        for worker in [one for one in self.workers if one.process.poll() is not None]:
            self.workers.remove(worker)
            self._join(worker)
        while len(self.workers) < self.clients:
            words = [self.root, self.rootfs, self.archive, f"{self.seed}.{self.started}"]
            self.workers.append(Worker(words, self.told))
            self.started += 1

    def _kill(self, kind: str) -> None:
        deadline = time.monotonic() + SEARCH_S
        clients = {one.process.pid for one in self.workers}
        while time.monotonic() < deadline:
            found = [one for one in kernel.processes() if ("client" if one.pid in clients else one.kind) == kind]
            if found:
                time.sleep(self.chance.choice((0, 0, self.chance.uniform(0, 0.005))))
                self.kills[kind] += kernel.kill(self.chance.choice(found))
                return

    def _finish(self) -> None:
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            try:
                worker.process.wait(max(worker.begun[1] + HANGS_AFTER_S - time.monotonic(), 1))
            except subprocess.TimeoutExpired:
                self.findings[f"a client hangs in {worker.begun[0]}: its stack is on stderr"] += 1
                worker.process.send_signal(signal.SIGUSR1)
                time.sleep(1)
                worker.process.kill()
            self._join(worker)
        self.workers.clear()

    def _join(self, worker: Worker) -> None:
        code = worker.join()
        if code not in (0, -signal.SIGKILL):
            self.findings[f"a client ended with {code} in {worker.begun[0]}: stderr says why"] += 1

    def _settle(self, kinds: Collection[str] = ()) -> None:
        """Wait until processes that end by themselves have ended, those of ``kinds`` or all."""
        deadline = time.monotonic() + SETTLE_S
        while left := [one for one in kernel.processes() if not kinds or one.kind in kinds]:
            if time.monotonic() > deadline:
                self.findings.update(f"does not end: {one} {_command(one.pid)}" for one in left)
                return
            time.sleep(0.05)

    def _compare(self) -> None:
        """Record differences that persist: a container may end between two looks."""
        for path in (f"{self.root}/events.log.1", f"{self.root}/events.log"):
            if os.path.exists(path):
                self.ids.update(kernel.ID.findall(Path(path).read_text()))
        lies: set[str] = set()
        for attempt in range(3):
            text = self.pypod("ps", "--all", "--no-trunc", "--format", "json")
            rows = json.loads(text or "[]")
            seen = set(kernel.lies(rows))
            lies = seen if attempt == 0 else lies & seen
            if not lies:
                return
            time.sleep(0.5)
        self.findings.update(f"ps lies: {one}" for one in sorted(lies))

    def remove_all(self) -> None:
        """Remove everything, and look for leftovers."""
        for words in REMOVALS:
            self.pypod(*words)
        self._settle()
        check = self.pypod("system", "check")
        self.findings.update(
            f"check: {line}" for line in check.splitlines() if line.startswith(("left behind", "amiss"))
        )
        left = {
            "listed": self.pypod("ps", "--all", "--quiet").split() + self.pypod("pod", "ps", "--quiet").split(),
            "mounts": kernel.mounts() - self.mounts,
            "interfaces": kernel.links() - self.links,
            "elements of the firewall": kernel.elements(),
            "cgroups": kernel.groups(self.ids),
            "files": self._files(),
        }
        self.findings.update(f"left of {kind}: {one}" for kind, several in left.items() for one in several)

    def _files(self) -> list[str]:
        """Return the files in the directories of removed things; the directories themselves stay."""
        found = [path for home in HOMES for path in Path(self.root, home).glob("*")]
        found += [path for path in Path(self.root, "images/blobs").rglob("*") if path.is_file()]
        return sorted(str(path) for path in found if path.name not in OF_THE_NAME_SERVER)

    def summary(self) -> str:
        verbs, done, kinds = Counter[str](), Counter[str](), Counter[str]()
        for (verb, outcome), count in self.outcomes.items():
            verbs[verb] += count
            kinds[outcome] += count
            done[verb] += count if outcome == "done" else 0
        lines = [
            f"{sum(kinds.values())} operations by {self.started} clients: {_counts(kinds)}",
            f"of them done: {', '.join(f'{verb} {done[verb]} of {count}' for verb, count in verbs.most_common())}",
            f"{sum(self.kills.values())} kills: {_counts(self.kills)}",
            f"{len(self.findings)} findings",
            *(f"- {one}" + (f" ({times} times)" if times > 1 else "") for one, times in self.findings.most_common()),
        ]
        if self.findings:
            lines.append(f"again: python -m tests.chaos --clients {self.clients} --seed {self.seed}")
        return "\n".join(lines)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=sys.modules["tests.chaos"].__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", default="")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("tests.chaos needs root: for its own namespaces, bridges and ports")
    if not options.apart:
        with apart(("unshare", "--net", sys.executable, "-m", "tests.chaos", "--apart", *sys.argv[1:])) as inner:
            return inner.wait()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="pypod-chaos-") as home:
        os.chmod(home, 0o755)  # users in containers need to pass through it
        chaos = Chaos(home, options.seed or secrets.token_hex(4), options.clients)
        print(f"seed {chaos.seed}", flush=True)
        deadline = time.monotonic() + options.seconds
        while (left := deadline - time.monotonic()) > 0:
            chaos.round(min(left, ROUND_S))
        chaos.remove_all()
        print(chaos.summary())
        return 1 if chaos.findings else 0


if __name__ == "__main__":
    sys.exit(main())
