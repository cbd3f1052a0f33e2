"""events: podman's command, its output formats, and how it ends."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import time

import pytest

from pypod import Event
from pypod.cli.go.json import encode
from pypod.cli.system.events import as_json, human
from tests.cli.program import Program
from tests.facts import wait_until

EVENT = Event(
    time_ns=1_795_565_568_263_700_554,
    type="container",
    action="died",
    id="74c28a15f22915e03f63e8186bc96bb6d9ffc3e7b3db52ca3af4ff03671ffddf",
    name="web",
    pod_id="295dac958ad31eb614ba38a4addc8077fef1888587f5d8d2e46971c0b7e58c00",
    exit_code=137,
    attributes=(("app", "<web>"), ("z", "1")),
)
POD = Event(time_ns=1_795_565_568_000_000_000, type="pod", action="create", id="295dac958ad31eb6", name="mipod")


@pytest.fixture(autouse=True)
def utc(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_a_line_for_people() -> None:
    """The line has podman 4.3.1's format."""
    assert human(EVENT) == (
        "2026-11-25 00:12:48.263700554 +0000 UTC container died "
        "74c28a15f22915e03f63e8186bc96bb6d9ffc3e7b3db52ca3af4ff03671ffddf (image=, name=web, "
        "pod_id=295dac958ad31eb614ba38a4addc8077fef1888587f5d8d2e46971c0b7e58c00, app=<web>, z=1)"
    )
    assert human(EVENT, truncate=True).split(" (")[0].endswith(" died 74c28a15f229")
    assert human(POD) == "2026-11-25 00:12:48 +0000 UTC pod create 295dac958ad31eb6 (image=, name=mipod)"


def test_a_line_of_an_image() -> None:
    pulled = Event(time_ns=POD.time_ns, type="image", action="pull", id="", name="busybox\x1b")
    assert human(pulled) == "2026-11-25 00:12:48 +0000 UTC image pull  busybox\\x1b"
    assert encode(as_json(pulled), escape_html=True) == (
        '{"Name":"busybox\\u001b","Status":"pull","Time":"2026-11-25T00:12:48Z","Type":"image","Attributes":null}'
    )


def test_what_a_label_says_does_nothing_to_the_terminal() -> None:
    shown = human(EVENT.replace(attributes=(("a\n", "\x1b[31m\r\udc80\x9b"),)))
    assert shown.endswith("a\\x0a=\\x1b[31m\\x0d\\x80\\xc2\\x9b)")
    assert shown.isprintable()


def test_a_line_of_json() -> None:
    assert encode(as_json(EVENT), escape_html=True) == (
        '{"ContainerExitCode":137,"ID":"74c28a15f22915e03f63e8186bc96bb6d9ffc3e7b3db52ca3af4ff03671ffddf","Name":"web",'
        '"Status":"died","Time":"2026-11-25T00:12:48.263700554Z","Type":"container",'
        '"PodID":"295dac958ad31eb614ba38a4addc8077fef1888587f5d8d2e46971c0b7e58c00",'
        '"Attributes":{"app":"\\u003cweb\\u003e","z":"1"}}'
    )
    assert "ContainerExitCode" not in as_json(EVENT.replace(exit_code=0))
    assert encode(as_json(POD)).endswith('"Type":"pod","Attributes":null}')


@pytest.fixture
def pypod(engine) -> Program:
    return Program(engine.layout.root)


@pytest.fixture
def story(engine, pypod) -> Program:
    """Create a pod and a container."""
    engine.pods.create("mipod", labels={"tier": "front"}, infra_name="mipod-infra")
    engine.containers.create(["true"], name="web", rootfs="/", labels={"app": "web", "ver": "1"})
    return pypod


