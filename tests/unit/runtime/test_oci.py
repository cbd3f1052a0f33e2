"""The OCI configuration of a container: podman's defaults, and the effect of each field of a specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypod.model.container import ContainerSpec, Ulimit
from pypod.model.mount import Mount
from pypod.model.namespace import HOST, POD, Mode
from pypod.runtime.oci import Places, runtime_spec

SPEC = ContainerSpec(name="one", command=("sleep", "1"), rootfs="/srv/root")
PLACES = Places(
    root="/storage/merged",
    hosts="/own/hosts",
    hostname_file="/own/hostname",
    resolv_conf="/own/resolv.conf",
    container_env="/storage/containerenv",
    init="/libexec/init",
    cgroup_path="/pypod/one",
    cgroup_mount=("/sys/fs/cgroup", ""),
    hostname="box",
    shared_shm=False,
)
Config = dict[str, Any]


def made(places: dict[str, Any] | None = None, **fields: Any) -> Config:
    return runtime_spec(SPEC.replace(**fields), PLACES.replace(**(places or {})))


def mounts(config: Config) -> dict[str, Config]:
    """Return the mounts by destination; fail if two have the same one."""
    found = {mount["destination"]: mount for mount in config["mounts"]}
    assert len(found) == len(config["mounts"])
    return found


def options(config: Config, target: str) -> list[str]:
    return mounts(config)[target]["options"]


def differences(one: Any, other: Any, path: str = "") -> set[str]:
    """Return the differences between two configurations, as paths of keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return {found for key in keys for found in differences(one.get(key), other.get(key), f"{path}/{key}")}
    return set() if one == other else {path}


