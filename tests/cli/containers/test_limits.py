"""Limits, statistics and pause on the command line, with podman's flags and messages."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.facts import needs_controller

pytestmark = pytest.mark.root

MIB = 1 << 20


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def web(pypod, busybox) -> str:
    return pypod.ok("run", "-d", "--name", "web", "-m", "64m", "--rootfs", busybox, "sleep", "1000").strip()


class TestFlags:
    @pytest.mark.parametrize(
        ("flags", "field", "value"),
        [
            (("--memory", "32m"), "Memory", 32 * MIB),
            (("-m", "1.5g"), "Memory", 3 << 29),
            (("-m", "32m", "--memory-swap", "64m"), "MemorySwap", 64 * MIB),
            (("-m", "32m", "--memory-swap", "-1"), "MemorySwap", -1),
            (("--memory-reservation", "16mb"), "MemoryReservation", 16 * MIB),
            (("--cpus", "0.25"), "NanoCpus", 250_000_000),
            (("--cpu-shares", "512"), "CpuShares", 512),
            (("-c", "512"), "CpuShares", 512),
            (("--cpu-quota", "20000"), "CpuQuota", 20_000),
            (("--cpu-period", "50000"), "CpuPeriod", 50_000),
            (("--cpuset-cpus", "0"), "CpusetCpus", "0"),
            (("--cpuset-mems", "0"), "CpusetMems", "0"),
            (("--pids-limit", "77"), "PidsLimit", 77),
            (("--blkio-weight", "500"), "BlkioWeight", 500),
            (("--oom-score-adj", "100"), "OomScoreAdj", 100),
        ],
    )
    def test_are_kept(self, engine, pypod, busybox, flags, field, value) -> None:
        if field.startswith("Cpuset"):
            needs_controller(engine, "cpuset")
        identifier = pypod.ok("create", *flags, "--rootfs", busybox, "true").strip()
        (shown,) = json.loads(pypod.ok("inspect", identifier))
        assert shown["HostConfig"][field] == value

    def test_of_a_pod_are_shown(self, engine, pypod) -> None:
        needs_controller(engine, "cpuset")
        flags = (
            "--memory",
            "64m",
            "--memory-swap",
            "128m",
            "--cpus",
            "0.5",
            "--cpuset-cpus",
            "0",
            "--cpu-shares",
            "512",
        )
        pypod.ok("pod", "create", "--name", "p", *flags)
        pypod.ok("pod", "create", "--name", "without")
        shown = json.loads(pypod.ok("pod", "inspect", "p"))
        asked = {"cpu_period": 100_000, "cpu_quota": 50_000, "cpuset_cpus": "0"}
        assert list(shown)[-6:] == [
            *("cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "memory_limit"),
            "memory_swap",
        ]
        assert (
            shown.items() >= (asked | {"memory_limit": 64 * MIB, "memory_swap": 128 * MIB, "cpu_shares": 512}).items()
        )
        assert shown["InfraConfig"].items() >= asked.items()
        for pod, limit in (("p", 64 * MIB), ("without", 0)):
            assert pypod.ok("pod", "inspect", pod, "--format", "{{.MemoryLimit}}") == f"{limit}\n"
        assert list(json.loads(pypod.ok("pod", "inspect", "without")))[-1] == "Containers"

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (("-m", "lots"), "invalid value for memory: invalid size: 'lots'"),
            (("--memory-swap", "64m"), "you should always set a memory limit when using a memoryswap limit, see usage"),
            (
                ("-m", "64m", "--memory-swap", "32m"),
                "minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (("--cpus", "1", "--cpu-quota", "1000"), "--cpu-quota and --cpus cannot be set together"),
            (("--cpuset-cpus", "none"), "invalid value none for cpuset cpus"),
            (("--blkio-weight", "5"), "range of blkio weight is from 10 to 1000"),
            (("--memory-swappiness", "101"), "invalid value: 101, valid memory swappiness range is 0-100"),
            (("--device-read-bps", "/etc:1mb"), "bad format for device path: /etc:1mb"),
            (("--device-read-bps", "/dev/null:1mb"), "/dev/null is not a block device"),
            (("--device-write-iops", "/dev/null:-1"), "invalid rate for device: /dev/null:-1"),
            (("--oom-score-adj", "2000"), "--oom-score-adj: 2000 is not between -1000 and 1000"),
        ],
    )
    def test_are_refused_before_anything_is_made(self, pypod, busybox, flags, said) -> None:
        done = pypod("run", *flags, "--rootfs", busybox, "true")
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith(f"Error: {said}")
        assert pypod.ok("ps", "-aq") == ""

    def test_update(self, pypod, web) -> None:
        assert pypod.ok("update", "--memory", "128m", "web") == f"{web}\n"
        assert pypod.ok("stats", "--no-stream", "--format", "{{.MemLimit}}", "web") == f"{128 * MIB}\n"
        assert pypod("update", "--memory", "128m", "nobody").returncode == 125
        pypod.ok("update", "-e", "A=1", "--env", "B=2", "--unsetenv", "B", "web")
        shown = json.loads(pypod.ok("inspect", "web"))[0]["Config"]["Env"]
        assert "A=1" in shown
        assert not [word for word in shown if word.startswith("B=")]

    def test_more_of_a_pod_than_podman_has(self, engine, pypod, busybox) -> None:
        needs_controller(engine, "pids")
        pypod.ok("pod", "create", "--name", "p", "--pids-limit", "20", "--memory-reservation", "16m")
        template = "{{.PidsLimit}} {{.MemoryReservation}}"
        assert pypod.ok("pod", "inspect", "p", "--format", template) == f"20 {16 * MIB}\n"
        pypod.ok("run", "-d", "--pod", "p", "--name", "one", "--rootfs", busybox, "sleep", "1000")
        own = Path(engine.cgroups.directory(engine.containers.get("one").record().cgroup, "pids"))
        assert (own.parent / "pids.max").read_text() == "20\n"
        pypod.ok("pod", "update", "--pids-limit", "30", "p")
        pypod.ok("update", "--pids-limit", "10", "one")
        assert [(one / "pids.max").read_text() for one in (own.parent, own)] == ["30\n", "10\n"]

    def test_pod_update(self, pypod, busybox) -> None:
        pod = pypod.ok("pod", "create", "--name", "p", "--memory", "128m").strip()
        pypod.ok("run", "-d", "--pod", "p", "--name", "one", "--rootfs", busybox, "sleep", "1000")
        assert pypod.ok("pod", "update", "--memory", "64m", "p") == f"{pod}\n"
        assert pypod.ok("stats", "--no-stream", "--format", "{{.MemLimit}}", "one") == f"{64 * MIB}\n"


class TestStats:
    def test_table(self, pypod, web) -> None:
        heading, row = pypod.ok("stats", "--no-stream").splitlines()
        assert re.split(r"\s{2,}", heading.strip()) == [
            *("ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET IO", "BLOCK IO", "PIDS", "CPU TIME"),
            "AVG CPU %",
        ]
        cells = re.split(r"\s{2,}", row.strip())
        assert cells[:2] == [web[:12], "web"]
        assert cells[3].endswith("/ 67.11MB")
        assert cells[7] == "1"

    def test_json(self, pypod, web) -> None:
        (row,) = json.loads(pypod.ok("stats", "--no-stream", "--format", "json", "web"))
        assert sorted(row) == sorted(
            "id name cpu_time cpu_percent avg_cpu mem_usage mem_percent net_io block_io pids".split()
        )
        assert (row["id"], row["name"], row["pids"]) == (web[:12], "web", "1")

    @pytest.mark.usefixtures("web")
    def test_live(self, pypod) -> None:
        """Repeated output is flushed at once each time, until the reader has enough."""
        words = ("stats", "--interval", "1", "--format", "{{.Name}}")
        with pypod.start(*words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            began = time.monotonic()
            assert [process.stdout.readline() for _ in range(3)] == [b"web\n"] * 3
            assert 1.5 < time.monotonic() - began < 20
            process.terminate()

    def test_of_pods(self, pypod, busybox) -> None:
        pod = pypod.ok("pod", "create", "--name", "p").strip()
        one = pypod.ok("run", "-d", "--pod", "p", "--name", "one", "--rootfs", busybox, "sleep", "1000").strip()
        heading, *rows = pypod.ok("pod", "stats", "--no-stream").splitlines()
        assert heading.split()[:3] == ["POD", "CID", "NAME"]
        assert {tuple(row.split()[:1]) for row in rows} == {(pod[:12],)}
        assert one[:12] in {row.split()[1] for row in rows}
        assert len(rows) == 2

    def test_those_that_do_not_run_are_shown_when_asked_for(self, pypod, web, busybox) -> None:
        """With zeros in stats and dashes in pod stats, in podman's way."""
        idle = pypod.ok("create", "--name", "idle", "--rootfs", busybox, "true").strip()
        pypod.ok("pod", "create", "--name", "p")
        pypod.ok("create", "--pod", "p", "--name", "member", "--rootfs", busybox, "true")
        row = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.BlockIO}} {{.PIDS}} {{.UpTime}}"
        zeros = "idle 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0 0s\n"
        assert pypod.ok("stats", "--no-stream", "--format", row, idle[:12]) == zeros
        assert zeros in pypod.ok("stats", "--no-stream", "--format", row, "--all")
        assert pypod.ok("stats", "--no-stream", "--format", "{{.ContainerID}}") == f"{web}\n"
        row = "{{.Name}} {{.CPU}} {{.MemUsage}} {{.Mem}} {{.NetIO}} {{.BlockIO}} {{.PIDS}}"
        assert "member -- -- / -- -- -- / -- -- / -- --\n" in pypod.ok("pod", "stats", "--no-stream", "--format", row)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("stats", "--all", "web"), "--all, --latest and containers cannot be used together"),
            (("stats", "--interval", "0"), "invalid interval, must be a positive number greater zero"),
            (
                ("stats", "--no-stream", "nobody"),
                "unable to get list of containers: unable to look up container nobody: no container with name or ID "
                '"nobody" found: no such container',
            ),
            (
                ("pod", "stats", "--no-stream", "nobody"),
                "unable to get list of pods: no pod with name or ID nobody found: no such pod",
            ),
        ],
    )
    def test_mistakes(self, pypod, words, said) -> None:
        done = pypod(*words)
        assert done.returncode == 125
        assert said in done.stderr


class TestPause:
    def test_of_a_container(self, pypod, web) -> None:
        assert pypod.ok("pause", "web") == "web\n"
        assert pypod.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}") == "web Paused\n"
        assert pypod("pause", "web").returncode == 125
        assert pypod("exec", "web", "true").returncode == 255
        assert pypod.ok("unpause", "--all") == f"{web}\n"
        assert pypod("unpause", "web").returncode == 125

    def test_of_a_pod(self, pypod, busybox) -> None:
        pod = pypod.ok("pod", "create", "--name", "p").strip()
        pypod.ok("run", "-d", "--pod", "p", "--rootfs", busybox, "sleep", "1000")
        assert pypod.ok("pod", "pause", "p") == f"{pod}\n"
        assert pypod.ok("pod", "ps", "--format", "{{.Status}}") == "Paused\n"
        assert pypod.ok("pod", "pause", "p") == f"{pod}\n"
        assert pypod.ok("pod", "unpause", "p") == f"{pod}\n"
        assert pypod.ok("pod", "ps", "--format", "{{.Status}}") == "Running\n"
        assert pypod.ok("pod", "unpause", "p") == ""  # as in podman
