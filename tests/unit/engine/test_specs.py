"""From options to a specification: podman's defaults for omitted options, errors that name the argument."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pypod.engine.specs.specs import check_hosts, check_sysctls, container_spec
from pypod.errors import InvalidSpec, Unsupported
from pypod.kernel import capabilities, idmap
from pypod.model.container import ContainerSpec, Ulimit
from pypod.model.health import Healthcheck
from pypod.model.limits import Limits
from pypod.model.mount import Mount
from pypod.model.namespace import HOST, POD, PRIVATE, Mode
from pypod.model.network import Connection
from pypod.model.network_flags import Asked
from pypod.model.options.container import ContainerOptions
from pypod.model.pod import PodSpec

PODMANS_ELEVEN = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP"),
    *("CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"),
)
BOUNDING_SET = ("CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN")


@pytest.fixture(autouse=True)
def any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tests independent of the user who runs them: as root of the machine, with three capabilities."""
    monkeypatch.setenv("PYPOD_NETWORK", "none")
    _replace(monkeypatch, capabilities.bounding_set, BOUNDING_SET)
    _replace(monkeypatch, idmap.in_user_namespace, False)


def _replace(monkeypatch: pytest.MonkeyPatch, function: Any, answer: object) -> None:
    """Make a pypod function return this answer, wherever it was imported."""
    replacement = lambda: answer
    replacement.__name__ = function.__name__
    for name, module in tuple(sys.modules.items()):
        if name.startswith("pypod.") and vars(module).get(function.__name__) is function:
            monkeypatch.setattr(module, function.__name__, replacement)


def made(command: Any = ("sh",), *, pod: PodSpec | None = None, image: Any = None, **options: Any) -> ContainerSpec:
    """Return the specification of a container on the host's root, or on the root that the options name."""
    given = options if image else {"rootfs": "/", **options}
    return container_spec(command, ContainerOptions(**given), name="one", pod=pod, image=image)


def refused(**given: Any) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        made(**given)
    return caught.value


class TestDefaults:
    def test_all_of_them(self) -> None:
        assert made() == ContainerSpec(
            name="one",
            command=("sh",),
            rootfs="/",
            overlay=True,
            working_directory="/",
            capabilities=PODMANS_ELEVEN,
            net=PRIVATE,
            stop_signal=15,
            stop_timeout_s=10,
            shm_size_bytes=65_536_000,
            umask=0o022,
        )

    def test_a_command_of_one_text_is_one_word(self) -> None:
        assert made("a b").command == ("a b",)
        assert made(["a", "b"]).command == ("a", "b")

    def test_the_root_is_absolute(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "root").mkdir()
        monkeypatch.chdir(tmp_path)
        assert made(rootfs="root").rootfs == str(tmp_path / "root")
        assert made(rootfs="root/../root/").rootfs == str(tmp_path / "root")

    def test_an_overlay_is_no_part_of_the_path(self) -> None:
        assert "overlay=True" in refused(rootfs="/no/such:O").hint
        assert not refused(rootfs="/no/such").hint


