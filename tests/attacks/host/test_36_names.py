"""Names that are paths, options, look-alikes or too long, given to every verb and taken twice."""

from __future__ import annotations

import os
import random
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod.cli.main import run
from pypod.cli.verbs import CONTAINER_VERBS, GROUPS, VERBS
from pypod.errors import AlreadyExists, InvalidSpec, NotFound
from tests.facts import created_nothing, output

pytestmark = pytest.mark.root

GOOD = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
HOSTILE = [
    *("", "/", ".", "..", "../x", "a/../b", "a/b", "/etc/passwd", "-x", "--help=", "_x", ".x", "a b", "a\n", "\na"),
    *(
        "a\0b",
        "a\x1b[2J",
        "\udcff",
        "\u0430dmin",
        "\uff41",
        "a\u202eb",
        "\u00e9",
        "a\u0301",
        "\u0663",
        "a*",
        "?",
        "$(x)",
    ),
    *("`x`", "a;b", "a'b", 'a"b', "a\\b", "%2e%2e", "x:b", "a@b", "a=b", "{{.ID}}", "~", "#"),
]
# verbs that need no container or pod, use the network or a terminal, or take a subcommand in place of a name
ELSEWHERE = set(
    "login logout search pull push version info events lsns view unshare system images image manifest network ns run "
    "create ps list ls stats import load save prune pod container healthcheck volume".split()
)

texts = st.text(max_size=70) | st.from_regex(r"[a-zA-Z0-9_./ -]{1,20}", fullmatch=True) | st.sampled_from(HOSTILE)
texts |= st.text(max_size=9).map("a{}".format)
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(name=texts)
def test_a_new_name_is_what_podman_allows(engine, busybox, name: str) -> None:
    """The same rule applies everywhere: the error names the argument, and nothing is created."""
    create = engine.containers.create
    made = {
        "--name": lambda: create(["true"], rootfs=busybox, name=name),
        "--name of a pod": lambda: engine.pods.create(name, infra=False, share=""),
        "--infra-name": lambda: engine.pods.create(infra_name=name),
    }
    for asked, make in made.items():
        if name == "":  # no name given
            continue
        if GOOD.fullmatch(name):
            thing = make()
            assert name in (thing.name, getattr(getattr(thing, "infra", None), "name", ""))
            thing.remove()
        else:
            with pytest.raises(InvalidSpec):
                make()
        assert created_nothing(engine), asked


@quick
@given(name=texts)
def test_a_renamed_container_and_a_network_have_the_same_rule(engine, busybox, name: str) -> None:
    container = engine.containers.create(["true"], rootfs=busybox)
    before = container.name
    try:
        if GOOD.fullmatch(name):
            container.rename(name)
            assert engine.containers.get(name) == container
        else:
            with pytest.raises(InvalidSpec):
                container.rename(name)
            assert container.name == before
    finally:
        container.remove()
    if not GOOD.fullmatch(name) and name:
        with pytest.raises(InvalidSpec):
            engine.networks.create(name, dns=False)


@pytest.mark.parametrize("ref", HOSTILE)
def test_every_verb_finds_nothing_by_such_a_name(engine, busybox, canary: Path, capsys, ref: str) -> None:
    """The error says so: no traceback, no access to a file of that name, no change in the storage."""
    kept = engine.containers.create(["true"], rootfs=busybox, name="kept")
    os.chdir(canary)
    try:
        before = {path: path.stat().st_mtime_ns for path in Path(engine.layout.root).rglob("*.json")}
        for verb in sorted({*VERBS, *CONTAINER_VERBS} - ELSEWHERE - set(GROUPS)):
            words = [ref] * 2 if verb in ("cp", "rename", "runlabel", "tag", "commit") else [ref]
            words += ["true"] * (verb == "exec")
            of_pods = [["pod"]] if verb in GROUPS["pod"][1] else []
            for group in ([] if verb in VERBS else ["container"], *of_pods):
                code = run(["--root", engine.layout.root, *group, verb, "--", *words])
                told = capsys.readouterr()
                assert code != 0, (group, verb, told)
                assert "Traceback" not in told.err
                assert "untouched" not in told.out + told.err
                assert told.err.replace("\n", "").isprintable(), (verb, told.err)
        assert {path: path.stat().st_mtime_ns for path in Path(engine.layout.root).rglob("*.json")} == before
        assert engine.containers.list(all=True) == [kept]
    finally:
        os.chdir("/")


def test_look_alikes_and_cases_are_others(engine, busybox) -> None:
    """Names are ASCII, so no two of them look alike; case is significant."""
    lower = engine.containers.create(["true"], rootfs=busybox, name="web")
    upper = engine.containers.create(["true"], rootfs=busybox, name="Web")
    assert engine.containers.get("web") == lower != engine.containers.get("Web") == upper
    for name in ("w\u0435b", "\uff57eb", "web\u200b"):
        with pytest.raises(NotFound):
            engine.containers.get(name)
    for make in (
        lambda: engine.containers.create(["true"], rootfs=busybox, name="web"),
        lambda: engine.pods.create("web"),
    ):
        with pytest.raises(AlreadyExists):
            make()


CREATE = """
import sys
from pypod import Engine
with Engine(sys.argv[1]) as engine:
    print("begins", flush=True)
    while True:
        engine.containers.create(["true"], rootfs=sys.argv[2], name="mine").remove()
"""


def test_a_name_that_a_killed_client_took_is_free_or_listed(engine, busybox, full: bool) -> None:
    """The name is always free or listed. Clients that take and release it in a loop are killed at random points."""
    for _ in range(100 if full else 8):
        command = [sys.executable, "-c", CREATE, engine.layout.root, busybox]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            client.stdout.readline()
            select.select([], [], [], random.random() / 50)  # noqa: S311
            client.kill()
        try:
            engine.containers.create(["true"], rootfs=busybox, name="mine").remove()
        except AlreadyExists:
            engine.containers.get("mine").remove()
        assert created_nothing(engine)


@pytest.mark.parametrize("length", [63, 64, 65, 200])
def test_a_name_longer_than_a_hostname(engine, busybox, length: int) -> None:
    """podman 5.6.1 fixed the same bug: the hostname of a pod is the first 64 bytes of its name."""
    pod = engine.pods.create("n" * length)
    container = pod.run(["hostname"], rootfs=busybox, name=f"c{'n' * length}")
    assert container.wait(10) == 0
    assert output(container) == b"n" * min(length, 64) + b"\n"
    with pytest.raises(InvalidSpec):
        engine.pods.create(hostname="h" * 65)
