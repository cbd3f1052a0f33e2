"""Entries of an image's Env that name a variable of the caller without a value (CVE-2026-57231)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pypod.errors import InvalidImage, InvalidSpec
from pypod.model.health import Healthcheck
from tests.cli.program import Program
from tests.images.layers import Layer
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute, written

pytestmark = pytest.mark.root

SECRET = "do not tell"
NAME = "PYPOD_TEST_SECRET"
ENTRIES = ["HOME", NAME, "PYPOD_TEST*", "PYPOD_TEST_?ECRET", "*", "", "=", f"={NAME}", f"A=${NAME}", f"B=${{{NAME}}}"]


@pytest.fixture
def image(engine, busybox, probe: str, monkeypatch):
    monkeypatch.setenv(NAME, SECRET)
    more = Layer().add("probe", Path(probe).read_bytes(), mode=0o755).bytes()
    return bring(engine, busybox_image(busybox, more, config={"Env": [*ENTRIES, "KEPT=1"]}))


def test_nothing_of_the_caller_goes_in(engine, image) -> None:
    container = engine.containers.run(image, ["sh", "-c", "/probe; exec /probe stay"])
    for text in (
        execute(container, "/probe"),
        execute(container, "/probe", privileged=True),
        execute(container, "cat", "/proc/1/environ"),
        written(container),
        json.dumps(container.inspect()),
    ):
        assert SECRET not in text
    environment = Report(execute(container, "/probe")).environment
    assert environment["KEPT"] == "1"
    assert environment["HOME"] == "/root"
    assert (environment["A"], environment["B"]) == (f"${NAME}", f"${{{NAME}}}"), "taken literally"
    assert NAME not in environment


def test_nothing_of_the_caller_is_passed_on(engine, image) -> None:
    """Check an image committed from the container, a health check and the command line."""
    check = Healthcheck(test=("CMD-SHELL", f"env; test -z ${NAME}"))
    container = engine.containers.run(image, ["/probe", "stay"], healthcheck=check)
    assert container.healthcheck() is True
    assert SECRET not in json.dumps(container.inspect())
    assert SECRET.encode() not in container.commit("mine").config.body
    program = Program(engine.layout.root)
    assert SECRET not in program.ok("run", "--rm", "made", "env")
    assert SECRET not in program.ok("exec", "-t", container.id, "env")
    # sanity check: a variable requested by name is passed on
    assert f"{NAME}={SECRET}\n" in program.ok("run", "--rm", "-e", NAME, "made", "env")


@pytest.mark.parametrize("entry", ["A\0B=1", "A=\0"])
def test_a_nul_is_refused(engine, busybox, entry: str) -> None:
    """A NUL would end the entry, and what follows would become an entry of its own."""
    with pytest.raises((InvalidImage, InvalidSpec)):
        engine.containers.create(bring(engine, busybox_image(busybox, config={"Env": [entry]})), ["true"])