# Options, and the fields that differ from the defaults because of them.
FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"entrypoint": ["/bin/sh", "-c"]}, {"entrypoint": ("/bin/sh", "-c")}),
    ({"environment": {"B": "1", "A": ""}}, {"environment": (("B", "1"), ("A", ""))}),
    ({"unsetenv": ["TERM", "HOME"]}, {"unset_environment": ("TERM",)}),
    ({"working_directory": "/srv"}, {"working_directory": "/srv"}),
    ({"overlay": False}, {"overlay": False}),
    ({"user": "1:"}, {"user": "1"}),
    ({"user": ":5"}, {"user": ":5"}),
    ({"user": "x1"}, {"user": "x1"}),
    ({"user": "-x"}, {"user": "-x"}),
    ({"user": "4294967294:alice"}, {"user": "4294967294:alice"}),
    ({"groups": ["5", "audio"]}, {"groups": ("5", "audio")}),
    ({"groups": ["keep-groups"]}, {"groups": ("keep-groups",)}),
    ({"passwd": False}, {"passwd": False}),
    ({"passwd_entry": "x"}, {"passwd_entry": "x"}),
    ({"hostname": "box"}, {"hostname": "box"}),
    ({"add_hosts": ["a:1.2.3.4", "b:::1"]}, {"add_hosts": ("a:1.2.3.4", "b:::1")}),
    (
        {"add_hosts": ["a:host-gateway"], "network": "host"},
        {"add_hosts": ("a:host-gateway",), "net": HOST},
    ),
    ({"no_hosts": True}, {"no_hosts": True}),
    ({"no_hostname": True}, {"no_hostname": True}),
    (
        {"cap_add": ["sys_time"], "cap_drop": ["CAP_KILL"]},
        {
            "capabilities": tuple(sorted({*PODMANS_ELEVEN, "CAP_SYS_TIME"} - {"CAP_KILL"})),
            "added_capabilities": ("CAP_SYS_TIME",),
        },
    ),
    (
        {"cap_add": ["all"]},
        {"capabilities": tuple(sorted(BOUNDING_SET)), "added_capabilities": tuple(sorted(BOUNDING_SET))},
    ),
    ({"privileged": True}, {"privileged": True, "capabilities": tuple(sorted(BOUNDING_SET))}),
    (
        {"privileged": True, "cap_drop": ["KILL"]},
        {"privileged": True, "capabilities": ("CAP_CHOWN", "CAP_SYS_ADMIN")},
    ),
    ({"security_opt": ["seccomp=unconfined"]}, {"seccomp": "unconfined"}),
    ({"security_opt": ["no-new-privileges"]}, {"no_new_privileges": True}),
    ({"security_opt": ["no-new-privileges:true"]}, {"no_new_privileges": True}),
    ({"security_opt": ["no-new-privileges", "no-new-privileges=false"]}, {}),
    ({"security_opt": ["mask=/a:/b"]}, {"masks": ("/a", "/b")}),
    ({"security_opt": ["unmask=ALL"]}, {"unmasks": ("ALL",)}),
    ({"security_opt": ["unmask=/a:/b"]}, {"unmasks": ("/a", "/b")}),
    ({"security_opt": ["proc-opts=a=1,b"]}, {"proc_options": ("a=1", "b")}),
    ({"security_opt": ["label=disable", "apparmor=unconfined"]}, {}),
    ({"volumes_from": ["two"]}, {"volumes_from": ("two",)}),
    ({"read_only": True}, {"read_only": True}),
    ({"network": "host"}, {"net": HOST}),
    ({"network": ["container:two"]}, {"net": Mode(mode="container", target="two")}),
    ({"network": "pasta:--mtu,1400"}, {"net_program": "pasta:--mtu,1400"}),
    ({"pid": "host"}, {"pid": HOST}),
    ({"pid": "container:two"}, {"pid": Mode(mode="container", target="two")}),
    ({"uts": "ns:/a"}, {"uts": Mode(mode="ns", target="/a")}),
    ({"cgroupns": "host"}, {"cgroup": HOST}),
    ({"ipc": "shareable"}, {}),
    ({"ipc": "none"}, {"no_shm": True}),
    ({"init": True}, {"init": True}),
    (
        {"ulimits": ["nofile=1:2", "CORE=3", "rttime=-1", "nproc=4:-1"]},
        {
            "ulimits": (
                Ulimit(name="RLIMIT_NOFILE", soft=1, hard=2),
                Ulimit(name="RLIMIT_CORE", soft=3, hard=3),
                Ulimit(name="RLIMIT_RTTIME", soft=-1, hard=-1),
                Ulimit(name="RLIMIT_NPROC", soft=4, hard=-1),
            )
        },
    ),
    ({"ulimits": ["host"]}, {"ulimits": (Ulimit(name="host", soft=0, hard=0),)}),
    (
        {"sysctls": {"net.b": "2", "kernel.shmmax": "1", "fs/mqueue/msg_max": "3"}},
        {"sysctls": (("fs/mqueue/msg_max", "3"), ("kernel.shmmax", "1"), ("net.b", "2"))},
    ),
    ({"labels": {"b": "1", "a": "2"}}, {"labels": (("a", "2"), ("b", "1"))}),
    ({"stop_signal": "usr1"}, {"stop_signal": 10}),
    ({"stop_timeout": 0}, {"stop_timeout_s": 0}),
    ({"shm_size": 4096}, {"shm_size_bytes": 4096}),
    ({"interactive": True}, {"interactive": True}),
    ({"terminal": True}, {"terminal": True}),
    ({"remove": True}, {"remove": True}),
    ({"cgroup_parent": "/a"}, {"cgroup_parent": "/a"}),
    ({"memory": 1 << 20, "cpus": 1.5}, {
        "limits": Limits(memory_bytes=1 << 20, cpu_period_us=100_000, cpu_quota_us=150_000),
    }),
    ({"memory": 0, "memory_swappiness": -1}, {}),
    ({"oom_score_adj": 0}, {"oom_score_adj": 0}),
    ({"umask": 0}, {"umask": 0}),
    ({"healthcheck": Healthcheck(test=("CMD", "a"))}, {"healthcheck": Healthcheck(test=("CMD", "a"))}),
    ({"healthcheck": Healthcheck(test=("NONE",))}, {"healthcheck": Healthcheck(test=("NONE",))}),
    ({"exposed_ports": ["80", "90-91/udp", "7/sctp"]}, {"exposed_ports": ("80/tcp", "90-91/udp", "7/sctp")}),
    (
        {"network": "host", "dns": ["1.1.1.1"], "dns_options": ["a"], "dns_search": ["b.c"]},
        {"net": HOST, "dns_servers": ("1.1.1.1",), "dns_options": ("a",), "dns_search": ("b.c",)},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "fields"), FIELDS, ids=lambda value: ",".join(value) or "nothing")
