"""pod clone (podman-pod-clone(1))."""

from __future__ import annotations

import pytest

from pypod import Engine, NoSuchPod
from tests.cli.program import Program

pytestmark = pytest.mark.root

KEPT = (
    "{{.Config.Hostname}} {{.HostConfig.ReadonlyRootfs}} {{.Config.Env}} {{.Config.Labels}} {{.Config.Cmd}} {{.Mounts}}"
)


@pytest.fixture
def pypod(engine: Engine) -> Program:
    return Program(engine.layout.root)


def _names(engine: Engine) -> tuple[list[str], list[str]]:
    return [one.name for one in engine.pods.list()], [one.name for one in engine.containers.list(all=True)]


def test_members_and_everything_of_the_pod(pypod: Program, engine: Engine, busybox: str) -> None:
    words = ("--hostname", "h", "-l", "a=b", "-m", "64m", "-v", "data:/data", "--sysctl", "net.core.somaxconn=99")
    network = ("--network", "bridge", "-p", "8099:80")
    pypod.ok("pod", "create", *words, *network, "--share", "net,uts,pid", "--infra-name", "held", "group")
    pypod.ok("create", "--pod", "group", "--name", "one", "-e", "A=b", "--read-only", "--rootfs", busybox, "sleep", "9")
    others = ("--ipc", "container:one", "--requires", "one")
    pypod.ok("create", "--pod", "group", "--name", "two", *others, "--rootfs", busybox, "true")
    made = engine.pods.get(pypod.ok("pod", "clone", "group").strip())
    assert [one.name for one in made.containers()] == ["one-clone", "two-clone"]
    assert (made.name, made.infra and made.infra.name, made.status) == ("group-clone", "held-clone", "Created")
    original = engine.pods.get("group")
    spec = original.spec().replace(name="group-clone", infra_name="held-clone", create_command=())
    assert (made.spec(), made.networks) == (spec, original.networks)
    assert pypod.ok("inspect", "-f", KEPT, "one-clone") == pypod.ok("inspect", "-f", KEPT, "one")
    one, two = made.containers()
    assert (two.spec().ipc.target, two.spec().requires) == (one.id, (one.id,))
    pypod.ok("pod", "clone", "group")
    assert _names(engine)[0] == ["group", "group-clone", "group-clone1"]
    assert [one.name for one in engine.pods.get("group-clone1").containers()] == ["one-clone1", "two-clone1"]


def test_what_is_asked_for_otherwise(pypod: Program, engine: Engine, busybox: str) -> None:
    pod = engine.pods.create(
        "group", network="none", labels={"a": "b"}, hostname="h", memory=64 << 20, volumes=["/usr:/given:ro"]
    )
    pod.create_container(["sleep", "1000"], name="one", rootfs=busybox)
    words = ("-l", "c=d", "--hostname", "other", "--cpus", "0.5", "--shm-size", "1m", "--infra-name", "held")
    mounts = ("-v", "/etc:/given:ro", "-v", "/usr/bin:/more:ro", "--sysctl", "net.core.somaxconn=99")
    pypod.ok("pod", "clone", "--start", *words, *mounts, "--device", "/dev/null:/dev/nothing", "group", "new")
    made = engine.pods.get("new")
    (member,) = made.containers()
    shown = "hostname; cat /proc/sys/net/core/somaxconn; test -d /more -a -f /given/passwd && ls /dev/nothing"
    assert member.exec(["sh", "-c", shown]).stdout == b"other\n99\n/dev/nothing\n"
    spec = made.spec()
    assert (dict(spec.labels), spec.shm_size_bytes, spec.infra_name) == ({"a": "b", "c": "d"}, 1 << 20, "held")
    assert pypod.ok("pod", "inspect", "-f", "{{.MemoryLimit}} {{.CPUQuota}}", "new") == f"{64 << 20} 50000\n"
    assert (made.status, pod.status, pod.spec().hostname) == ("Running", "Created", "h")


def test_in_a_user_namespace_and_out_of_it(engine: Engine, busybox: str) -> None:
    pod = engine.pods.create("group", network="none")
    pod.create_container(["sleep", "1000"], rootfs=busybox, name="one")
    inside = pod.clone("inside", uidmap=["0:100000:65536"], pid="host")
    outside = inside.clone("outside", userns="host")
    assert [("user" in each.spec().share) for each in (pod, inside, outside)] == [False, True, False]
    modes = [each.containers()[0].spec().user_namespace.mode for each in (pod, inside, outside)]
    assert modes == ["host", "pod", "host"]


def test_without_an_infra(pypod: Program, engine: Engine, busybox: str) -> None:
    pypod.ok("pod", "create", "--infra=false", "group")
    pypod.ok("create", "--pod", "group", "--name", "one", "--network", "none", "--rootfs", busybox, "sleep", "1000")
    pypod.ok("pod", "clone", "--start", "group")
    assert _names(engine) == (["group", "group-clone"], ["one", "one-clone"])
    assert engine.containers.get("one-clone").state().running
    refused = pypod("pod", "clone", "--infra-name", "held", "group")
    assert (refused.returncode, "cannot set infra-name without infra" in refused.stderr) == (125, True)


def test_destroy_and_start(pypod: Program, engine: Engine, busybox: str) -> None:
    """The original ends before the clone starts, which may publish the same port."""
    pod = engine.pods.create("group", network="bridge", ports=["127.0.0.1:8099:80"])
    pod.run(["sleep", "1000"], name="one", rootfs=busybox, stop_signal="SIGKILL")
    pypod.ok("pod", "clone", "--destroy", "--start", "group", "new")
    made = engine.pods.get("new")
    assert _names(engine) == (["new"], ["one-clone"])
    assert (made.status, made.ports[0].host_port) == ("Running", 8099)
    with pytest.raises(NoSuchPod):
        pod.record()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("group", "taken"), "already exists"),
        (("--infra-name", "one", "group"), "already in use"),
        (("nosuch",), "no pod with name or ID nosuch found: no such pod"),
        (("--memory", "x", "group"), "invalid"),
        (("--sysctl", "kernel.hostname=x", "group"), "kernel.hostname"),
        (("-v", "/nosuch/file:/there", "group"), "/nosuch/file"),
        (("group", "a b"), "running pod create option: names must match"),
        (("a", "b", "c"), "accepts between 1 and 2 arg(s), received 3"),
    ],
)
def test_refused(pypod: Program, engine: Engine, busybox: str, words: tuple[str, ...], said: str) -> None:
    engine.pods.create("taken")
    engine.pods.create("group").create_container(["sleep", "1000"], name="one", rootfs=busybox)
    before = _names(engine)
    refused = pypod("pod", "clone", *words)
    assert (refused.returncode, refused.stdout) == (125, "")
    assert said in refused.stderr
    assert _names(engine) == before


def test_a_member_that_cannot_be_cloned(engine: Engine, busybox: str) -> None:
    """Then there is no new pod, and none of the members before it."""
    pod = engine.pods.create("group")
    pod.create_container(["sleep", "1000"], name="one", rootfs=busybox)
    secret = engine.secrets.create("word", b"x")
    pod.create_container(["sleep", "1000"], name="two", rootfs=busybox, secrets=["word"])
    secret.remove()
    before = _names(engine)
    with pytest.raises(Exception, match="secret"):
        pod.clone()
    assert _names(engine) == before
