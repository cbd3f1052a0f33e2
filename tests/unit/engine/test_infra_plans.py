"""The plan for starting a pod's infra: with its own program, with another one, and from an image."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pypod.engine.lifecycle.infra_image import image_ops, infra_spec
from pypod.engine.lifecycle.infra_start import InfraStart
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel.abi import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS
from pypod.model.images.config import ImageConfig
from pypod.model.images.image import Platform
from pypod.model.namespace import HOST, PRIVATE
from pypod.model.pod import PodSpec
from pypod.model.port import Port
from pypod.runtime.compiler.surroundings import Surroundings
from pypod.runtime.ops import plan
from pypod.store.records import INFRA, ContainerRecord, PodRecord
from tests.unit.plan_cases import named

Operations = list[tuple[str, list[str]]]
POD = PodSpec(name="web")
NOTHING = {"pod_id": "p", "created_ns": 0, "image": "", "command": "", "remove": 0, "owner": "", "spec_json": "{}"}
RECORD = ContainerRecord(id="i" * 64, name="web-infra", kind=INFRA, cgroup="/pypod/i", **NOTHING)
PLATFORM = Platform(os="linux", architecture="amd64")
IMAGE_CONFIG = ImageConfig(
    body=b"{}",
    platform=PLATFORM,
    entrypoint=("/hold",),
    command=("on",),
    environment=(("A", "1"),),
    user="7",
    working_directory="/srv",
    volumes=("/data",),
)


def engine_of(pod: PodSpec) -> Any:
    """Return the parts of root's engine that the plans need."""
    return SimpleNamespace(
        boot_id="boot",
        rootless=False,
        pod_spec=lambda _: pod,
        event_file="/s/events",
        layout=SimpleNamespace(merged="/s/merged", container=lambda one: f"/s/containers/{one[:1]}"),
        cgroups=SimpleNamespace(
            clones_into_cgroup=True,
            shown=("/sys/fs/cgroup", ""),
            tracking_directory=lambda path: f"/sys/fs/cgroup{path}",
            join_files=lambda path, trees: tuple(f"/sys/fs/cgroup/{tree}{path}/tasks" for tree in trees),
        ),
        default_filter=lambda capabilities: (f"filter of {len(capabilities)}".encode(), 0),
    )


def planned(pod: PodSpec = POD, *, owner: str = "", trees: tuple[str, ...] = ()) -> Operations:
    record = PodRecord(id="p" * 64, name=pod.name, created_ns=0, infra_id=RECORD.id, owner=owner, spec_json="{}")
    group: Any = SimpleNamespace(trees=trees)
    nothing: dict[str, Any] = dict.fromkeys(("session", "maps", "image", "driver", "root"))
    directory = f"/s/containers/{RECORD.id[0]}"
    known = {"context": engine_of(pod), "record": RECORD, "pod": record, "spec": pod, "directory": directory}
    return named(InfraStart(**known, group=group, **nothing).plan(()))


def only(operations: Operations, name: str) -> list[list[str]]:
    return [arguments for one, arguments in operations if one == name]


class TestOwnProgram:
    def test_the_supervisor_writes_down_its_start_and_leaves(self) -> None:
        begin = planned()[:3]
        assert begin[:2] == [("status", ["/s/containers/i/status", "boot"]), ("leave", [])]
        name, (path, start, end, about) = begin[2]
        assert (name, path, start, end) == ("event", "/s/events", "init start", "")  # whoever stops it records its end
        assert '"name":"web-infra"' in about

    def test_it_has_the_namespaces_that_are_shared(self) -> None:
        ((flags, group),) = only(planned(), "clone")
        own = CLONE_NEWNS | CLONE_NEWPID  # whatever is shared
        assert int(flags) == own | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
        assert group == "/sys/fs/cgroup/pypod/i"
        ((flags, _),) = only(planned(POD.replace(share=())), "clone")
        assert int(flags) == own

    def test_on_the_hosts_network_nothing_of_that_is_changed(self) -> None:
        operations = planned(POD.replace(net="host"))
        assert int(only(operations, "clone")[0][0]) & CLONE_NEWNET == 0
        assert [name for name, _ in operations if name in ("loopback", "sysctl")] == []

    def test_it_can_do_nothing_and_its_root_is_empty(self) -> None:
        operations = planned()
        assert operations[-3:-1] == [("no_new_privileges", []), ("capabilities", ["0"] * 5)]
        (root,) = only(operations, "root")
        assert root[:3] == ["tmpfs", "tmpfs", "/s/merged"]
        assert [mount[2] for mount in only(operations, "mount")] == ["/dev/shm"]
        assert operations[-4] == ("read_only_root", [])

    @pytest.mark.parametrize(("owner", "words"), [("", []), ("42 77 boot", ["3"]), ("damaged", [])])
    def test_it_goes_with_its_owner(self, owner: str, words: list[str]) -> None:
        operations = planned(owner=owner)
        assert only(operations, "owner") == ([["42", "77"]] if words else [])
        (program,) = only(operations, "execute_file")
        assert program[0].endswith("/pause")
        assert program[1:] == ["pypod-infra", *words]

    def test_a_program_that_was_asked_for_is_run_by_its_name(self) -> None:
        operations = planned(POD.replace(infra_command=("/hold", "on")), owner="42 77 boot")
        assert only(operations, "execute_file") == [["/hold", "/hold", "on"]]

    @pytest.mark.parametrize(
        ("pod", "hostname"),
        [(POD, "web"), (POD.replace(hostname="box"), "box"), (POD.replace(name="n" * 80), "n" * 64)],
    )
    def test_hostname(self, pod: PodSpec, hostname: str) -> None:
        assert only(planned(pod), "hostname") == [[hostname]]

    def test_sizes_and_sysctls(self) -> None:
        operations = planned(POD.replace(shm_size_bytes=4096, sysctls=(("net.ipv4.ip_forward", "1"),)))
        assert ["tmpfs", "shm", "/dev/shm", "14", "mode=1777", "size=4096"] in only(operations, "mount")
        assert ["net/ipv4/ip_forward", "1"] in only(operations, "sysctl")

    def test_it_is_in_every_tree_of_its_group(self) -> None:
        joined = only(planned(trees=("pids", "cpu")), "join_group")
        assert joined == [["/sys/fs/cgroup/pids/pypod/i/tasks"], ["/sys/fs/cgroup/cpu/pypod/i/tasks"]]

    def test_ports_are_held_before_it_is_there(self) -> None:
        ports = (
            Port(container_port=80, host_port=8080, count=2),
            Port(container_port=53, host_port=53, protocol="udp"),
        )
        operations = planned(POD.replace(ports=ports))
        assert only(operations, "hold") == [["tcp", "", "8080"], ["tcp", "", "8081"], ["udp", "", "53"]]
        names = [name for name, _ in operations]
        assert max(at for at, name in enumerate(names) if name == "hold") < names.index("clone")


