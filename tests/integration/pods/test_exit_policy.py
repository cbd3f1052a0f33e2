"""Exit policies of pods: stop with the last member, or go on."""

from __future__ import annotations

import json
import time

import pytest

from pypod import Engine, InvalidSpec
from tests.facts import wait_until

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")


def test_the_last_member_takes_the_pod_along(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p", exit_policy="stop")
    members = [pod.run(SLEEP, rootfs=busybox) for _ in range(2)]
    members[0].kill()
    members[0].wait()
    time.sleep(0.3)
    assert pod.infra.state().running
    members[1].kill()
    wait_until(lambda: pod.status == "Exited")
    assert [one.action for one in engine.events() if one.id == pod.id][-1] == "stop"
    pod.start()
    assert pod.status == "Running"


def test_one_that_is_removed_at_its_end(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p", exit_policy="stop")
    pod.run(["sleep", "0.1"], rootfs=busybox, remove=True)
    wait_until(lambda: pod.status == "Exited" and pod.containers() == [])


def test_one_that_is_started_again_keeps_it(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p", exit_policy="stop")
    member = pod.run(["sleep", "0.05"], rootfs=busybox, restart="on-failure:2")
    again = pod.run(["sh", "-c", "sleep 0.05; exit 1"], rootfs=busybox, restart="on-failure:2")
    wait_until(lambda: again.state().restarts == 2)
    assert member.state().restarts == 0
    wait_until(lambda: pod.status == "Exited")


def test_otherwise_it_goes_on(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p")
    pod.run(["true"], rootfs=busybox).wait()
    time.sleep(0.3)
    assert pod.infra.state().running


def test_init_containers_do_not_count(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("p", exit_policy="stop")
    pod.create_container(["true"], rootfs=busybox, init_container="always")
    pod.create_container(SLEEP, rootfs=busybox)
    pod.start()
    time.sleep(0.3)
    assert pod.status == "Running"


def test_what_is_shown_and_refused(engine: Engine) -> None:
    shown = [pod.inspect()["ExitPolicy"] for pod in (engine.pods.create(), engine.pods.create(exit_policy="stop"))]
    assert json.loads(json.dumps(shown)) == ["continue", "stop"]
    with pytest.raises(InvalidSpec, match='invalid pod exit policy: "bogus"') as caught:
        engine.pods.create(exit_policy="bogus")
    assert caught.value.argument == "--exit-policy"