def test_an_option_sets_its_field_and_no_other(options: dict[str, Any], fields: dict[str, Any]) -> None:
    assert made(**options) == made().replace(**fields)


class TestImage:
    IMAGE = SimpleNamespace(
        used_name="docker.io/library/a:1",
        layer_directories=lambda: ("/layers/1", "/layers/2"),
        config=SimpleNamespace(working_directory="/srv"),
    )

    def test_it_gives_name_and_layers_and_no_directory(self) -> None:
        spec = made(image=self.IMAGE)
        assert (spec.image, spec.layers, spec.rootfs) == ("docker.io/library/a:1", ("/layers/1", "/layers/2"), "")

    @pytest.mark.parametrize(("asked", "expected"), [("/srv", True), ("/", False)])
    def test_only_its_own_working_directory_is_made(self, asked: str, expected: bool) -> None:
        assert made(image=self.IMAGE, working_directory=asked).create_working_directory is expected

    def test_without_one_no_directory_is_made(self) -> None:
        assert made(working_directory="/srv").create_working_directory is False


class TestPod:
    """Members use the namespaces that the pod shares, unless their options say otherwise."""

    POD = PodSpec(name="web")

    def test_members_are_in_what_it_shares(self) -> None:
        spec = made(pod=self.POD.replace(share=("ipc", "net", "uts", "pid", "cgroup", "user")))
        assert (spec.net, spec.ipc, spec.uts, spec.pid, spec.cgroup, spec.user_namespace) == (POD,) * 6

    def test_by_default_that_is_podmans_three(self) -> None:
        spec = made(pod=self.POD)
        assert (spec.net, spec.ipc, spec.uts) == (POD, POD, POD)
        assert (spec.pid, spec.cgroup, spec.user_namespace) == (PRIVATE, PRIVATE, HOST)

    def test_a_member_may_have_its_own(self) -> None:
        spec = made(pod=self.POD, network="none", ipc="private", uts="host")
        assert (spec.net, spec.ipc, spec.uts) == (PRIVATE, PRIVATE, HOST)

    def test_without_an_infra_nothing_is_shared(self) -> None:
        spec = made(pod=self.POD.replace(infra=False, share=("ipc", "net", "uts", "user")))
        assert (spec.net, spec.ipc, spec.uts, spec.user_namespace) == (PRIVATE, PRIVATE, PRIVATE, HOST)

    @pytest.mark.parametrize(
        ("options", "argument"),
        [
            ({"pid": "pod"}, "--pid"),
            ({"cgroupns": "pod"}, "--cgroupns"),
            ({"hostname": "a"}, "--hostname"),
            ({"add_hosts": ["a:1.2.3.4"]}, "--add-host"),
            ({"sysctls": {"net.a": "1"}}, "--sysctl"),
            ({"sysctls": {"kernel.shmmax": "1"}}, "--sysctl"),
            ({"dns": ["1.1.1.1"]}, "--dns"),
            ({"ip": "10.0.0.1"}, "--network"),
            ({"network_aliases": ["a"]}, "--network"),
        ],
    )
    def test_what_is_the_pods_is_not_the_members(self, options: dict[str, Any], argument: str) -> None:
        assert refused(pod=self.POD, **options).argument == argument

    @pytest.mark.parametrize("pod", [None, POD.replace(infra=False), POD.replace(share=("ipc",))])
    @pytest.mark.parametrize(("option", "argument"), [("network", "--network"), ("uts", "--uts")])
    def test_there_is_none_to_be_in(self, pod: PodSpec | None, option: str, argument: str) -> None:
        error = refused(pod=pod, **{option: "pod"})
        assert error.argument == argument
        without = pod is None or not pod.infra
        assert ("container is not joining a pod" if without else "the pod does not share its") in error.message


