"""Names, references and arguments: an invalid one is named in the error, and nothing is created."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypod import (
    AlreadyExists,
    AmbiguousName,
    CommandNotFound,
    InvalidSpec,
    LaunchFailed,
    Mount,
    NoSuchContainer,
    NoSuchPod,
)
from tests.facts import created_nothing

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")
# PID 1 of a namespace that handles TERM: a shell with a trap that does not wait for its child
TRAPPING = "trap 'echo heard; exit {code}' {signal}; echo ready; while :; do sleep 0.01; done"


def _is_valid(name: str) -> bool:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return name[:1] != "" and name[0] in letters and all(c in letters + "_.-" for c in name)


class TestNames:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        name=st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["-a", ".", "..", "a/b", "a\n", "ä", "a b"]))
    )
    def test_everything_outside_the_rule_is_refused(self, engine, busybox, name: str) -> None:
        for create in (
            lambda: engine.containers.create(SLEEP, rootfs=busybox, name=name),
            lambda: engine.pods.create(name),
        ):
            if _is_valid(name):
                create().remove()
                continue
            with pytest.raises(InvalidSpec, match=r"names must match") as caught:
                create()
            assert caught.value.argument == "--name"
        assert created_nothing(engine)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(ref=st.text(max_size=70))
    def test_no_text_finds_what_is_not_there(self, engine, ref: str) -> None:
        with pytest.raises(NoSuchContainer) as caught:
            engine.containers.get(ref)
        assert caught.value.ref == ref
        with pytest.raises(NoSuchPod):
            engine.pods.get(ref)
        assert not engine.containers.exists(ref)

    def test_text_that_is_not_utf_8_finds_nothing(self, engine) -> None:
        assert not engine.containers.exists("\udcff")

    def test_a_name_is_taken_once_for_pods_and_containers(self, engine, busybox) -> None:
        container = engine.containers.create(SLEEP, rootfs=busybox, name="taken")
        pod = engine.pods.create("taken-too", infra_name="infra-of-it")
        for create in (engine.pods.create, lambda name: engine.containers.create(SLEEP, rootfs=busybox, name=name)):
            for name, holder in (("taken", container), ("taken-too", pod), ("infra-of-it", pod.infra)):
                with pytest.raises(AlreadyExists) as caught:
                    create(name)
                assert (caught.value.name, caught.value.holder_id) == (name, holder.id)
        assert engine.containers.list(all=True) == [container]
        assert engine.pods.list() == [pod]
        container.remove()
        engine.containers.create(SLEEP, rootfs=busybox, name="taken").remove()

    def test_ids_and_their_beginnings(self, engine, busybox) -> None:
        made = [engine.containers.create(SLEEP, rootfs=busybox) for _ in range(17)]  # two IDs share their first digit
        for container in made:
            assert engine.containers.get(container.id) == container
            assert engine.containers.get(container.id[:20]) == container
            assert engine.containers.get(container.name) == container
        counted: dict[str, list[str]] = {}
        for container in made:
            counted.setdefault(container.id[0], []).append(container.id)
        digit = next(digit for digit, found in counted.items() if len(found) > 1)
        with pytest.raises(AmbiguousName) as caught:
            engine.containers.get(digit)
        assert set(caught.value.matches) == set(sorted(counted[digit])[:8])
        unknown = next(c for c in "0123456789abcdef" * 2 if not any(m.id.startswith(c * 3) for m in made)) * 3
        with pytest.raises(NoSuchContainer) as gone:
            engine.containers.get(unknown)
        assert gone.value.ref == unknown

    def test_a_name_that_looks_like_an_id_is_a_name(self, engine, busybox) -> None:
        first = engine.containers.create(SLEEP, rootfs=busybox)
        second = engine.containers.create(SLEEP, rootfs=busybox, name=first.id[:12])
        assert engine.containers.get(first.id[:12]) == second
        assert engine.containers.get(first.id[:13]) == first


WRONG = [
    ("no rootfs", {"rootfs": ""}, "--rootfs"),
    ("missing rootfs", {"rootfs": "/nowhere/at/all"}, "--rootfs"),
    ("rootfs is a file", {"rootfs": "/etc/passwd"}, "--rootfs"),
    ("no command", {"command": []}, "command"),
    ("NUL in the command", {"command": ["a\0b"]}, "command"),
    ("relative working directory", {"working_directory": "tmp"}, "--workdir"),
    ("variable without a name", {"environment": {"": "x"}}, "--env"),
    ("equals sign in a name", {"environment": {"A=B": "x"}}, "--env"),
    ("user with a space", {"user": "a b"}, "--user"),
    ("user of minus one", {"user": "-1"}, "--user"),
    ("too great a user", {"user": "4294967296"}, "--user"),
    ("hostname too long", {"hostname": "h" * 65}, "--hostname"),
    ("hostname with a space", {"hostname": "a b"}, "--hostname"),
    ("hostname in the host's namespace", {"hostname": "h", "uts": "host"}, "--hostname"),
    ("host entry without address", {"add_hosts": ["name"]}, "--add-host"),
    ("host entry with a wrong address", {"add_hosts": ["name:999.1.1.1"]}, "--add-host"),
    ("relative volume target", {"volumes": ["/tmp:relative"]}, "--volume"),
    ("relative volume source", {"volumes": ["na/me:/there"]}, "--volume"),
    ("volume without target", {"volumes": ["/tmp:"]}, "--volume"),
    ("volume option", {"volumes": ["/tmp:/there:nonsense"]}, "--volume"),
    ("volume over the root", {"volumes": ["/tmp:/"]}, "--volume"),
    ("volume target with ..", {"volumes": ["/tmp:/a/../b"]}, "--volume"),
    ("tmpfs target", {"tmpfs": ["relative"]}, "--tmpfs"),
    ("one target twice", {"volumes": ["/tmp:/there", "/etc:/there/"]}, "--volume"),
    ("address in a network", {"network": "front:ip=10.89"}, "--network"),
    ("network of nobody", {"network": "container:"}, "--network"),
    ("namespace at no path", {"network": "ns:"}, "--network"),
    ("pod's namespace without a pod", {"network": "pod"}, "--network"),
    ("pid mode", {"pid": "none"}, "--pid"),
    ("ipc mode", {"ipc": "nonsense"}, "--ipc"),
    ("uts mode", {"uts": "container"}, "--uts"),
    ("cgroup mode", {"cgroupns": "nonsense"}, "--cgroupns"),
    ("capability", {"cap_add": ["NOSUCH"]}, "--cap-add"),
    ("security option", {"security_opt": ["nonsense"]}, "--security-opt"),
    ("seccomp file", {"security_opt": ["seccomp=/nowhere.json"]}, "--security-opt"),
    ("ulimit", {"ulimits": ["nofile"]}, "--ulimit"),
    ("ulimit of nothing", {"ulimits": ["nonsense=1"]}, "--ulimit"),
    ("soft above hard", {"ulimits": ["nofile=2:1"]}, "--ulimit"),
    ("sysctl of the host", {"sysctls": {"kernel.panic": "1"}}, "--sysctl"),
    ("sysctl of a host namespace", {"sysctls": {"net.ipv4.ip_forward": "1"}, "network": "host"}, "--sysctl"),
    ("sysctl path", {"sysctls": {"net/../kernel/panic": "1"}}, "--sysctl"),
    ("stop signal", {"stop_signal": "NOSUCH"}, "--stop-signal"),
    ("stop signal number", {"stop_signal": 65}, "--stop-signal"),
    ("stop timeout", {"stop_timeout": -1}, "--stop-timeout"),
    ("shm size", {"shm_size": -1}, "--shm-size"),
    ("cgroup parent", {"cgroup_parent": "../x"}, "--cgroup-parent"),
    ("cgroup parent of systemd", {"cgroup_parent": "a.slice"}, "--cgroup-parent"),
]


@pytest.mark.parametrize(("options", "argument"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_argument_is_named_and_nothing_created(engine, busybox, options, argument: str) -> None:
    given = {"rootfs": busybox, **options}
    command = given.pop("command", SLEEP)
    with pytest.raises(InvalidSpec) as caught:
        engine.containers.create(command, **given)
    assert caught.value.argument == argument
    assert created_nothing(engine)


def test_what_is_wrong_only_at_the_start_leaves_nothing(engine, busybox, tmp_path) -> None:
    with pytest.raises(InvalidSpec, match="no such file or directory") as caught:
        engine.containers.run(SLEEP, rootfs=busybox, volumes=["/nowhere/at/all:/there"])
    assert caught.value.argument == "--volume"
    wrong_mount = Mount(type="tmpfs", target="/there", options=("size=nonsense",))
    with pytest.raises(LaunchFailed, match="/there"):
        engine.containers.run(SLEEP, rootfs=busybox, mounts=[wrong_mount])
    with pytest.raises(NoSuchContainer):
        engine.containers.run(SLEEP, rootfs=busybox, network="container:nobody")
    other = engine.containers.create(["/nosuch"], rootfs=busybox, name="other")
    with pytest.raises(CommandNotFound, match="/nosuch"):  # the container to be joined cannot be started
        engine.containers.run(SLEEP, rootfs=busybox, network="container:other")
    other.remove()
    with pytest.raises(LaunchFailed, match=r"setns|open"):
        engine.containers.run(SLEEP, rootfs=busybox, network=f"ns:{tmp_path}")
    assert created_nothing(engine)
    with pytest.raises(NoSuchPod):
        engine.containers.run(SLEEP, rootfs=busybox, pod="nobody")


def test_a_root_directory_as_the_command_line_writes_it(engine) -> None:
    with pytest.raises(InvalidSpec) as caught:
        engine.containers.create(["true"], rootfs="/:O")
    assert (caught.value.argument, caught.value.hint) == (
        "--rootfs",
        "in Python :O is left out: overlay=True is the default",
    )