@pytest.mark.root
def test_forms(story, engine) -> None:
    web = engine.containers.get("web")
    text = story.ok("events", "--stream=false")
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,9})? \+0000 UTC"
    pod = engine.pods.get("mipod").id
    for line, expected in zip(
        text.splitlines(),
        (
            rf"{moment} container create [0-9a-f]{{64}} \(image=, name=mipod-infra, pod_id={pod}, tier=front\)",
            rf"{moment} pod create {pod} \(image=, name=mipod\)",
            rf"{moment} container create {web.id} \(image=, name=web, app=web, ver=1\)",
        ),
        strict=True,
    ):
        assert re.fullmatch(expected, line), line
    assert f" create {web.id[:12]} (" in story.ok("events", "--stream=false", "--no-trunc=false")
    rows = [json.loads(line) for line in story.ok("events", "--stream=false", "--format", "json").splitlines()]
    assert [(row["Type"], row["Status"], row["Name"]) for row in rows] == [
        ("container", "create", "mipod-infra"), ("pod", "create", "mipod"), ("container", "create", "web"),
    ]  # fmt: skip
    template = "{{.Type}} {{.Status}} {{.Name}} {{.ContainerExitCode}} {{.Attributes.app}} {{.Attributes}}"
    last = story.ok("events", "--stream=false", "--format", template).splitlines()[-1]
    assert last == "container create web 0 web map[app:web ver:1]"
    assert story.ok("system", "events", "--stream=false") == text


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-f type=pod", "mipod"),
        ("-f container=web", "web"),
        ("--filter label=app=web", "web"),
        ("-f type=container -f event=create", "mipod-infra web"),
        ("-f event=start", ""),
        ("-f image=x", ""),
        ("-f volume=x", ""),
        ("--since 1h", "mipod-infra mipod web"),
        ("--since 2001-01-01 --until 2002-01-01", ""),
        ("--until 1s", "mipod-infra mipod web"),
    ],
)
def test_what_is_told(story, words, expected) -> None:
    out = story.ok("events", "--stream=false", "--format", "{{.Name}}", *words.split())
    assert out.split() == expected.split()


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-f nosuch=x", "Error: nosuch is an invalid filter"),
        ("-f novalue", "Error: novalue is an invalid filter"),
        ("--since nonsense", "Error: unable to convert since time of nonsense: unable to interpret time value"),
        ("--until nonsense", "Error: unable to convert until time of nonsense: unable to interpret time value"),
        ("word", "Error: `pypod events` takes no arguments"),
        ("--format {{.ID", "Error: template: events:1: unclosed action"),
        (
            "--format {{.Nosuch}}",
            'Error: template: events:1:2: executing "events" at <.Nosuch>: can\'t evaluate field Nosuch in type '
            "*events.Event",
        ),
    ],
)
def test_mistakes(story, words, message) -> None:
    done = story("events", "--stream=false", *words.split())
    assert (done.returncode, done.stderr) == (125, f"{message}\n")


@pytest.mark.root
def test_streaming_tells_at_once_and_ends_by_control_c(story, engine) -> None:
    with story.start("events", "--format", "{{.Status}} {{.Name}}", stdout=subprocess.PIPE) as running:
        try:
            # nothing signals that it is ready, and it shows no earlier events: repeat until it reports one
            deadline = time.monotonic() + 10
            while not select.select([running.stdout], [], [], 0.05)[0]:
                assert time.monotonic() < deadline
                engine.containers.get("web").remove()
                engine.containers.create(["true"], name="web", rootfs="/")
            assert running.stdout.readline() in (b"remove web\n", b"create web\n")
            running.send_signal(signal.SIGINT)
            assert running.wait(10) == 130
        finally:
            running.kill()


@pytest.mark.root
def test_until_ends_it(story) -> None:
    start = time.monotonic()
    assert story.ok("events", "--until", "1s", "--format", "{{.Name}}").split() == ["mipod-infra", "mipod", "web"]
    assert 0.9 < time.monotonic() - start < 8
    start = time.monotonic()
    assert len(story.ok("events", "--stream=false", "--until", "1h").splitlines()) == 3
    assert time.monotonic() - start < 8


@pytest.mark.root
def test_run_and_exec_through_the_program(pypod, busybox) -> None:
    run = ("run", "--rm", "--name", "c", "--rootfs", f"{busybox}:O")
    before: list[str] = []
    for script, code in (("sleep 0.2; exit 3", 3), ("exit 3", 3)):  # the second may have ended before we attach
        pypod(*run, "sh", "-c", script)
        out = pypod.ok("events", "--stream=false", "--format", "{{.Status}} {{.ContainerExitCode}}").splitlines()
        assert out[len(before) :] == ["create 0", "init 0", "start 0", "attach 0", f"died {code}", "remove 0"]
        before = out


@pytest.mark.root
def test_start_tells_of_attaching(pypod, busybox) -> None:
    def told() -> list[str]:
        return pypod.ok("events", "--stream=false", "--format", "{{.Status}}").splitlines()

    pypod.ok("create", "--name", "c", "--rootfs", f"{busybox}:O", "sleep", "1000")
    pypod.ok("init", "c")
    assert told() == ["create", "init"]
    with pypod.start("start", "-a", "c", stdout=subprocess.DEVNULL) as attached:
        wait_until(lambda: told()[2:] == ["start", "attach"])
        with pypod.start("start", "-a", "c", stdout=subprocess.DEVNULL) as again:
            wait_until(lambda: told()[4:] == ["attach"])
            pypod.ok("kill", "c")
            assert (attached.wait(10), again.wait(10)) == (137, 137)
    assert told()[5:] == ["kill", "died"]