class TestIdmap:
    def test_is_of_a_root_that_is_used_as_it_is(self) -> None:
        spec = made(idmap=True)
        assert (spec.idmap, spec.overlay) == (True, False)
        assert (made(idmap=False).idmap, made(idmap=False).overlay) == (False, True)

    def test_not_of_an_overlay_nor_an_image(self) -> None:
        assert refused(idmap=True, overlay=True).argument == "idmap"
        assert refused(image=TestImage.IMAGE, idmap=True).argument == "idmap"

    def test_a_user_has_none(self, monkeypatch) -> None:
        _replace(monkeypatch, idmap.in_user_namespace, True)
        with pytest.raises(Unsupported, match="id-map a file system"):
            made(idmap=True)


# Options, the argument that the error names, and a part of its message.
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"rootfs": ""}, "--rootfs", "an image or --rootfs is required"),
    ({"rootfs": "/no/such"}, "--rootfs", "stat /no/such: no such file or directory"),
    ({"command": ()}, "command", "no command or entrypoint"),
    ({"command": ("a\0b",)}, "command", "NUL"),
    ({"environment": {"": "a"}}, "--env", 'invalid environment variable: ""'),
    ({"environment": {"a=b": "c"}}, "--env", 'invalid environment variable: "a=b"'),
    ({"environment": {"a\0": "c"}}, "--env", "invalid environment variable"),
    ({"environment": {"a": "\0"}}, "--env", 'invalid environment variable: "a"'),
    ({"working_directory": "srv"}, "--workdir", "absolute path"),
    ({"user": "a b"}, "--user", "invalid user 'a b'"),
    ({"user": "a\0"}, "--user", "invalid user"),
    ({"user": "a:b:c"}, "--user", "at most one colon"),
    ({"user": "4294967295"}, "--user", "ids go from 0 to 4294967294"),
    ({"user": "0:4294967295"}, "--user", "ids go from 0 to 4294967294"),
    ({"user": "+1"}, "--user", "ids go from"),
    ({"user": "-1"}, "--user", "ids go from"),
    ({"user": "alice:+5"}, "--user", "ids go from"),
    ({"user": "1" * 5000}, "--user", "ids go from"),
    ({"groups": ["keep-groups", "5"]}, "--group-add", "is not allowed with any other"),
    ({"hostname": "a b"}, "--hostname", "invalid hostname"),
    ({"hostname": "a", "uts": "host"}, "--hostname", "the host UTS namespace"),
    ({"add_hosts": ["a"]}, "--add-host", 'bad format for add-host: "a"'),
    ({"add_hosts": [":1.2.3.4"]}, "--add-host", "bad format for add-host"),
    ({"add_hosts": ["a b:1.2.3.4"]}, "--add-host", "bad format for add-host"),
    ({"add_hosts": ["\udcff:1.2.3.4"]}, "--add-host", "bad format for add-host"),
    ({"add_hosts": ["a:1.2.3"]}, "--add-host", 'invalid IP address in add-host: "1.2.3"'),
    ({"add_hosts": ["a:1.2.3.4\0"]}, "--add-host", "invalid IP address"),
    ({"add_hosts": ["a::1:x"]}, "--add-host", "invalid IP address"),
    ({"add_hosts": ["a:1.2.3.4"], "no_hosts": True}, "--no-hosts", "cannot be set together"),
    (
        {"add_hosts": ["a:host-gateway"]},
        "--add-host",
        'unable to replace "host-gateway" of host entry "a:host-gateway"',
    ),
    ({"add_hosts": ["a:1.2.3.4"], "network": "container:b"}, "--add-host", "joined to another containers network"),
    ({"cap_add": ["nope"]}, "--cap-add", '"CAP_NOPE": unknown capability'),
    ({"cap_drop": ["nope"]}, "--cap-drop", '"CAP_NOPE": unknown capability'),
    ({"cap_add": ["kill"], "cap_drop": ["CAP_KILL"]}, "--cap-add", "cannot be dropped and added"),
    ({"cap_add": ["all"], "cap_drop": ["all"]}, "--cap-add", "not allowed"),
    ({"security_opt": ["seccomp=/no/such"]}, "--security-opt", "open /no/such: no such file or directory"),
    ({"security_opt": ["seccomp=/"]}, "--security-opt", "no such file"),
    ({"security_opt": ["seccomp="]}, "--security-opt", "invalid --security-opt"),
    ({"security_opt": ["no-new-privileges=1"]}, "--security-opt", 'invalid --security-opt 2: "no-new-privileges=1"'),
    ({"security_opt": ["mask=/a:b"]}, "--security-opt", "invalid mask '/a:b'"),
    ({"security_opt": ["mask="]}, "--security-opt", "invalid --security-opt"),
    ({"security_opt": ["apparmor=mine"]}, "--security-opt", "Apparmor is not enabled"),
    ({"security_opt": ["foo"]}, "--security-opt", 'invalid --security-opt 1: "foo"'),
    ({"volumes": ["/a:/b", "/c:/b/"]}, "--volume", "/b: duplicate mount destination"),
    ({"volumes": ["/a:/b"], "tmpfs": ["/b"]}, "--tmpfs", "/b: duplicate mount destination"),
    ({"volumes": ["/a:/b"], "mounts": [Mount(type="tmpfs", target="/b/.")]}, "--mount", "/b: duplicate"),
    ({"network": "container:"}, "--network", "requires a value"),
    ({"pid": "container"}, "--pid", "unrecognized namespace mode container passed"),
    ({"pid": "none"}, "--pid", "unrecognized namespace mode"),
    ({"ipc": "foo"}, "--ipc", "unrecognized namespace mode"),
    ({"uts": "shareable"}, "--uts", "unrecognized namespace mode"),
    ({"cgroupns": "x"}, "--cgroupns", "unrecognized namespace mode"),
    ({"ulimits": ["nofile"]}, "--ulimit", "invalid ulimit argument: nofile"),
    ({"ulimits": ["nofile="]}, "--ulimit", "requires name=SOFT:HARD, failed to be parsed: strconv.ParseInt"),
    ({"ulimits": ["nope=1"]}, "--ulimit", "invalid ulimit type: nope"),
    ({"ulimits": ["nofile=1:x"]}, "--ulimit", "requires name=SOFT:HARD, failed to be parsed: strconv.ParseInt"),
    ({"ulimits": ["nofile=-2"]}, "--ulimit", "requires name=SOFT:HARD, failed to be parsed: strconv.ParseInt"),
    ({"ulimits": ["nofile=2:1"]}, "--ulimit", "less than or equal to hard limit"),
    ({"ulimits": ["nofile=-1:1"]}, "--ulimit", "less than or equal to hard limit"),
    (
        {"sysctls": {"net.a": "1"}, "network": "host"},
        "--sysctl",
        "since Network Namespace set to host",
    ),
    (
        {"sysctls": {"kernel.shmmax": "1"}, "ipc": "host"},
        "--sysctl",
        "since IPC Namespace set to host",
    ),
    ({"stop_signal": "nope"}, "--stop-signal", "invalid signal"),
    ({"stop_timeout": -1}, "--stop-timeout", "must not be negative"),
    ({"shm_size": -1}, "--shm-size", "must not be negative"),
    ({"shm_size": 1, "ipc": "host"}, "--shm-size", "cannot set shmsize"),
    ({"init": True, "pid": "host"}, "--init", "cannot add init binary as PID 1"),
    ({"init": True, "systemd": "always"}, "--init", "cannot use container-init binary with systemd=always"),
    ({"oom_score_adj": 1001}, "--oom-score-adj", "not between -1000 and 1000"),
    ({"oom_score_adj": -1001}, "--oom-score-adj", "not between -1000 and 1000"),
    ({"healthcheck": Healthcheck(test=("CMD",))}, "--health-cmd", "invalid health check"),
    ({"exposed_ports": ["x"]}, "--expose", ""),
    ({"dns": ["1.1.1.1"]}, "--dns", "conflicting options: dns and the network mode: none"),
    ({"ip": "10.0.0.1"}, "--ip", "network mode is bridge"),
    ({"cpus": -1.0}, "--cpus", "negative"),
    ({"cpus": 1.0, "cpu_quota": 5000}, "--cpu-quota", "cannot be set together"),
    ({"cpus": 1.0, "cpu_period": 5000}, "--cpu-period", "cannot be set together"),
    ({"cpu_shares": -1}, "--cpu-shares", "negative"),
    ({"cpu_period": 999}, "--cpu-period", "cannot be less than 1ms"),
    ({"cpu_quota": 999}, "--cpu-quota", "cannot be less than 1ms"),
    ({"cpuset_cpus": "a"}, "--cpuset-cpus", "invalid value a"),
    ({"cpuset_cpus": "65535"}, "--cpuset-cpus", "requested CPUs are not available - requested 65535"),
    ({"cpuset_mems": "65535"}, "--cpuset-mems", "requested memory nodes are not available"),
    ({"memory": -1}, "--memory", "invalid size: '-1'"),
    ({"memory_swap": 5}, "--memory-swap", "always set a memory limit"),
    ({"memory": 5, "memory_swap": 4}, "--memory-swap", "larger than memory limit"),
    ({"memory": 5, "memory_reservation": 6}, "--memory-reservation", "cannot be less than memory reservation"),
    ({"memory_swappiness": 101}, "--memory-swappiness", "range is 0-100"),
    ({"blkio_weight": 9}, "--blkio-weight", "from 10 to 1000"),
    ({"blkio_weight_device": {"/dev/null": 9}}, "--blkio-weight-device", "invalid weight"),
    ({"device_read_bps": {"/dev/null": 9}}, "--device-read-bps", "/dev/null is not a block device"),
    ({"device_write_bps": {"/dev/no/such": 9}}, "--device-write-bps", "could not parse throttle device"),
    ({"device_read_iops": {"sda": 9}}, "--device-read-iops", "bad format for device path: sda:9"),
    ({"device_write_iops": {"/dev/null": 0}}, "--device-write-iops", "must be a positive integer"),
]