class TestDefaults:
    """The configuration that `podman run` of version 4.3 writes, as far as it does not depend on the host."""

    def test_is_json(self) -> None:
        config = made()
        assert json.loads(json.dumps(config)) == config
        assert config["ociVersion"] == "1.0.2"

    def test_process(self) -> None:
        assert made()["process"] == {
            "terminal": False,
            "user": {"uid": 0, "gid": 0, "umask": 0o022, "additionalGids": [0], "username": "0"},
            "args": ["sleep", "1"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
                "container=podman",
                "HOSTNAME=box",
            ],
            "cwd": "/",
            "capabilities": {
                "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [],
            },
            "rlimits": [],
            "noNewPrivileges": False,
        }  # fmt: skip

    def test_file_systems(self) -> None:
        found = {
            target: (mount["type"], mount["source"], sorted(mount["options"]))
            for target, mount in mounts(made()).items()
            if mount["type"] != "bind"
        }
        assert found == {
            "/proc": ("proc", "proc", ["nodev", "noexec", "nosuid"]),
            "/dev": ("tmpfs", "tmpfs", ["mode=755", "nosuid", "size=65536k", "strictatime"]),
            "/sys": ("sysfs", "sysfs", ["nodev", "noexec", "nosuid", "ro"]),
            "/dev/pts": (
                "devpts",
                "devpts",
                ["gid=5", "mode=0620", "newinstance", "noexec", "nosuid", "ptmxmode=0666"],
            ),
            "/dev/mqueue": ("mqueue", "mqueue", ["nodev", "noexec", "nosuid"]),
            "/dev/shm": ("tmpfs", "shm", ["mode=1777", "nodev", "noexec", "nosuid", "size=65536000"]),
            "/sys/fs/cgroup": ("cgroup2", "cgroup2", ["nodev", "noexec", "nosuid", "ro"]),
        }

    def test_files(self) -> None:
        found = {
            target: (mount["source"], mount["options"])
            for target, mount in mounts(made()).items()
            if mount["type"] == "bind"
        }
        assert found == {
            "/etc/hosts": ("/own/hosts", ["bind", "rprivate"]),
            "/etc/hostname": ("/own/hostname", ["bind", "rprivate"]),
            "/etc/resolv.conf": ("/own/resolv.conf", ["bind", "rprivate"]),
            "/run/.containerenv": ("/storage/containerenv", ["bind", "rprivate", "ro"]),
        }

    def test_what_is_hidden(self) -> None:
        assert set(made()["linux"]["maskedPaths"]) == {
            *("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
            *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/selinux"),
            *("/sys/dev/block", "/sys/devices/virtual/powercap"),
        }
        assert set(made()["linux"]["readonlyPaths"]) == {
            *("/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
        }

    def test_namespaces(self) -> None:
        kinds = ("mount", "pid", "network", "ipc", "uts", "cgroup")
        assert made()["linux"]["namespaces"] == [{"type": kind} for kind in kinds]


# Fields of the specification, and the differences in the configuration.
CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"command": ("a", "b"), "entrypoint": ("e",)}, {"/process/args": ["e", "a", "b"]}),
    ({"terminal": True}, {"/process/terminal": True}),
    ({"umask": 0o77}, {"/process/user/umask": 0o77}),
    ({"working_directory": "/srv"}, {"/process/cwd": "/srv"}),
    ({"no_new_privileges": True}, {"/process/noNewPrivileges": True}),
    ({"oom_score_adj": 0}, {"/process/oomScoreAdj": 0}),
    (
        {"environment": (("TERM", "vt100"), ("A", "=")), "unset_environment": ("PATH",)},
        {"/process/env": ["TERM=vt100", "container=podman", "A==", "HOSTNAME=box"]},
    ),
    ({"environment": (("HOSTNAME", "x"), ("PATH", "/b"))}, {
        "/process/env": ["PATH=/b", "TERM=xterm", "container=podman", "HOSTNAME=x"],
    }),
    (
        {"capabilities": ("CAP_KILL", "CAP_CHOWN"), "added_capabilities": ("CAP_KILL",)},
        {
            "/process/capabilities/bounding": ["CAP_KILL", "CAP_CHOWN"],
            "/process/capabilities/effective": ["CAP_KILL", "CAP_CHOWN"],
            "/process/capabilities/permitted": ["CAP_KILL", "CAP_CHOWN"],
        },
    ),
    (
        {"user": "alice", "capabilities": ("CAP_KILL", "CAP_CHOWN"), "added_capabilities": ("CAP_KILL",)},
        {
            "/process/user/username": "alice",
            "/process/user/uid": 65534,
            "/process/user/gid": 65534,
            "/process/user/additionalGids": [65534],
            "/process/capabilities/bounding": ["CAP_KILL", "CAP_CHOWN"],
            **{
                f"/process/capabilities/{name}": ["CAP_KILL"]
                for name in ("effective", "permitted", "inheritable", "ambient")
            },
        },
    ),
    ({"sysctls": (("net.a", "1"),)}, {"/linux/sysctl/net.a": "1"}),
    (
        {"user": "alice"},
        {
            "/process/user/username": "alice",
            "/process/user/uid": 65534,
            "/process/user/gid": 65534,
            "/process/user/additionalGids": [65534],
        },
    ),
    (
        {"user": "alice:9", "passwd": False},
        {
            "/process/user/username": "alice:9",
            "/process/user/uid": 65534,
            "/process/user/gid": 9,
            "/process/user/additionalGids": [9],
        },
    ),
    ({"user": "root"}, {"/process/user/username": "root"}),
    (
        {"user": "0:staff", "passwd": False},
        {
            "/process/user/username": "0:staff",
            "/process/user/gid": 65534,
            "/process/user/additionalGids": [65534],
        },
    ),
    (
        {"user": "1000:100", "passwd": False},
        {
            "/process/user/uid": 1000,
            "/process/user/gid": 100,
            "/process/user/additionalGids": [100],
            "/process/user/username": None,
        },
    ),
    ({"user": "1000", "passwd": False}, {"/process/user/uid": 1000, "/process/user/username": "1000"}),
    (
        {"groups": ("5", "a", "b", "44")},
        {"/process/user/additionalGids": [0, 5, 44], "/annotations/io.pypod.groups": "a,b"},
    ),
    ({"groups": ("keep-groups",)}, {"/annotations/run.oci.keep_original_groups": "1"}),
    ({"hostname": "box"}, {}),  # as one that the engine chose
    # fields that are not in it
    ({"labels": (("a", "b"),), "interactive": True, "remove": True, "stop_signal": 2, "stop_timeout_s": 1}, {}),
    ({"exposed_ports": ("80/tcp",), "cgroup_parent": "/a", "ulimits": (Ulimit(name="a", soft=1, hard=1),)}, {}),
    ({"dns_servers": ("1.1.1.1",), "dns_search": ("a",), "add_hosts": ("a:1.2.3.4",)}, {}),
]  # fmt: skip


def value(config: Config, path: str) -> Any:
    for key in path.split("/")[1:]:
        config = config.get(key)
    return config


@pytest.mark.parametrize(("fields", "changed"), CHANGES, ids=lambda given: ",".join(given) or "nothing")
def test_a_field_changes_its_place_and_no_other(fields: dict[str, Any], changed: dict[str, Any]) -> None:
    config = made(**fields)
    assert differences(config, made()) == set(changed)
    assert {path: value(config, path) for path in changed} == changed


