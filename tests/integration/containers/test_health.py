"""Health checks: run on demand, remembered for the current run of the container, shown where podman shows them."""

from __future__ import annotations

import json

import pytest

from pypod import InvalidSpec, WrongState
from pypod.model.health import Healthcheck
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring

pytestmark = pytest.mark.root
SLEEP = ["sleep", "1000"]


def ps(pypod, *words: str) -> str:
    done = pypod("ps", "--format", "{{.Names}} {{.Status}}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def pypod(engine, run_program):
    return run_program(engine.layout.root)


@pytest.fixture
def run_program():
    import subprocess
    import sys

    def program(root: str):
        def run(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "pypod", "--root", root, *words]
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

        return run

    return program


def test_of_an_image(engine, busybox, pypod) -> None:
    check = {"Test": ["CMD-SHELL", "test -e /well || { echo not yet; exit 3; }"], "Retries": 2, "Interval": 10**9}
    image = bring(engine, busybox_image(busybox, config={"Healthcheck": check}))
    container = engine.containers.run(image, SLEEP, name="c")
    assert ps(pypod).endswith("(starting)\n")
    assert container.inspect()["Config"]["Healthcheck"]["Test"] == check["Test"]
    assert pypod("healthcheck", "run", "c").returncode == 1
    assert container.inspect()["State"]["Health"]["Status"] == "starting"
    done = pypod("healthcheck", "run", "c")
    assert (done.returncode, done.stdout) == (1, "unhealthy\n")
    health = container.inspect()["State"]["Health"]
    assert (health["Status"], health["FailingStreak"]) == ("unhealthy", 2)
    assert [(one["ExitCode"], one["Output"]) for one in health["Log"]] == [(3, "not yet\n")] * 2
    assert ps(pypod, "--filter", "health=unhealthy").endswith("(unhealthy)\n")
    container.exec(["touch", "/well"])
    assert container.healthcheck() is True
    assert container.inspect()["State"]["Health"]["FailingStreak"] == 0
    assert ps(pypod).endswith("(healthy)\n")
    assert ps(pypod, "--filter", "health=none") == ""
    container.restart(timeout=0)
    assert ps(pypod).endswith("(starting)\n")  # there is no result for this run yet


def test_flags(engine, busybox, pypod) -> None:
    words = ["run", "-d", "--health-cmd", '["test", "-e", "/etc"]', "--health-timeout", "2s", "--name", "c"]
    assert pypod(*words, "--rootfs", f"{busybox}:O", *SLEEP).returncode == 0
    spec = engine.containers.get("c").spec()
    assert spec.healthcheck == Healthcheck(test=("CMD", "test", "-e", "/etc"), timeout_ns=2 * 10**9)
    assert pypod("healthcheck", "run", "c").returncode == 0


def test_one_that_takes_too_long_or_cannot_run_fails(engine, busybox) -> None:
    slow = Healthcheck(test=("CMD", "sleep", "60"), timeout_ns=100_000_000, retries=1)
    missing = Healthcheck(test=("CMD", "/no/such"), start_period_ns=10**12)
    for check, status in ((slow, "unhealthy"), (missing, "starting")):
        container = engine.containers.run(SLEEP, rootfs=busybox, healthcheck=check)
        assert container.healthcheck() is False
        assert container.inspect()["State"]["Health"]["Status"] == status
        container.remove(force=True)


def test_none_and_not_running(engine, busybox, pypod) -> None:
    image = bring(engine, busybox_image(busybox, config={"Healthcheck": {"Test": ["CMD", "true"]}}))
    for options in ({"healthcheck": Healthcheck(test=("NONE",))},):
        container = engine.containers.run(image, SLEEP, **options)
        with pytest.raises(InvalidSpec, match="no defined healthcheck"):
            container.healthcheck()
        container.remove(force=True)
    for options in (
        {},
        {"healthcheck": Healthcheck(test=("NONE",))},
    ):  # that it does not run is told first, as podman does
        with pytest.raises(WrongState, match="is not running"):
            engine.containers.create(image, SLEEP, **options).healthcheck()
    done = pypod("run", "--no-healthcheck", "--health-cmd", "x", "made", "true")
    assert (done.returncode, "cannot specify both" in done.stderr) == (125, True)


@pytest.mark.parametrize(
    ("command", "test"),
    [
        ("CMD true", ["CMD", "true"]),
        ("CMD-SHELL a  b", ["CMD-SHELL", "a  b"]),
        ("a b", ["CMD-SHELL", "a b"]),
        ('["a", "b c"]', ["CMD", "a", "b c"]),
        ('["CMD", "a"]', ["CMD", "a"]),
        ('["a"]', ["CMD-SHELL", "a"]),
        ("none", ["NONE"]),
        (" ", ["CMD-SHELL", " "]),
    ],
)
def test_the_kind_may_come_first(engine, busybox, pypod, command: str, test: list[str]) -> None:
    assert pypod("create", "--name", "c", "--health-cmd", command, "--rootfs", busybox, "true").returncode == 0
    assert json.loads(pypod("inspect", "-f", "{{json .Config.Healthcheck.Test}}", "c").stdout) == test


def test_one_that_was_switched_off_has_no_status(engine, busybox, pypod) -> None:
    pypod("run", "-d", "--name", "c", "--no-healthcheck", "--rootfs", busybox, *SLEEP)
    assert pypod("inspect", "-f", "{{json .Config.Healthcheck}}", "c").stdout == '{"Test":["NONE"]}\n'
    assert "starting" not in pypod("ps", "--format", "{{.Status}}").stdout
    assert engine.containers.get("c").inspect()["State"]["Health"]["Status"] == ""
    engine.containers.get("c").remove(force=True)


@pytest.mark.parametrize("words", [["--health-timeout", "x"], ["--health-retries", "-1"], ["--health-interval", "-5s"]])
def test_bad_flags(engine, busybox, pypod, words) -> None:
    done = pypod("create", "--health-cmd", "true", *words, "--rootfs", busybox, "true")
    assert done.returncode == 125
    assert words[0].removeprefix("--health-") in done.stderr
    assert engine.containers.list(all=True) == []