def image_of(**fields: Any) -> Any:
    return SimpleNamespace(used_name="hold:1", layer_directories=lambda: ("/l",), config=IMAGE_CONFIG.replace(**fields))


class TestSpecificationOfAnImages:
    def test_what_the_image_says_is_run(self) -> None:
        spec = infra_spec(POD, image_of(), "web-infra")
        assert (spec.name, spec.arguments, spec.user, spec.working_directory) == (
            *("web-infra", ("/hold", "on"), "7", "/srv"),
        )
        assert (spec.image, spec.layers, spec.environment) == ("hold:1", ("/l",), (("A", "1"),))

    def test_the_pods_command_replaces_it_whole(self) -> None:
        assert infra_spec(POD.replace(infra_command=("/mine",)), image_of(), "i").arguments == ("/mine",)

    def test_without_any_there_is_nothing_to_run(self) -> None:
        with pytest.raises(InvalidSpec, match="no command"):
            infra_spec(POD, image_of(entrypoint=(), command=()), "i")

    def test_it_has_no_rights_and_no_volumes(self) -> None:
        spec = infra_spec(POD, image_of(), "i")
        assert (spec.capabilities, spec.added_capabilities, spec.no_new_privileges) == ((), (), True)
        assert (spec.mounts, spec.create_working_directory) == ((), False)

    def test_it_holds_what_the_pod_shares_and_has_the_hosts_for_the_rest(self) -> None:
        spec = infra_spec(POD.replace(share=("ipc", "net")), image_of(), "i")
        assert (spec.net, spec.ipc, spec.uts, spec.cgroup) == (PRIVATE, PRIVATE, HOST, HOST)
        assert infra_spec(POD.replace(net="host"), image_of(), "i").net == HOST

    def test_the_pods_sizes_and_sysctls(self) -> None:
        pod = POD.replace(shm_size_bytes=4096, sysctls=(("net.a", "1"),))
        spec = infra_spec(pod, image_of(), "i")
        assert (spec.shm_size_bytes, spec.sysctls) == (4096, (("net.a", "1"),))

    def test_not_for_a_user_namespace(self) -> None:
        with pytest.raises(Unsupported, match="cannot hold a user namespace"):
            infra_spec(POD.replace(share=("net", "user")), image_of(), "i")


class TestPlanOfAnImages:
    @pytest.fixture
    def operations(self, tmp_path) -> Operations:
        spec = infra_spec(POD, image_of(), "i").replace(image="", layers=(), rootfs=str(tmp_path), overlay=False)
        around = Surroundings(target="/s/merged", born_in="/g")
        return named(plan([], image_ops(engine_of(POD), RECORD, spec, "web", around)))

    def test_only_what_a_program_needs_is_mounted(self, operations) -> None:
        assert {mount[2] for mount in only(operations, "mount")} == {"/proc", "/dev", "/dev/pts", "/dev/shm"}
        assert only(operations, "bind") == only(operations, "open_tree") == []

    def test_what_is_hidden_lies_where_something_is_mounted(self, operations) -> None:
        hidden = [path for name in ("mask", "read_only") for (path,) in only(operations, name)]
        assert "/proc/kcore" in hidden
        assert all(path.startswith("/proc/") for path in hidden)

    def test_it_can_do_nothing(self, operations) -> None:
        # as user 7, who cannot install a filter without no_new_privs
        assert operations[-4:] == [
            ("no_new_privileges", []),
            ("capabilities", ["0"] * 5),
            ("seccomp", ["filter of 0", "0"]),
            ("execute", ["/hold", "on"]),
        ]
        assert ("keyring", [f"_ses.{RECORD.id}"]) in operations