class TestPlaces:
    """Values that depend on the host."""

    def test_each_is_where_it_belongs(self) -> None:
        resources = {"pids": {"limit": 5}}
        places = {"root": "/r", "cgroup_path": "/c", "hostname": "h", "resources": resources}
        config = made({**places, "ulimits": (Ulimit(name="RLIMIT_CORE", soft=1, hard=-1),)})
        assert config["root"] == {"path": "/r", "readonly": False}
        assert config["linux"]["cgroupsPath"] == "/c"
        assert config["linux"]["resources"] == resources
        assert config["hostname"] == "h"
        assert config["process"]["rlimits"] == [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2**64 - 1}]

    def test_devices(self) -> None:
        devices = (("/dev/a", 1, 2, 0o020640), ("/dev/b", 3, 4, 0o061777))
        assert made({"devices": devices})["linux"]["devices"] == [
            {"path": "/dev/a", "type": "c", "major": 1, "minor": 2, "fileMode": 0o640},
            {"path": "/dev/b", "type": "b", "major": 3, "minor": 4, "fileMode": 0o777},
        ]

    def test_the_first_size_of_a_terminal(self) -> None:
        size = {"console": (80, 24)}
        assert made(size, terminal=True)["process"]["consoleSize"] == {"width": 80, "height": 24}
        assert "consoleSize" not in made(size)["process"]
        assert "consoleSize" not in made(terminal=True)["process"]

    @pytest.mark.parametrize("mode", [HOST, POD, Mode(mode="container", target="a")])
    def test_a_hostname_is_set_in_a_uts_namespace_of_its_own_only(self, mode: Mode) -> None:
        config = made(uts=mode)
        assert "hostname" not in config
        assert "HOSTNAME=box" in config["process"]["env"]

    @pytest.mark.parametrize(
        ("place", "target"),
        [("hosts", "/etc/hosts"), ("hostname_file", "/etc/hostname"), ("resolv_conf", "/etc/resolv.conf")],
    )
    def test_a_file_that_is_not_there_is_not_mounted(self, place: str, target: str) -> None:
        assert mounts(made()).keys() - mounts(made({place: ""})).keys() == {target}

    def test_no_hosts(self) -> None:
        assert mounts(made()).keys() - mounts(made(no_hosts=True)).keys() == {"/etc/hosts"}
        assert mounts(made()).keys() - mounts(made(no_hostname=True)).keys() == {"/etc/hostname"}