@pytest.mark.parametrize(("options", "argument", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_names_its_argument(options: dict[str, Any], argument: str, words: str) -> None:
    error = refused(**options)
    assert error.argument == argument
    assert words in error.message


class TestMounts:
    def test_their_order_is_volumes_mounts_tmpfs(self) -> None:
        mount = Mount(type="tmpfs", target="/m")
        spec = made(tmpfs=["/t"], mounts=[mount], volumes=["/v:/v"])
        assert [one.target for one in spec.mounts] == ["/v", "/m", "/t"]

    def test_of_two_tmpfs_at_one_place_the_last_counts(self) -> None:
        spec = made(tmpfs=["/t:size=1", "/u", "/t:size=2"])
        assert [(one.target, one.options) for one in spec.mounts] == [("/t", ("size=2",)), ("/u", ())]


class TestSeccomp:
    def test_a_profile_is_found_from_here(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "profile.json").write_text("{}")
        monkeypatch.chdir(tmp_path)
        assert made(security_opt=["seccomp=profile.json"]).seccomp == os.path.join(tmp_path, "profile.json")


class TestHosts:
    """Also for a pod: a hosts file exists only if there is an infra that it belongs to."""

    NONE = Asked(mode=PRIVATE, name="none")

    def test_there_is_nothing_to_be_left_out_without_an_infra(self) -> None:
        with pytest.raises(InvalidSpec) as caught:
            check_hosts((), self.NONE, no_hosts=True, infra=False)
        assert caught.value.argument == "--no-hosts"
        check_hosts((), self.NONE, no_hosts=True)
        check_hosts((), self.NONE, no_hosts=False, infra=False)

    @pytest.mark.parametrize(
        ("asked", "reached"),
        [
            (NONE, False),
            (NONE.replace(connections=(Connection(network="podman"),)), True),
            (NONE.replace(mode=HOST), True),
            (NONE.replace(mode=Mode(mode="ns", target="/a")), False),
        ],
    )
    def test_the_host_has_an_address_where_a_network_leads_to_it(self, asked: Asked, reached: bool) -> None:
        if reached:
            check_hosts(("a:host-gateway",), asked, no_hosts=False)
        else:
            with pytest.raises(InvalidSpec, match="unable to replace"):
                check_hosts(("a:host-gateway",), asked, no_hosts=False)


@pytest.mark.parametrize(
    ("key", "net", "ipc", "allowed"),
    [
        ("net.ipv4.ip_forward", True, False, True),
        ("net/ipv4/ip_forward", True, False, True),
        ("net.ipv4.ip_forward", False, True, False),
        ("netfoo", True, True, False),
        ("kernel.sem", False, True, True),
        ("kernel/shm_rmid_forced", False, True, True),
        ("kernel.sem", True, False, False),
        ("kernel.shmx", True, True, False),
        ("fs.mqueue.msg_max", False, True, True),
        ("fs.mqueuex", True, True, False),
        ("fs.file-max", True, True, False),
        ("kernel.panic", True, True, False),
        ("vm.swappiness", True, True, False),
        ("net..a", True, True, False),
        ("net/../kernel/panic", True, True, False),
        (".net", True, True, False),
        ("", True, True, False),
    ],
)
def test_only_sysctls_of_own_namespaces(key: str, net: bool, ipc: bool, allowed: bool) -> None:
    if allowed:
        check_sysctls([(key, "1")], net=net, ipc=ipc)
    else:
        with pytest.raises(InvalidSpec) as caught:
            check_sysctls([(key, "1")], net=net, ipc=ipc)
        assert caught.value.argument == "--sysctl"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("all", ("ALL",)),
        ("/proc/kcore:/x", ("/proc/kcore", "/x")),
        ("/proc/a*", ("/proc/acpi", "/proc/asound")),
        ("/proc/*", None),
        ("/sys/*", ("/sys/firmware",)),
        ("/nothing/*", ()),
        ("/*/fs/cgroup:/y", ("/y", "/sys/fs/cgroup")),
    ],
)
def test_patterns_of_unmask(given: str, expected: tuple[str, ...] | None) -> None:
    found = made(security_opt=(f"unmask={given}",)).unmasks
    assert found == expected if expected is not None else all(path.startswith("/proc/") for path in found) and found
