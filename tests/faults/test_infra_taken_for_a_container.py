"""An infra named in place of a container, and one that stops while it is joined: its record is never called damaged.

An infra is found by its name, its ID and a prefix of the ID, as ``c3`` may be once the container of that name is
gone; and it has no specification except its pod's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pypod import Engine, Pod, Unsupported, WrongState
from pypod.api.container import Container
from pypod.engine.lifecycle import infra
from pypod.engine.lifecycle.exec import ExecSpec
from pypod.engine.lifecycle.explain import of_exec
from tests.cli.program import Program

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
VERBS: dict[str, Callable[[Engine, Container, str], object]] = {
    "exec": lambda _engine, one, _root: one.exec(["true"]),
    "explained exec": lambda engine, one, _root: of_exec(engine, one.record(), ExecSpec(command=("true",))),
    "explained start": lambda _engine, one, _root: one.explain(),
    "commit": lambda _engine, one, _root: one.commit("x"),
    "health check": lambda _engine, one, _root: one.healthcheck(),
    "changes": lambda _engine, one, _root: one.changes(),
    "export": lambda _engine, one, _root: list(one.export()),
    "specification": lambda _engine, one, _root: one.spec(),
    "volumes from": lambda engine, one, root: engine.containers.create(SLEEP, rootfs=root, volumes_from=[one.id]),
}


@pytest.fixture
def pod(engine: Engine) -> Pod:
    made = engine.pods.create("p", infra_name="the-infra")
    made.start()
    return made


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_of_containers_names_the_pod(engine: Engine, pod: Pod, busybox: str, verb: str) -> None:
    one = pod.infra
    assert one is not None
    with pytest.raises(Unsupported, match=f"the-infra is the infra of pod {pod.id[:12]}") as caught:
        VERBS[verb](engine, one, busybox)
    assert "member" in caught.value.hint
    assert one.state().running


def test_so_does_the_command_line_given_the_beginning_of_an_id(engine: Engine, pod: Pod) -> None:
    assert pod.infra is not None
    done = Program(engine.layout.root)("exec", pod.infra.id[:4], "true")
    assert done.returncode == 255
    assert "is the infra of pod" in done.stderr
    assert "damaged" not in done.stderr
    assert pod.status == "Running"


def test_it_is_drawn_and_looked_at_like_any_other(engine: Engine, pod: Pod) -> None:
    assert pod.infra is not None
    assert "infra" in str(pod.picture())
    assert pod.infra.inspect()["IsInfra"]


def test_who_joins_an_infra_that_stops_meanwhile_is_told_so(
    engine: Engine, pod: Pod, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pod.infra is not None
    pod.stop(timeout=0)
    joining = engine.containers.create(SLEEP, rootfs=busybox, network=f"container:{pod.infra.id}")
    start = infra.start

    def stopped_at_once(engine: Engine, record, lock) -> None:
        start(engine, record, lock)
        infra.stop(engine, record)

    with monkeypatch.context() as patch:
        patch.setattr(infra, "start", stopped_at_once)
        with pytest.raises(WrongState, match="the-infra: it is not running"):
            joining.start()
    joining.start()
    assert joining.namespaces()["net"] == pod.infra.namespaces()["net"]