class TestNamespaces:
    KINDS = (("pid", "pid"), ("net", "network"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup"))

    @pytest.mark.parametrize(("field", "oci_name"), KINDS)
    def test_the_hosts_is_left_out(self, field: str, oci_name: str) -> None:
        found = made(**{field: HOST})["linux"]["namespaces"]
        assert [one for one in made()["linux"]["namespaces"] if one not in found] == [{"type": oci_name}]

    @pytest.mark.parametrize(("field", "oci_name"), KINDS)
    def test_another_has_its_path(self, field: str, oci_name: str) -> None:
        config = made({"namespace_paths": ((field, "/proc/7/ns/x"),)}, **{field: POD})
        found = [one for one in config["linux"]["namespaces"] if one["type"] == oci_name]
        assert found == [{"type": oci_name, "path": "/proc/7/ns/x"}]

    def test_of_users(self) -> None:
        config = made(
            {"id_maps": (((0, 100000, 5),), ((0, 200000, 5), (7, 300000, 1)))}, user_namespace=Mode(mode="private")
        )
        assert {"type": "user"} in config["linux"]["namespaces"]
        assert config["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 100000, "size": 5}]
        assert config["linux"]["gidMappings"] == [
            {"containerID": 0, "hostID": 200000, "size": 5},
            {"containerID": 7, "hostID": 300000, "size": 1},
        ]
        assert {"uidMappings", "gidMappings"}.isdisjoint(made()["linux"])


class TestHidden:
    def linux(self, **fields: Any) -> tuple[list[str], list[str]]:
        linux = made(**fields)["linux"]
        return linux["maskedPaths"], linux["readonlyPaths"]

    def test_nothing_from_the_privileged(self) -> None:
        assert self.linux(privileged=True) == ([], [])
        assert self.linux(unmasks=("ALL",)) == ([], [])

    def test_some_may_be_shown(self) -> None:
        masked, read_only = self.linux(unmasks=("/proc/kcore", "/proc/sys"))
        all_masked, all_read_only = self.linux()
        assert set(all_masked) - set(masked) == {"/proc/kcore"}
        assert set(all_read_only) - set(read_only) == {"/proc/sys"}

    @pytest.mark.parametrize("fields", [{}, {"privileged": True}, {"unmasks": ("ALL",)}, {"unmasks": ("/a/b",)}])
    def test_what_was_asked_for_is_hidden_in_any_case(self, fields: dict[str, Any]) -> None:
        masked, _ = self.linux(masks=("//a/./b/", "/c"), **fields)
        assert masked[-2:] == ["/a/b", "/c"]

    def test_a_tmpfs_around_the_hierarchies_is_read_only(self) -> None:
        version1 = {"cgroup_mount": ("/sys/fs/cgroup/pids", "pids")}
        assert "/sys/fs/cgroup" in made(version1)["linux"]["readonlyPaths"]
        asked = (Mount(type="tmpfs", target="/sys/fs/cgroup/"),)
        assert "/sys/fs/cgroup" not in made(version1, mounts=asked)["linux"]["readonlyPaths"]
        assert "/sys/fs/cgroup" not in made()["linux"]["readonlyPaths"]


class TestMounts:
    def test_read_only_leaves_places_to_write(self) -> None:
        config = made(read_only=True)
        assert config["root"]["readonly"] is True
        assert mounts(config).keys() - mounts(made()).keys() == {"/run", "/tmp", "/var/tmp"}
        assert all(mounts(config)[at]["type"] == "tmpfs" for at in ("/run", "/tmp", "/var/tmp"))
        assert set(options(config, "/tmp")) == {"nosuid", "nodev", "mode=1777"}

    def test_the_privileged_write_to_sys_and_cgroups(self) -> None:
        config = made(privileged=True)
        assert "ro" not in options(config, "/sys")
        assert {"rw", "ro"} & set(options(config, "/sys/fs/cgroup")) == {"rw"}

    def test_init_runs_the_command(self) -> None:
        config = made(init=True)
        assert config["process"]["args"] == ["/run/podman-init", "--", "sleep", "1"]
        assert mounts(config)["/run/podman-init"]["source"] == "/libexec/init"
        assert "ro" in options(config, "/run/podman-init")

    def test_proc_options(self) -> None:
        assert options(made(proc_options=("hidepid=2",)), "/proc")[-1] == "hidepid=2"
        assert "hidepid=2" not in options(made(), "/proc")  # the call before left no trace

    def test_shm(self) -> None:
        assert "size=4096" in options(made(shm_size_bytes=4096), "/dev/shm")
        assert "/dev/shm" not in mounts(made({"shared_shm": True}))
        assert "/dev/shm" not in mounts(made(no_shm=True))

    def test_several_hierarchies(self) -> None:
        config = made({"cgroup_mount": ("/sys/fs/cgroup/pids", "pids,none")})
        around = mounts(config)["/sys/fs/cgroup"]
        assert (around["type"], around["source"]) == ("tmpfs", "tmpfs")
        assert around["options"] == ["nosuid", "noexec", "nodev", "mode=755"]
        assert mounts(config)["/sys/fs/cgroup/pids"]["type"] == "cgroup"
        assert options(config, "/sys/fs/cgroup/pids") == ["nosuid", "noexec", "nodev", "ro", "pids", "none"]

    @pytest.mark.parametrize(
        ("mount", "expected"),
        [
            ({"type": "bind", "source": "/a"}, ("bind", "/a", ["rbind", "rprivate"])),
            ({"type": "bind", "source": "/a", "recursive": False}, ("bind", "/a", ["bind", "rprivate"])),
            ({"type": "bind", "source": "/a", "propagation": "slave"}, ("bind", "/a", ["rbind", "slave"])),
            (
                {"type": "bind", "source": "/a", "read_only": True, "no_suid": True, "no_dev": True, "no_exec": True},
                ("bind", "/a", ["ro", "nosuid", "nodev", "noexec", "rbind", "rprivate"]),
            ),
            ({"type": "volume", "source": "/v"}, ("bind", "/v", ["rbind", "rprivate"])),
            ({"type": "tmpfs"}, ("tmpfs", "tmpfs", ["nosuid", "nodev", "tmpcopyup"])),
            (
                {"type": "tmpfs", "copy_up": False, "options": ("size=1",)},
                ("tmpfs", "tmpfs", ["nosuid", "nodev", "size=1"]),
            ),
            ({"type": "tmpfs", "no_exec": True, "copy_up": False}, ("tmpfs", "tmpfs", ["nosuid", "nodev", "noexec"])),
        ],
    )
    def test_asked_for(self, mount: dict[str, Any], expected: tuple[str, str, list[str]]) -> None:
        found = mounts(made(mounts=(Mount(target="//a/./b/", **mount),)))["/a/b"]
        assert (found["type"], found["source"], found["options"]) == expected

    @pytest.mark.parametrize("target", ["/proc", "/sys", "/dev/shm", "/etc/hosts", "/run/.containerenv"])
    def test_it_takes_the_place_of_ours(self, target: str) -> None:
        config = made(mounts=(Mount(type="bind", source="/mine", target=target),))
        assert mounts(config)[target]["source"] == "/mine"
        assert mounts(config).keys() == mounts(made()).keys()

    def test_what_would_only_leave_a_directory_in_it_is_left_out(self) -> None:
        of_dev = made(mounts=(Mount(type="bind", source="/dev", target="/dev"),))
        assert mounts(made()).keys() - mounts(of_dev).keys() == {"/dev/mqueue"}
        version1 = {"cgroup_mount": ("/sys/fs/cgroup/pids", "pids")}
        of_groups = made(version1, mounts=(Mount(type="bind", source="/g", target="/sys/fs/cgroup"),))
        assert mounts(made(version1)).keys() - mounts(of_groups).keys() == {"/sys/fs/cgroup/pids"}

    def test_files_stay_over_a_volume_on_their_directory(self) -> None:
        config = made(mounts=(Mount(type="bind", source="/e", target="/etc"),))
        assert {"/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= mounts(config).keys()

    def test_parents_come_first_and_the_rest_keeps_its_order(self) -> None:
        asked = [Mount(type="tmpfs", target=at) for at in ("/z/y/x", "/z/y", "/z", "/b", "/a")]
        order = [mount["destination"] for mount in made(mounts=tuple(asked))["mounts"]]
        assert [at for at in order if at[1] in "zba"] == ["/z", "/b", "/a", "/z/y", "/z/y/x"]
        assert order.index("/dev") < order.index("/dev/shm")
        assert order.index("/sys") < order.index("/sys/fs/cgroup")


class TestUsers:
    """A user namespace can newly mount only file systems that show namespaces of its own."""

    @pytest.mark.parametrize(
        ("kind", "target"), [("net", "/sys"), ("pid", "/proc"), ("cgroup", "/sys/fs/cgroup")], ids=lambda one: one
    )
    def test_what_shows_anothers_is_bound(self, kind: str, target: str) -> None:
        config = made({"rootless": True, "foreign": (kind,)})
        mount = mounts(config)[target]
        assert (mount["type"], mount["source"]) == ("bind", target)
        assert mount["options"][:2] == ["rbind", "rprivate"]
        given = set(options(made(), target)) & {"ro", "nosuid", "nodev", "noexec"}
        assert set(mount["options"][2:]) == given
        others = mounts(config).keys() - {target}
        assert all(mounts(config)[at] == mounts(made())[at] for at in others)

    def test_there_is_no_queue_of_anothers(self) -> None:
        config = made({"rootless": True, "foreign": ("ipc",)})
        assert mounts(made()).keys() - mounts(config).keys() == {"/dev/mqueue"}

    def test_terminals_have_the_group_that_is_there(self) -> None:
        config = made({"rootless": True, "has_tty_group": False})
        assert differences(mounts(config), mounts(made())) == {"//dev/pts/options"}
        assert [o for o in options(made(), "/dev/pts") if o not in options(config, "/dev/pts")] == ["gid=5"]

    def test_root_of_the_machine_mounts_everything_anew(self) -> None:
        assert made({"foreign": ("net", "pid", "ipc", "cgroup"), "has_tty_group": False}) == made()


class TestAccount:
    """The /etc/passwd line for a user without one: as in podman, only for numeric users."""

    @pytest.mark.parametrize(
        ("user", "line"),
        [
            ("", ""),
            ("alice", ""),
            ("alice:users", ""),
            ("1000", "1000:*:1000:$GID:container user:/srv:/bin/sh"),
            ("1000:100", "1000:*:1000:$GID:container user:/srv:/bin/sh"),
            ("alice:100", "alice:*:alice:$GID:container user:/srv:/bin/sh"),
        ],
    )
    def test_whose(self, user: str, line: str) -> None:
        assert made(user=user, working_directory="/srv")["annotations"].get("io.pypod.account", "") == line

    def test_not_where_it_is_not_wanted(self) -> None:
        assert made(user="1000", passwd=False)["annotations"] == {}

    def test_in_the_users_own_words(self) -> None:
        entry = "$USERNAME-$UID:x:$UID:$GID:$NAME:$HOME:/bin/ash"
        line = made(user="7", passwd_entry=entry)["annotations"]["io.pypod.account"]
        assert line == "7-7:x:7:$GID:container user:/:/bin/ash"
